"""Datasets of the Hub, with a library that never asks the network."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.data import load_dataset
from genzoo.data.hub import HubConfig, HubRows
from genzoo.errors import DataError, MissingDependencyError
from genzoo.spaces import Label, Unit

datasets = pytest.importorskip("datasets")


def pictures(num, shape=(4, 3), first=0):
    return [Image.fromarray(np.full(shape, first + i, np.uint8)) for i in range(num)]


def table(num=3, images=None, **columns):
    """Rows with an image, a label and a caption each."""
    features = {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=["cat", "dog"]),
        "caption": datasets.Value("string"),
    }
    values = {
        "image": pictures(num) if images is None else images,
        "label": [i % 2 for i in range(num)],
        "caption": [f"number {i}" for i in range(num)],
    }
    for name, (feature, column) in columns.items():
        features[name], values[name] = feature, column
    return datasets.Dataset.from_dict(values, features=datasets.Features(features))


@pytest.fixture
def hub(monkeypatch):
    """What the library was asked for, and the splits that it answers with."""
    splits, asked = {"test": table(2), "train": table(3)}, []

    def names(*args, **kwargs):
        asked.append((args, kwargs))
        return list(splits)

    def load(*args, **kwargs):
        asked.append((args, kwargs))
        return splits[kwargs["split"]]

    monkeypatch.setattr(datasets, "get_dataset_split_names", names)
    monkeypatch.setattr(datasets, "load_dataset", load)
    return splits, asked


def test_a_repository_is_images_with_labels(hub):
    dataset = load_dataset("someone/something")
    batch = dataset.batch([2, 0])
    assert torch.equal(
        batch["x"] * 255, torch.tensor([2.0, 0.0]).view(2, 1, 1, 1).expand(-1, 1, 4, 3)
    )
    assert (batch["label"].tolist(), batch["label"].dtype) == ([0, 0], torch.int64)
    assert set(batch) == {"x", "label"}
    assert dataset.info["x"] == Unit(shape=(1, 4, 3), levels=256)
    assert dataset.info.range["x"] == (0, 1)
    assert dataset.info["label"] == Label(num_classes=2, names=("cat", "dog"))
    assert dataset.name == "someone/something/train"
    assert len(load_dataset("someone/something", "test")) == 2


def test_the_training_split_comes_first_and_a_wrong_one_is_answered(hub):
    with pytest.raises(DataError, match=r"something has no split 'tran'.*mean 'train'"):
        load_dataset("someone/something", "tran")


def test_subset_and_revision_are_passed_on_and_nothing_is_streamed(hub):
    _, asked = hub
    load_dataset("someone/something", subset="small", revision="abc")
    (names, names_more), (load, load_more) = asked
    assert names == load == ("someone/something", "small")
    assert names_more == {"revision": "abc"}
    assert load_more == {"split": "train", "revision": "abc", "streaming": False}


def test_captions_are_taken_where_they_are_named(hub):
    batch = load_dataset("someone/something", text_column="caption").batch([2, 1])
    assert batch["text"] == ["number 2", "number 1"]


def test_colour_is_found_from_the_first_image_and_kept_for_all(hub):
    splits, _ = hub
    splits["train"] = table(2, [*pictures(1, (4, 3, 3), 7), *pictures(1, first=9)])
    batch = load_dataset("someone/something").batch([0, 1])
    assert batch["x"].shape == (2, 3, 4, 3)
    assert (batch["x"] * 255).amax((1, 2, 3)).tolist() == [7, 9]


def test_two_columns_of_images_are_not_guessed_between(hub):
    splits, _ = hub
    splits["train"] = table(2, other=(datasets.Image(), pictures(2, first=50)))
    with pytest.raises(DataError, match=r"2 columns of images; give --data.image-column.*other"):
        load_dataset("someone/something")
    chosen = load_dataset("someone/something", image_column="other")
    assert (chosen.batch([0])["x"] * 255).max() == 50


def test_no_column_of_images_is_said(hub):
    splits, _ = hub
    splits["train"] = datasets.Dataset.from_dict({"text": ["a"]})
    with pytest.raises(DataError, match="has 0 columns of images"):
        load_dataset("someone/something")
    with pytest.raises(DataError, match=r"row 0 of .* column 'text', is not an image"):
        load_dataset("someone/something", image_column="text")


def test_a_column_that_is_not_there_or_holds_no_labels_is_named(hub):
    with pytest.raises(DataError, match="no column 'labl': image, label, caption"):
        load_dataset("someone/something", label_column="labl")
    with pytest.raises(DataError, match="'caption' has no class labels"):
        load_dataset("someone/something", label_column="caption")


def test_mixed_sizes_and_missing_images_are_named_by_their_row(hub):
    splits, _ = hub
    splits["train"] = table(3, [*pictures(1), *pictures(1, (5, 3)), *pictures(1)])
    with pytest.raises(DataError, match=r"row 1 of .* 3 × 5 pixels and row 0 .*--data.size N"):
        load_dataset("someone/something")
    assert load_dataset("someone/something", size=2).batch([1])["x"].shape == (1, 1, 2, 2)
    splits["train"] = table(3, [*pictures(2), None])
    with pytest.raises(DataError, match=r"row 2 of .* is not an image"):
        load_dataset("someone/something")


def test_an_image_that_cannot_be_read_is_named_by_its_row(hub):
    splits, _ = hub
    splits["train"] = table(2, [*pictures(1), {"bytes": b"hello", "path": None}])
    with pytest.raises(DataError, match="row 1 of someone/something/train cannot be read"):
        load_dataset("someone/something")


def test_no_rows_are_refused(hub):
    splits, _ = hub
    splits["train"] = table(0)
    with pytest.raises(DataError, match="is empty"):
        load_dataset("someone/something")


def test_streamed_rows_are_refused():
    with pytest.raises(DataError, match="is streamed; only map-style"):
        HubRows(table().to_iterable_dataset(), HubConfig(), "streamed")


def test_a_missing_library_is_answered_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'genzoo\[data\]'"):
        load_dataset("someone/something")


@pytest.mark.parametrize(
    "error",
    [
        datasets.exceptions.DatasetNotFoundError("Not found.\nAnd more"),
        datasets.exceptions.DatasetGenerationError("Not found."),
        ConnectionError("Not found."),
        ValueError("Not found."),
    ],
)
def test_whatever_the_library_says_is_one_line(hub, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    for name in ("load_dataset", "get_dataset_split_names"):
        monkeypatch.setattr(datasets, name, fail)
        with pytest.raises(DataError, match=r"'someone/something' is not available: Not found\.$"):
            load_dataset("someone/something")


def test_a_bug_in_the_library_is_not_hidden(hub, monkeypatch):
    def fail(*args, **kwargs):
        raise AttributeError("a bug")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(AttributeError, match="a bug"):
        load_dataset("someone/something")


def test_mnist_that_is_nowhere_says_where_it_was_looked_for(hub, monkeypatch):
    def fail(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr("genzoo.data.idx._find", lambda folder, stem: None)
    _, asked = hub
    assert len(load_dataset("mnist")) == 3
    assert asked[0][0] == ("ylecun/mnist", None)
    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(DataError, match=r"/usr/share/datasets/mnist.*no network.*--data.folder"):
        load_dataset("mnist")
