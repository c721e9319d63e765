"""Checks of codes: encode and decode."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genzoo.capabilities import SupportsDecode, SupportsEncode
from genzoo.conditions import condition_rows
from genzoo.errors import DataError
from genzoo.pretrained import GenerativeModel
from genzoo.spaces import Space
from genzoo.testing.cases import SEED, Case, CheckFailed, demand, demand_close, seeded


@torch.no_grad()
def check_encode(case: Case) -> None:
    """One finite code per row, with the shape of codes, which depends only on that row."""
    model: Any = case.model().eval()
    x, condition = case.event_rows(), case.condition(model)
    z = model.encode(x, condition=condition)
    _demand_shape(model, z, len(x), "encode")
    demand(bool(torch.isfinite(z).all()), "A code is not finite.")
    alone = model.encode(x[:1], condition=condition_rows(condition, model.conditions, slice(1)))
    demand_close(alone, z[:1], "A code depends on other rows.")


@torch.no_grad()
def check_draw_codes(case: Case) -> None:
    """A draw for each row is in the space of codes, and depends only on the generator."""
    model: Any = case.model().eval()
    x = case.event_rows()
    z = _drawn(case, model, x)
    _demand_shape(model, z, len(x), "draw_codes")
    try:
        model.codes.require(z, "The space of codes", noun="code")
    except DataError as error:
        raise CheckFailed(f"draw_codes returns what is not in codes: {error}") from error
    with seeded(SEED + 1):
        again = _drawn(case, model, x)
    demand(torch.equal(z, again), "draw_codes: the same generator draws other codes.")


@torch.no_grad()
def check_draws_by_row(case: Case) -> None:
    """The draw for a row depends only on that row and its own part of the noise."""
    model: Any = case.model().eval()
    x = case.event_rows()
    a, b = (_drawn(case, model, rows)[:1] for rows in (x, x[:1].expand_as(x)))
    demand_close(a, b, "What is drawn for a row depends on other rows.")


def _drawn(case: Case, model: Any, x: Tensor) -> Any:
    condition, generator = case.condition(model, len(x)), torch.Generator().manual_seed(SEED)
    return model.draw_codes(x, condition=condition, generator=generator)


def _demand_shape(model: Any, z: Tensor, num: int, method: str) -> None:
    space = model.codes
    demand(isinstance(space, Space), f"codes is a {type(space).__name__}, not a Space.")
    expected, shape = (num, *space.event_shape), tuple(z.shape)
    demand(shape == expected, f"{method} of {num} rows has {shape}; codes says {expected}.")


@torch.no_grad()
def check_decode(case: Case) -> None:
    """Data of the model's shape for each code, which depend only on that code."""
    model: Any = case.model().eval()
    condition = case.condition(model)
    z = codes_of(case, model, condition)
    condition = condition_rows(condition, model.conditions, slice(len(z)))
    x = model.decode(z, condition=condition)
    expected = (len(z), *model.event_shape)
    demand(tuple(x.shape) == expected, f"Decoded codes have {tuple(x.shape)}, not {expected}.")
    demand(bool(torch.isfinite(x).all()), "What is decoded is not finite.")
    alone = model.decode(z[:1], condition=condition_rows(condition, model.conditions, slice(1)))
    demand_close(alone, x[:1], "What a code is decoded to depends on other codes.")


def codes_of(case: Case, model: Any, condition: Any) -> Tensor:
    """Return codes: of the example, of the sampler, or with the size in the config."""
    if isinstance(model, SupportsEncode):
        return model.encode(case.event_rows(), condition=condition)
    drawn = _decoded_in_sampling(case, model)
    if drawn is not None:
        return drawn
    size = getattr(model.config, "latent_dim", None)
    demand(
        size is not None,
        "It declares decode, but nothing defines a code: encode, let the sampler decode, or "
        "give the config a field latent_dim.",
    )
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn(len(case.data()), int(size or 0), generator=generator)


def _decoded_in_sampling(case: Case, model: GenerativeModel) -> Tensor | None:
    """Return the codes that the model's sampler decodes, if it does."""
    seen: list[Tensor] = []
    watching: Any = model
    decode = watching.decode

    def watched(z: Tensor, **options: Any) -> Any:
        seen.append(z)
        return decode(z, **options)

    watching.decode = watched
    try:
        num = len(case.data())
        model.sample(num, seed=SEED, condition=case.condition(model, num))
    finally:
        del watching.decode
    return seen[0] if seen and isinstance(model, SupportsDecode) else None


@torch.no_grad()
def check_classify(case: Case) -> None:
    """Probabilities of the labels, (B, C), which depend only on the row and sum to one."""
    model: Any = case.model().eval()
    x = case.batch()["x"]
    p = model.classify(x)
    demand(p.ndim == 2 and len(p) == len(x), f"Of {len(x)} rows it gives {tuple(p.shape)}.")
    whole = torch.allclose(p.sum(1), torch.ones_like(p[:, 0]), atol=1e-4)
    demand(whole and bool((p >= 0).all()), "A row's probabilities do not sum to one.")
    alone = model.classify(x[:1])
    demand_close(alone, p[:1], "A row's probabilities depend on other rows.")
