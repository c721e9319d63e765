"""MNIST and Fashion-MNIST: images of 28 × 28 in ten classes, in IDX files."""

from __future__ import annotations

from genzoo.plugin import IDXSource
from genzoo_datasets.grammars import DIGIT_CAPTIONS, FASHION_CAPTIONS

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


class FashionMNIST(IDXSource):
    """Zalando's 70,000 articles of clothing, 28 × 28, in ten classes.

    | Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms
    | (Xiao, Rasul, Vollgraf, 2017)
    """

    title = "fashion-mnist"
    class_names = FASHION_CLASSES
    folders = ("/usr/share/datasets/fashion-mnist",)
    repository = "zalando-datasets/fashion_mnist"
    grammar = FASHION_CAPTIONS
    remedy = "Give --data.folder FOLDER (Debian has a package dataset-fashion-mnist)."


class MNIST(IDXSource):
    """LeCun, Cortes and Burges' 70,000 handwritten digits, 28 × 28.

    | Gradient-based learning applied to document recognition (LeCun et al., 1998)
    """

    title = "mnist"
    class_names = tuple("0123456789")
    folders = ("/usr/share/datasets/mnist",)
    repository = "ylecun/mnist"
    grammar = DIGIT_CAPTIONS
