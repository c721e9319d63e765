"""Fashion-MNIST and its image under a known bijection, so that the true translation is known."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from genzoo.plugin import ArrayDataset, DataInfo, Dataset, DataSource, IDXConfig, TwoDomains, Unit
from genzoo_datasets.mnist import FashionMNIST


class Bijection(abc.ABC):
    """Abstract base class of exactly invertible maps T of grey images.

    Values are from 0 to ``top``: 1 for images in [0, 1], or integers up to another value.
    """

    @abc.abstractmethod
    def forward(self, x: Tensor, top: float = 1) -> Tensor:
        """Return T(x) for grey images x, (N, 1, H, W)."""

    @abc.abstractmethod
    def inverse(self, y: Tensor, top: float = 1) -> Tensor:
        """Return the grey images, (N, 1, H, W), whose T(x) is ``y``."""


class Negative(Bijection):
    """T(x) = 1 − x, which is its own inverse."""

    def forward(self, x: Tensor, top: float = 1) -> Tensor:
        """Return the negative."""
        return top - x

    def inverse(self, y: Tensor, top: float = 1) -> Tensor:
        """Return the negative."""
        return top - y


class Rotated(Bijection):
    """A rotation by 90° to the left."""

    def forward(self, x: Tensor, top: float = 1) -> Tensor:
        """Return the images rotated to the left."""
        return torch.rot90(x, 1, (-2, -1))

    def inverse(self, y: Tensor, top: float = 1) -> Tensor:
        """Return the images rotated to the right."""
        return torch.rot90(y, -1, (-2, -1))


class Coloured(Bijection):
    """Grey as the colour of glowing iron: T(x) = (min(2x, 1), max(2x − 1, 0), 0).

    Black, over red, to yellow; the inverse is x = (red + green) / 2.
    """

    def forward(self, x: Tensor, top: float = 1) -> Tensor:
        """Return the images in colour, (N, 3, H, W)."""
        double = 2 * x
        red, green = double.clamp(max=top), (double - top).clamp(min=0)
        return torch.cat([red, green, torch.zeros_like(x)], dim=-3)

    def inverse(self, y: Tensor, top: float = 1) -> Tensor:
        """Return half of red and green together."""
        total = y[..., 0:1, :, :] + y[..., 1:2, :, :]
        return total / 2 if y.is_floating_point() else total // 2


@dataclass(frozen=True, kw_only=True)
class FashionPairConfig(IDXConfig):
    """Fashion-MNIST and its image under a bijection."""

    size: Literal[14, 28] = 28
    """The side of an image; at 14 each pixel is the exact mean of 2 × 2."""


class _FashionPair(DataSource[FashionPairConfig], abc.ABC):
    """Abstract base class: Fashion-MNIST as x and T(Fashion-MNIST) as y.

    The domains of the training split have no image in common: x is images 0–29,999, y is T of
    images 30,000–59,999. The rows of the test split are aligned: y is T(x), so that a translation
    can be compared with the truth.
    """

    Config = FashionPairConfig
    bijection: ClassVar[Bijection]
    title: ClassVar[str]

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits."""
        return ("train", "test")

    def load(self, split: str) -> Dataset:
        """Return one split with both domains, without binarisation."""
        images = _Images.read(self.config, split)
        half = len(images.values) // 2
        if split == "test":
            first = second = slice(None)
        else:
            first, second = slice(0, half), slice(half, None)
        x = images.dataset(images.values[first], first, f"fashion-mnist/{split}")
        turned = self.bijection.forward(images.values[second], images.top)
        y = images.dataset(turned, second, f"{self.title}/{split}")
        return TwoDomains(x, y, aligned=split == "test")


class FashionMNISTNegative(_FashionPair):
    """Fashion-MNIST and its negative, T(x) = 1 − x."""

    bijection, title = Negative(), "fashion-mnist-negative"


class FashionMNISTRotated(_FashionPair):
    """Fashion-MNIST and itself rotated by 90° to the left."""

    bijection, title = Rotated(), "fashion-mnist-rotated"


class FashionMNISTColoured(_FashionPair):
    """Fashion-MNIST and itself in the colours of glowing iron, with three channels."""

    bijection, title = Coloured(), "fashion-mnist-coloured"


@dataclass(frozen=True, eq=False)
class _Images:
    """Grey images as integers from 0 to ``top``, (N, 1, H, W), so that nothing is rounded."""

    values: Tensor
    label: Tensor
    top: int
    info: DataInfo

    @classmethod
    def read(cls, config: FashionPairConfig, split: str) -> _Images:
        """Read a split of Fashion-MNIST; at 14 pixels per side as sums of 2 × 2."""
        source = FashionMNIST(IDXConfig(folder=config.folder))
        data = source.load(split)
        found = data.head(len(data))
        values = (found["x"] * 255).round().to(torch.int16)
        if config.size == 28:
            return cls(values, found["label"], 255, data.info)
        num, _, height, width = values.shape
        blocks = values.view(num, 1, height // 2, 2, width // 2, 2)
        return cls(blocks.sum((3, 5), dtype=torch.int16), found["label"], 1020, data.info)

    def dataset(self, values: Tensor, rows: slice, name: str) -> ArrayDataset:
        """Return some of these images as a dataset in [0, 1]."""
        space = Unit(shape=tuple(values.shape[1:]), levels=self.top + 1)
        info = DataInfo(fields={**self.info.fields, "x": space}, range={"x": (0.0, 1.0)})
        kept = values.to(torch.uint8) if self.top == 255 else values
        return ArrayDataset(kept, info, name, self.label[rows], float(self.top))
