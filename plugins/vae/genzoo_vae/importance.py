"""The likelihood of data by importance sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.plugin import LogProb, Note, by_blocks, fresh_generator
from genzoo_vae.posteriors.proposal import Rows

if TYPE_CHECKING:
    from genzoo_vae.latents import LatentModel

# The number of codes that are drawn at once, on which the noise of a seed depends.
_CODES = {"cpu": 2048}
_CODES_ELSEWHERE = 65_536
# The number that are decoded at once: the outputs of more leave the processor's cache, which
# doubles the time.
_DECODED = {"cpu": 512}
Weigher = Callable[[int], Tensor]
"""From K to log w, (K, B), at K draws of each row."""


def estimate(
    model: LatentModel[Any],
    x: Tensor,
    y: Tensor | None,
    generator: torch.Generator | None,
    num_samples: int,
) -> LogProb:
    """Return log (1/K) Σ_k w_k of each example (N, *event_shape), with its notes."""
    if generator is None:
        generator = fresh_generator(model.device)
    size = max(1, _CODES.get(model.device.type, _CODES_ELSEWHERE) // num_samples)
    # Allocated beforehand: small results between large ones would fragment the heap.
    effective, errors = torch.empty(2, len(x), dtype=torch.float64)

    def bounds(rows: slice) -> Tensor:
        placed = model.event.place(x[rows], model.device, model.dtype)
        given = Rows(placed, None if y is None else y[rows])
        log_w = _log_weights(model, given, num_samples, generator)
        found = effective_samples(log_w.detach())
        effective[rows] = found.cpu()
        errors[rows] = standard_error(found, num_samples).cpu()
        return log_w.logsumexp(0) - math.log(num_samples)

    values = by_blocks(bounds, len(x), size)
    provenance: dict[str, float] = {"importance_samples": num_samples}
    if len(x):
        provenance["median_effective_samples"] = round(effective.median().item(), 1)
    return LogProb(
        values=values.to(model.dtype) if torch.is_grad_enabled() else values,
        kind="lower bound",
        measure="mass" if model.is_mass else "density",
        std_errors=errors,
        notes=(_note(num_samples),),
        provenance=provenance,
    )


def effective_samples(log_w: Tensor) -> Tensor:
    """Return (Σw)² / Σw² of each row's weights (K, B), from 1 to K."""
    return (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp()


def standard_error(effective: Tensor, num: int) -> Tensor:
    """Return the standard error of log (1/K) Σ_k w_k of K weights, (B,), to first order.

    That is the relative error of the mean weight, √((Σw² / (Σw)² − 1/K) K / (K − 1)); infinite
    for one draw.

    Arguments:
        effective: (Σw)² / Σw², from `effective_samples`.
        num: K.
    """
    if num == 1:
        return torch.full_like(effective, math.inf)
    spread = (1 / effective - 1 / num).clamp_min(0)
    return (spread * num / (num - 1)).sqrt()


def _log_weights(
    model: LatentModel[Any], rows: Rows, num_samples: int, generator: torch.Generator
) -> Tensor:
    """Return log w, (K, B), float64, of a few rows."""
    weigh, most = model.weigher(rows, generator), codes_at_once(model)
    return torch.cat(
        [weigh(min(most, num_samples - first)).double() for first in range(0, num_samples, most)]
    )


def codes_at_once(model: LatentModel[Any]) -> int:
    """Return how many codes are drawn at once."""
    return _CODES.get(model.device.type, _CODES_ELSEWHERE)


def draws_at_once(model: LatentModel[Any], num_rows: int, num: int) -> int:
    """Return how many of ``num`` draws of each row are decoded at once."""
    # With gradients, all outputs are kept anyway.
    most = None if torch.is_grad_enabled() else _DECODED.get(model.device.type)
    return max(1, most // max(1, num_rows)) if most else num


def _note(num_samples: int) -> Note:
    return Note(
        "importance-sampling",
        f"Importance sampling, K = {num_samples} draws a row: below the truth in expectation, "
        "and rising with K.",
    )
