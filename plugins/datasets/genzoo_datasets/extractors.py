"""The small classifiers as feature extractors of metrics."""

from __future__ import annotations

import abc
from typing import ClassVar

import torch
from torch import Tensor

from genzoo.plugin import FeatureExtractor, Space
from genzoo_datasets import classifier

# On a CPU, images whose channels come last take two thirds of the time, and the layers of few
# images stay in its cache.
_AT_ONCE = {"cpu": 64}


class ClassifierFeatures(FeatureExtractor, abc.ABC):
    """Abstract base class: the 64 penultimate activations of a small classifier.

    Class attributes:
        classifier: The name of the classifier.
    """

    classifier: ClassVar[str]
    is_default = True

    def __init__(self, device: torch.device | str = "cpu") -> None:
        net = classifier.load_classifier(self.classifier).to(device)
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.sha256 = classifier.sha256_of(self.classifier)

    @classmethod
    def inapplicable_reason(cls, space: Space) -> str:
        """Return why it does not accept rows of a space; empty if it does."""
        wanted = classifier.SHIPPED[cls.classifier].event_shape
        if space.event_shape == wanted and space.bounds == (0.0, 1.0):
            return ""
        return f"{cls.classifier} is for images {wanted} in [0, 1], not for {space}"

    def features(self, x: Tensor) -> Tensor:
        """Return the features (B, 64) of images (B, C, H, W) in [0, 1]."""
        x = x.contiguous(memory_format=torch.channels_last)
        blocks = torch.split(x, _AT_ONCE.get(x.device.type, max(1, len(x))))
        return torch.cat([self.net.features(block) for block in blocks])


class DigitsCNN(ClassifierFeatures):
    """Features of a classifier of the dataset digits, 8 × 8."""

    classifier = "digits-cnn"


class FashionCNN(ClassifierFeatures):
    """Features of a classifier of Fashion-MNIST, 28 × 28."""

    classifier = "fashion-cnn"
