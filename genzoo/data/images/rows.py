"""Rows that are images of files, decoded when they are read and kept within a budget."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo.data.dataset import Dataset
from genzoo.data.fields import image_fields
from genzoo.data.images.appearance import colour_of
from genzoo.data.images.cache import RowCache
from genzoo.data.images.config import PicturesConfig
from genzoo.data.images.decoding import Look
from genzoo.data.images.survey import Survey
from genzoo.errors import DataError
from genzoo.spec import DataInfo


class PictureRows(Dataset):
    """Abstract base class of images that are decoded when they are read.

    Arguments:
        num_rows: The number of images.
        config: How the images become rows.
        survey: The survey of all images that share their space, also of other splits.
        label: The label of each image, (N,) int64; None if there are none.
        class_names: The names of the classes.
        num_classes: The number of classes; that of the names if None.
    """

    def __init__(
        self,
        num_rows: int,
        config: PicturesConfig,
        survey: Survey,
        *,
        label: Tensor | None = None,
        class_names: Sequence[str] = (),
        num_classes: int | None = None,
    ) -> None:
        self.num_rows, self.label = num_rows, label
        self.look = Look(survey.mode, config.size, colour_of(config.background), config.max_pixels)
        self.cache = RowCache(num_rows, survey.shape, config.cache_bytes)
        fields = image_fields(survey.shape, names=class_names, num_classes=num_classes)
        self.info = DataInfo(fields=fields, range={"x": (0.0, 1.0)})

    @abc.abstractmethod
    def decode(self, rows: list[int]) -> list[tuple[str, Tensor]]:
        """Return the name and the image of each of some rows, uint8 (C, H, W).

        Arguments:
            rows: The indices of the rows.

        Raises:
            DataError: One cannot be read.
        """

    def __len__(self) -> int:
        """Return the number of images."""
        return self.num_rows

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the images at ``indices``."""
        index = torch.as_tensor(indices, dtype=torch.long)
        x = self.cache.rows(index, self._checked)
        found: dict[str, Any] = {"x": x.float().div_(255)}
        return found if self.label is None else {**found, "label": self.label[index]}

    def labels(self) -> Tensor | None:
        """Return the label of every image."""
        return self.label

    def needs_workers(self, num_rows: int) -> bool:
        """Whether more rows are read than are kept, so that they are decoded again and again."""
        return num_rows > self.cache.capacity

    def _checked(self, rows: list[int]) -> list[Tensor]:
        found = self.decode(rows)
        for name, image in found:
            if tuple(image.shape) != self.cache.shape:
                raise DataError(
                    f"{name} has the shape {tuple(image.shape)}, which was {self.cache.shape} "
                    "when the data were loaded. Load them again."
                )
        return [image for _, image in found]
