"""MNIST and Fashion-MNIST: where their files are looked for, and what they say of themselves."""

from pathlib import Path

import pytest
import torch

from fashion_files import write_fashion
from genzoo import Binary, Categorical, DataError, Label, load_dataset

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def test_mnist_names_its_classes_and_takes_a_folder(tmp_path):
    info = load_dataset("mnist", folder=write_fashion(tmp_path)).info
    assert info["label"] == Label(num_classes=10, names=tuple("0123456789"))


def test_the_size_of_a_file_is_capped(tmp_path):
    folder, size = write_fashion(tmp_path), 12 * 28 * 28
    with pytest.raises(DataError, match=rf"would take {size:,} bytes"):
        load_dataset("mnist", folder=folder, max_bytes=size - 1)
    assert len(load_dataset("mnist", folder=folder, max_bytes=size)) == 12


def test_fashion_mnist_has_two_values_or_eight_categories(tmp_path):
    folder = write_fashion(tmp_path)
    grey, two, eight = (
        load_dataset("fashion-mnist", folder=folder, **config)
        for config in ({}, {"binarize": "threshold"}, {"levels": 8, "space": "categorical"})
    )
    assert two.info["x"] == Binary(shape=(1, 28, 28))
    assert eight.info["x"] == Categorical(shape=(1, 28, 28), num_categories=8)
    x = grey.head(12)["x"]
    assert torch.equal(two.head(12)["x"], (x > 0.5).float())
    level = ((x * 255).round().long() * 14 + 255) // 510
    assert torch.equal(eight.head(12)["x"], level)
    assert level.max() > 1


def test_fashion_mnist_of_the_system_package():
    if not DEBIAN.is_dir():
        pytest.skip(f"{DEBIAN} is not there: Debian's dataset-fashion-mnist is not installed")
    sizes = {"train": 60_000, "test": 10_000}
    for split, size in sizes.items():
        dataset = load_dataset("fashion-mnist", split)
        label = torch.bincount(dataset.labels())
        assert dataset.info["x"].event_shape == (1, 28, 28)
        assert dataset.info["label"].names[9] == "Ankle boot"
        assert label.tolist() == [size // 10] * 10
