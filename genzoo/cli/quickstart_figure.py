"""One picture of several models, with panels for their capabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from genzoo import latents, seeds
from genzoo.capabilities import SupportsDecode, SupportsEncode, SupportsFilters, SupportsInpainting
from genzoo.data import Dataset, draw_rows
from genzoo.files import atomic_file
from genzoo.model import Model
from genzoo.plotting import grid, new_figure, show, spread_filters, to_image
from genzoo.pretrained import GenerativeModel
from genzoo.sampling import own_sampler

_SIDE = 6
_PANELS = 4
_CHAINS = 4
_STATES = 24
Panel = tuple[str, Image.Image]


@torch.no_grad()
def draw(models: Mapping[str, GenerativeModel], test: Dataset, path: Path) -> None:
    """Write a picture with a row of panels for each model, and a row for its chains."""
    x = draw_rows(test, _SIDE**2)["x"]
    rows = [row for name, model in models.items() for row in _rows(name, model, x)]
    heights = [4.4 if len(row) > 1 else _height_of_chains(row[0][1]) for row in rows]
    figure = new_figure(4 * _PANELS, sum(heights))
    parts = figure.subfigures(len(rows), 1, height_ratios=heights)
    for part, row in zip(parts, rows, strict=True):
        axes = part.subplots(1, len(row), squeeze=False)[0]
        for axis, (title, image) in zip(axes, row, strict=True):
            show(axis, image, title)
    with atomic_file(path) as temporary:
        to_image(figure).save(temporary, format="PNG")


def _rows(name: str, model: Model, x: Tensor) -> Iterator[list[Panel]]:
    """Yield the panels of a model, then its chains if its sampler is a Markov chain."""
    views = [(f"{name}: {title}", image) for title, image in _views(model, x)]
    yield (views if len(views) >= _PANELS else [("Test data", grid(x)), *views])[:_PANELS]
    if own_sampler(model).is_markov_chain:
        yield [_chains(name, model)]


def _views(model: Any, x: Tensor) -> Iterator[Panel]:
    yield "samples", grid(model.sample(_SIDE**2, seed=0))
    codes = isinstance(model, SupportsEncode) and isinstance(model, SupportsDecode)
    if codes:
        yield "test data, encoded and decoded", grid(model.decode(model.encode(x)))
    if isinstance(model, SupportsInpainting):
        yield "upper halves given, lower halves filled in", grid(_inpainted(model, x))
    if isinstance(model, SupportsFilters):
        yield "filters", grid(spread_filters(model.filters()[: _SIDE**2]))
    if codes:
        yield from _of_codes(model, x)


def _of_codes(model: Any, x: Tensor) -> Iterator[Panel]:
    z = model.encode(x)
    if z.ndim == 2 and z.shape[1] == 2:
        yield "the plane of codes", grid(model.decode(latents.manifold(15, 2)))
    if z.ndim == 2:
        lines = latents.interpolation(z[:_SIDE], z[_SIDE : 2 * _SIDE], _SIDE)
        between = model.decode(lines.flatten(0, 1))
        yield "from one row's code to another's", grid(between, columns=_SIDE)


def _inpainted(model: SupportsInpainting, x: Tensor) -> Tensor:
    mask = torch.zeros(x.shape[1:], dtype=torch.bool)
    mask[..., x.shape[-2] // 2 :, :] = True
    return model.inpaint(x, mask, generator=seeds.generator(2))


def _chains(name: str, model: Model) -> Panel:
    """Return states of a few trajectories, chain by chain."""
    generator = seeds.generator(1, model.device)
    states = list(own_sampler(model).trajectory(model, _CHAINS, generator=generator))
    shown = sorted({round(len(states) ** (i / (_STATES - 1))) for i in range(_STATES)})
    kept = [model.to_data(states[i - 1]) for i in shown]
    picture = grid(torch.stack(kept, dim=1).flatten(0, 1), columns=len(shown))
    return f"{name}: {_CHAINS} chains, states {', '.join(map(str, shown))}", picture


def _height_of_chains(picture: Image.Image) -> float:
    return 0.4 + 4 * _PANELS * picture.height / picture.width
