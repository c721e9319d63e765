"""FeatureExtractor: what metrics compare samples and data by, as a package registers it."""

from __future__ import annotations

import abc
from typing import ClassVar

import torch
from torch import Tensor

from genzoo.spaces import Space


class FeatureExtractor(abc.ABC):
    """Features of examples; abstract. Its classes are registered in ``genzoo.extractors``.

    Class attributes:
        is_default: Whether it is used for rows that it takes if a metric names no extractor.

    Attributes:
        sha256: The hash of its weights, for the provenance of figures.

    Arguments:
        device: Where it computes.
    """

    is_default: ClassVar[bool] = False
    sha256: str

    @abc.abstractmethod
    def __init__(self, device: torch.device | str = "cpu") -> None: ...

    @classmethod
    @abc.abstractmethod
    def inapplicable_reason(cls, space: Space) -> str:
        """Say why it does not take rows of a space; empty where it does."""

    @abc.abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Return the features (B, D) of rows (B, *event_shape) on the device."""
