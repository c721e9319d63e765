"""Pictures of what hidden units have learned: filters and fantasies, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.capabilities import SupportsLayers
from genzoo.cli.arguments import ExploreArguments
from genzoo.cli.texts import write
from genzoo.plotting import spread_filters, titled_rows, write_picture
from genzoo.sampling import evaluating
from genzoo.showing import images_of


def filters(model: Any, arguments: ExploreArguments) -> None:
    """Write the filters, or the receptive fields of one layer after the other."""
    layers = list(_layers(model))
    columns = min(arguments.num, math.ceil(math.sqrt(max(len(own) for _, own in layers))))
    pictures, titles, told = [], [], []
    for name, own in layers:
        shown = spread_filters(own[: columns * arguments.rows].cpu())
        rows = math.ceil(len(shown) / columns)
        blank = shown.new_full((rows * columns - len(shown), *shown.shape[1:]), 0.5)
        pictures += [shown, blank]
        titles += [name, *[""] * (rows - 1)]
        told.append(f"{len(shown):,} of {len(own):,}{f' of {name}' if name else ''}")
    write_picture(titled_rows(torch.cat(pictures), titles), arguments.output)
    write(f"Filters, each on its own scale with zero in grey, {', '.join(told)}: {_at(arguments)}")


def _layers(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the name of each layer and its filters; one without a name has no layers."""
    if isinstance(model, SupportsLayers):
        for layer in range(1, model.num_layers + 1):
            yield f"layer {layer}", model.receptive_fields(layer)
    else:
        yield "", model.filters()


def fantasies(model: Any, arguments: ExploreArguments) -> None:
    """Write samples, and below each what the layers know of it."""
    generator = seeds.generator(arguments.seed, model.device)
    with evaluating(model):
        drawn = model.fantasies(arguments.num, generator=generator)
    titles = ["sample", *(f"layer {layer}" for layer in range(1, len(drawn)))]
    images = torch.cat([images_of(model.event, x).float() for x in drawn])
    write_picture(titled_rows(images, titles), arguments.output)
    write(
        f"{arguments.num} samples, and below each what its layers know of it: the layers below "
        f"that one are drawn anew: {_at(arguments)}"
    )


def _at(arguments: ExploreArguments) -> str:
    path: Path = arguments.output
    return f"{path}."
