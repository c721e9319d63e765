"""Checks of codes: encode and decode."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genzoo.capabilities import SupportsDecode, SupportsEncode
from genzoo.conditions import rows_of
from genzoo.model import GenerativeModel
from genzoo.testing.cases import SEED, Case, demand


@torch.no_grad()
def check_encode(case: Case) -> None:
    """One finite code for each row, which depends on that row alone."""
    model: Any = case.model().eval()
    x, condition = case.event_rows(), case.condition(model, len(case.data()))
    z = model.encode(x, condition=condition)
    demand(z.ndim > 1 and len(z) == len(x), f"{len(x)} rows have codes of {tuple(z.shape)}.")
    demand(bool(torch.isfinite(z).all()), "A code is not finite.")
    alone = model.encode(x[:1], condition=rows_of(condition, model.conditions, slice(1)))
    demand(torch.allclose(alone, z[:1], rtol=1e-4, atol=1e-5), "A code depends on other rows.")


@torch.no_grad()
def check_decode(case: Case) -> None:
    """Data of the model's shape for each code, which depend on that code alone."""
    model: Any = case.model().eval()
    condition = case.condition(model, len(case.data()))
    z = codes_of(case, model, condition)
    condition = rows_of(condition, model.conditions, slice(len(z)))
    x = model.decode(z, condition=condition)
    expected = (len(z), *model.event_shape)
    demand(tuple(x.shape) == expected, f"Decoded codes have {tuple(x.shape)}, not {expected}.")
    demand(bool(torch.isfinite(x).all()), "What is decoded is not finite.")
    alone = model.decode(z[:1], condition=rows_of(condition, model.conditions, slice(1)))
    same = torch.allclose(alone, x[:1], rtol=1e-4, atol=1e-5)
    demand(same, "What a code is decoded to depends on other codes.")


def codes_of(case: Case, model: Any, condition: Any) -> Tensor:
    """Return codes: of the example, as the sampler makes them, or of the config's size."""
    if isinstance(model, SupportsEncode):
        return model.encode(case.event_rows(), condition=condition)
    drawn = _decoded_in_sampling(case, model)
    if drawn is not None:
        return drawn
    size = getattr(model.config, "latent_dim", None)
    demand(
        size is not None,
        "It declares decode, but nothing says what a code is: encode, let the sampler decode, or "
        "give the config a field latent_dim.",
    )
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn(len(case.data()), int(size or 0), generator=generator)


def _decoded_in_sampling(case: Case, model: GenerativeModel) -> Tensor | None:
    """Return the codes that the model's own sampler decodes, where it does."""
    seen: list[Tensor] = []
    watching: Any = model
    decode = watching.decode

    def watched(z: Tensor, **options: Any) -> Tensor:
        seen.append(z)
        found: Tensor = decode(z, **options)
        return found

    watching.decode = watched
    try:
        num = len(case.data())
        model.sample(num, seed=SEED, condition=case.condition(model, num))
    finally:
        del watching.decode
    return seen[0] if seen and isinstance(model, SupportsDecode) else None


@torch.no_grad()
def check_classify(case: Case) -> None:
    """Probabilities of the labels, (B, C), which depend on the row alone and sum to one."""
    model: Any = case.model().eval()
    x = case.batch()["x"]
    p = model.classify(x)
    demand(p.ndim == 2 and len(p) == len(x), f"Of {len(x)} rows it gives {tuple(p.shape)}.")
    whole = torch.allclose(p.sum(1), torch.ones_like(p[:, 0]), atol=1e-4)
    demand(whole and bool((p >= 0).all()), "A row's probabilities do not sum to one.")
    alone = model.classify(x[:1])
    same = torch.allclose(alone, p[:1], rtol=1e-4, atol=1e-5)
    demand(same, "A row's probabilities depend on other rows.")
