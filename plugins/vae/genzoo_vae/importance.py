"""The likelihood of data by importance sampling."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genzoo import Estimate, Note
from genzoo.estimate import mean_of
from genzoo.seeds import fresh
from genzoo_vae.bounds import terms

if TYPE_CHECKING:
    from genzoo_vae.vae import VAE

# So many codes are decoded at once: their outputs stay in a processor's cache.
_CODES = {"cpu": 2048}
_CODES_ELSEWHERE = 65_536


@torch.no_grad()
def estimate(
    model: VAE, x: Tensor, y: Tensor | None, generator: torch.Generator | None, num_samples: int
) -> Estimate:
    """Return the mean of log (1/K) Σ_k w_k over examples (N, *event_shape), with its notes."""
    if generator is None:
        generator = torch.Generator(model.device).manual_seed(fresh())
    size = max(1, _CODES.get(model.device.type, _CODES_ELSEWHERE) // num_samples)
    bounds, effective = [], []
    for first in range(0, len(x), size):
        rows = slice(first, first + size)
        labels = None if y is None else y[rows]
        log_w = _log_weights(model, x[rows], labels, num_samples, generator)
        bounds.append(log_w.logsumexp(0) - math.log(num_samples))
        effective.append((2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp())
    found = mean_of(torch.cat(bounds), "lower bound", notes=_notes(model, num_samples))
    median = torch.cat(effective).median().item()
    receipt = {"importance_samples": num_samples, "median_effective_samples": round(median, 1)}
    return dataclasses.replace(found, receipt=receipt)


def _log_weights(
    model: VAE, x: Tensor, y: Tensor | None, num_samples: int, generator: torch.Generator
) -> Tensor:
    """Return log w, (K, B), float64, of a few rows."""
    x = x.to(model.device, model.dtype)
    parts, most = [], _CODES.get(model.device.type, _CODES_ELSEWHERE)
    for first in range(0, num_samples, most):
        shape = (min(most, num_samples - first), len(x), model.config.latent_dim)
        eps = torch.randn(shape, generator=generator, device=model.device, dtype=model.dtype)
        parts.append(terms(model, x, eps, y).log_weights.double())
    return torch.cat(parts)


def _notes(model: VAE, num_samples: int) -> tuple[Note, ...]:
    sampling = Note(
        "importance-sampling",
        f"Importance sampling, K = {num_samples} draws a row: below the truth in expectation, "
        "and rising with K.",
    )
    if model.observation.discrete:
        return (sampling,)
    return (
        sampling,
        Note("density", "A density: it changes with the unit of x and may exceed 0."),
    )
