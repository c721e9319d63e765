"""FeatureExtractor: features for the comparison of samples and data."""

from __future__ import annotations

import abc
from typing import ClassVar

import torch
from torch import Tensor

from genzoo.spaces import Space


class FeatureExtractor(abc.ABC):
    """Abstract base class of feature extractors, which are registered in ``genzoo.extractors``.

    Class attributes:
        is_default: Whether it is used for rows that it accepts if a metric names no extractor.

    Attributes:
        sha256: The hash of its weights, for the provenance of figures.

    Arguments:
        device: The device.
    """

    is_default: ClassVar[bool] = False
    sha256: str

    @abc.abstractmethod
    def __init__(self, device: torch.device | str = "cpu") -> None: ...

    @classmethod
    @abc.abstractmethod
    def inapplicable_reason(cls, space: Space) -> str:
        """Return why it does not accept rows of a space; empty if it does."""

    @abc.abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Return the features (B, D) of rows (B, *event_shape) on the device."""
