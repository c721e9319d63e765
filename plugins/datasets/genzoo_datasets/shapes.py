"""Coloured shapes with captions: generated pictures with known content.

A picture has one shape in one colour, small or large, in one of five places. Some pairs of colour
and shape are held out: they are never in the training split and form a split of their own, so that
a model can be tested on new combinations.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from genzoo.plugin import (
    ArrayDataset,
    Bounds,
    DataConfig,
    DataInfo,
    Dataset,
    DataSource,
    Label,
    derive_seed,
    image_fields,
)
from genzoo_datasets.drawing import DRAWN, draw

COLOURS = {
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "yellow": (1.0, 1.0, 0.0),
    "purple": (1.0, 0.0, 1.0),
    "white": (1.0, 1.0, 1.0),
}
SHAPES = tuple(DRAWN)
SIZES = {"small": (0.11, 0.13), "large": (0.18, 0.22)}
"""The minimum and maximum radius, as a share of the picture's side."""
PLACES = {
    "at the top left": (-0.25, -0.25),
    "at the top right": (0.25, -0.25),
    "at the bottom left": (-0.25, 0.25),
    "at the bottom right": (0.25, 0.25),
    "in the middle": (0.0, 0.0),
}
"""The centre of the shape, right and down of the picture's centre, as a share of its side."""
JITTER = 0.03
"""The maximum deviation of the centre in each direction, as a share of the side."""

_COLOUR, _SHAPE = f"{{colour={'|'.join(COLOURS)}}}", f"{{shape={'|'.join(SHAPES)}}}"
_SIZE, _PLACE = f"{{size={'|'.join(SIZES)}}}", f"{{place={'|'.join(PLACES)}}}"
SHAPE_CAPTIONS = (
    f"a {_SIZE} {_COLOUR} {_SHAPE} {_PLACE}",
    f"a {_COLOUR} {_SHAPE} {_PLACE}",
    f"a {_SIZE} {_COLOUR} {_SHAPE}",
    f"a {_COLOUR} {_SHAPE}",
)
_SPLITS = ("train", "valid", "test", "held-out")
_BLOCK = 1000


@dataclass(frozen=True, kw_only=True)
class ShapesConfig(DataConfig):
    """Coloured shapes."""

    captions: bool = True
    """A caption for each row, drawn at each presentation."""
    num: Annotated[int, Bounds(1, 10**7)] = 20_000
    """The number of pictures in the training split; the others have a tenth of it."""
    side: Annotated[int, Bounds(16, 256)] = 32
    """Height and width, in pixels."""
    held_out: Annotated[int, Bounds(0, 20)] = 5
    """The number of the 30 pairs of colour and shape that are held out of training."""
    seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0
    """The seed of the pictures."""


@dataclass(frozen=True)
class Scene:
    """The content of pictures, one row for each.

    Arguments:
        colour: Index into `COLOURS`, (N,) int64.
        shape: Index into `SHAPES`, (N,) int64.
        size: Index into `SIZES`, (N,) int64.
        place: Index into `PLACES`, (N,) int64.
        radius: From the shape's middle to its farthest edge, in pixels, (N,).
        middle: The shape's middle, right and down of the top left corner, in pixels, (N, 2).
    """

    colour: Tensor
    shape: Tensor
    size: Tensor
    place: Tensor
    radius: Tensor
    middle: Tensor

    def columns(self) -> dict[str, Tensor]:
        """Return the values that captions can describe."""
        return {name: getattr(self, name) for name in ("colour", "shape", "size", "place")}

    def pictures(self, side: int) -> Tensor:
        """Return the pictures, (N, 3, side, side), in [0, 1]."""
        paint = torch.tensor(list(COLOURS.values()))[self.colour]
        mask = draw(self.shape, self.radius, self.middle, side)
        return paint[:, :, None, None] * mask[:, None]


class Shapes(DataSource[ShapesConfig]):
    """Pictures of one coloured shape on black, with captions of colour, shape, size and place.

    A batch has the content of its pictures: ``"colour"``, ``"shape"``, ``"size"`` and ``"place"``,
    int64, whether or not a caption names it; ``"label"`` is the shape.

    The splits are train, valid, test and held-out: the first three have the pairs of colour and
    shape that are not held out, the last one those that are. Pair k has colour k mod 6 and shape k
    mod 5, so that every colour and every shape occurs in other pairs, whatever the number of
    held-out pairs.
    """

    Config = ShapesConfig
    grammar = SHAPE_CAPTIONS

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits."""
        return _SPLITS if self.config.held_out else _SPLITS[:-1]

    def load(self, split: str) -> Dataset:
        """Draw the pictures of a split."""
        config = self.config
        num = config.num if split == "train" else max(1, config.num // 10)
        generator = torch.Generator().manual_seed(derive_seed("shapes", config.seed, split))
        scene = draw_scene(pairs(split, config.held_out), num, config.side, generator)
        fields = image_fields((3, config.side, config.side), names=SHAPES)
        slots = {"colour": tuple(COLOURS), "shape": SHAPES, "size": SIZES, "place": PLACES}
        fields |= {k: Label(num_classes=len(v), names=tuple(v)) for k, v in slots.items()}
        info = DataInfo(fields=fields, range={"x": (0.0, 1.0)})
        name = f"shapes/{split}, seed {config.seed}, {config.held_out} held out"
        x = _bytes(scene, config.side)
        return ArrayDataset(x, info, name, scene.shape, 255.0, columns=scene.columns())


def pairs(split: str, held_out: int) -> Tensor:
    """Return the pairs of colour and shape of a split, (P, 2) int64.

    >>> pairs("held-out", 2).tolist()
    [[0, 0], [1, 1]]
    >>> len(pairs("train", 2))
    28
    """
    k = torch.arange(len(COLOURS) * len(SHAPES))
    every = torch.stack([k % len(COLOURS), k % len(SHAPES)], dim=1)
    return every[:held_out] if split == "held-out" else every[held_out:]


def draw_scene(pairs: Tensor, num: int, side: int, generator: torch.Generator) -> Scene:
    """Draw the content of pictures, uniformly and independently.

    Arguments:
        pairs: The pairs of colour and shape to draw among, (P, 2).
        num: The number of pictures.
        side: Their height and width, in pixels.
        generator: The generator.
    """
    colour, shape = pairs[torch.randint(len(pairs), (num,), generator=generator)].unbind(1)
    size = torch.randint(len(SIZES), (num,), generator=generator)
    place = torch.randint(len(PLACES), (num,), generator=generator)
    least, greatest = torch.tensor(list(SIZES.values()))[size].unbind(1)
    radius = least + (greatest - least) * torch.rand(num, generator=generator)
    away = JITTER * (2 * torch.rand(num, 2, generator=generator) - 1)
    middle = 0.5 + torch.tensor(list(PLACES.values()))[place] + away
    return Scene(colour, shape, size, place, side * radius, side * middle)


def _bytes(scene: Scene, side: int) -> Tensor:
    """Return the pictures, (N, 3, side, side), as bytes."""
    blocks = zip(*(torch.split(column, _BLOCK) for column in _parts(scene)), strict=True)
    return torch.cat([(255 * Scene(*b).pictures(side)).round().to(torch.uint8) for b in blocks])


def _parts(scene: Scene) -> tuple[Tensor, ...]:
    return tuple(getattr(scene, field.name) for field in dataclasses.fields(scene))
