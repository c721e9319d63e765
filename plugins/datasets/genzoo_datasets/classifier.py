"""Small classifiers of digits and of clothes, whose weights come with the package.

`benchmarks/train_classifiers.py` trains and evaluates them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import DataError, UnknownNameError
from genzoo_datasets.mnist import FASHION_CLASSES

FEATURES = 64
_BLOCK = 500


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """A classifier whose weights come with the package.

    Arguments:
        event_shape: The shape of one image, (C, H, W).
        class_names: The names of the labels, in order.
        widths: The channels of each stage, each of which halves height and width.
        data: The dataset on whose training split it was trained.
    """

    event_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    widths: tuple[int, ...]
    data: str


SHIPPED = {
    "digits-cnn": Shipped(
        event_shape=(1, 8, 8), class_names=tuple("0123456789"), widths=(32, 64), data="digits"
    ),
    "fashion-cnn": Shipped(
        event_shape=(1, 28, 28),
        class_names=FASHION_CLASSES,
        widths=(16, 32, 64),
        data="fashion-mnist",
    ),
}


class Classifier(nn.Module):
    """p(label | x) of small images in [0, 1], grey or binarised.

    Each stage has two 3 × 3 convolutions and a pooling layer that halves the sides. A layer of 64
    features and a linear layer for the logits follow.

    Arguments:
        shipped: Its shape, widths and labels.
    """

    def __init__(self, shipped: Shipped) -> None:
        super().__init__()
        channels, height, width = shipped.event_shape
        stages: list[nn.Module] = []
        for wide in shipped.widths:
            stages += [*_convolution(channels, wide), *_convolution(wide, wide), nn.MaxPool2d(2)]
            channels, height, width = wide, height // 2, width // 2
        self.stages = nn.Sequential(*stages)
        self.penultimate = nn.Linear(channels * height * width, FEATURES, bias=False)
        self.norm = nn.BatchNorm1d(FEATURES)
        self.logits = nn.Linear(FEATURES, len(shipped.class_names))

    def features(self, x: Tensor) -> Tensor:
        """Return the penultimate activations, (N, 64), of images (N, C, H, W) in [0, 1]."""
        h = self.stages(2 * x - 1).flatten(1)
        return F.silu(self.norm(self.penultimate(h)))

    def forward(self, x: Tensor) -> Tensor:
        """Return log p(label | x), (N, num_classes), of images (N, C, H, W) in [0, 1]."""
        return F.log_softmax(self.logits(self.features(x)), dim=1)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the most probable label of each image of ``x`` (N, C, H, W), (N,) int64."""
        return torch.cat([self(block).argmax(1) for block in torch.split(x.float(), _BLOCK)])


def load_classifier(name: str) -> Classifier:
    """Return a classifier in eval mode, without gradients.

    Raises:
        UnknownNameError: There is none with this name.
    """
    with torch.random.fork_rng(devices=[]):
        classifier = Classifier(shipped(name))
    classifier.load_state_dict(safetensors.torch.load(_bytes(name)))
    return classifier.eval().requires_grad_(False)


def sha256_of(name: str) -> str:
    """Return the hash of a classifier's shipped weights.

    Raises:
        UnknownNameError: There is none with this name.
    """
    shipped(name)
    return hashlib.sha256(_bytes(name)).hexdigest()


def shipped(name: str) -> Shipped:
    """Return the description of a classifier, without its weights.

    Raises:
        UnknownNameError: There is none with this name.
    """
    if name not in SHIPPED:
        raise UnknownNameError("classifier", name, SHIPPED)
    return SHIPPED[name]


def fitting(event_shape: tuple[int, ...]) -> str | None:
    """Return the name of the classifier for images of a shape, or None."""
    names = [name for name, made in SHIPPED.items() if made.event_shape == tuple(event_shape)]
    return names[0] if names else None


def weights_file(name: str) -> str:
    """Return the name of a classifier's file in ``genzoo_datasets/weights``."""
    return f"{name}.safetensors"


def _convolution(channels: int, wide: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]


def _bytes(name: str) -> bytes:
    file = resources.files("genzoo_datasets").joinpath("weights", weights_file(name))
    if not file.is_file():
        raise DataError(f"The weights of {name} are not in this installation: reinstall genzoo.")
    return file.read_bytes()
