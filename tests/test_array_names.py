"""Names of arrays in other people's files: splits, labels and texts; the rest is said."""

import numpy as np
import pytest
import torch

from genzoo import load_dataset
from genzoo.data.arrays.names import Part, contents_of, part_of
from genzoo.errors import DataError
from genzoo.spaces import Binary, Categorical, Label, Unit
from test_data_arrays import everything, save

RANDOM = np.random.default_rng(0)
X = RANDOM.random((6, 3))
LABEL = np.array([0, 2, 1, 0, 2, 1])


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("x", Part("rows", "")),
        ("X", Part("rows", "")),
        ("train", Part("rows", "train")),
        ("x_train", Part("rows", "train")),
        ("X_Test", Part("rows", "test")),
        ("x_val", Part("rows", "valid")),
        ("train_x", Part("rows", "train")),
        ("xtrain", Part("rows", "train")),
        ("trainX", Part("rows", "train")),
        ("train-images", Part("rows", "train")),
        ("validation.data", Part("rows", "valid")),
        ("Y", Part("label", "")),
        ("y_train", Part("label", "train")),
        ("testy", Part("label", "test")),
        ("train_labels", Part("label", "train")),
        ("label_valid", Part("label", "valid")),
        ("TARGETS", Part("label", "")),
        ("captions_train", Part("text", "train")),
        ("weights", None),
        ("class_names", None),
        ("x_y", None),
        ("train_test", None),
        ("", None),
        ("_", None),
    ],
)
def test_names_are_understood(name, part):
    assert part_of(name) == part


@pytest.mark.parametrize("end", ["npz", "safetensors"])
@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ("X", "y"),
        ("x", "labels"),
        ("images", "Label"),
        ("data", "targets"),
        ("whatever", "target"),
    ],
)
def test_labels_are_taken(tmp_path, end, rows, labels):
    found = load_dataset(save(tmp_path / f"a.{end}", **{rows: X, labels: LABEL}))
    assert np.array_equal(everything(found)["x"], X.astype(np.float32))
    assert found.labels().tolist() == LABEL.tolist()
    assert found.notes == ()


def test_the_form_of_keras_has_two_splits(tmp_path):
    x = RANDOM.integers(0, 256, (10, 7, 5)).astype(np.uint8)
    y = np.arange(10, dtype=np.uint8) % 4
    path = save(tmp_path / "mnist.npz", x_test=x[6:], x_train=x[:6], y_train=y[:6], y_test=y[6:])
    for split, rows in (("train", slice(0, 6)), ("test", slice(6, 10))):
        found = load_dataset(path, split)
        assert found.info["x"] == Unit(shape=(1, 7, 5), levels=256)
        assert found.info["label"] == Label(num_classes=4)
        assert np.array_equal(everything(found)["x"][:, 0], x[rows].astype("f4") / np.float32(255))
        assert found.labels().tolist() == y[rows].tolist()
        mean = torch.from_numpy(x[:6, None] / 255).mean(0).float()
        torch.testing.assert_close(found.info.mean["x"], mean)
    with pytest.raises(DataError, match="has no split 'valid'"):
        load_dataset(path, "valid")


def test_a_column_of_labels_in_three_splits_is_taken(tmp_path):
    names = {
        s: {f"{s}_images": X, f"{s}_labels": LABEL[:, None]} for s in ("train", "val", "test")
    }
    path = save(tmp_path / "a.npz", **names["test"], **names["val"], **names["train"])
    for split in ("train", "valid", "test"):
        assert load_dataset(path, split).labels().tolist() == LABEL.tolist()


def test_texts_are_labels_in_natural_order_or_captions(tmp_path):
    given = {"y_train": ["c10", "c2", "c1", "", "c2", "c1"], "y_test": ["c3"] * 6}
    path = save(tmp_path / "a.npz", train=X, test=X, **given, captions=list("abcdef"))
    train, test = load_dataset(path), load_dataset(path, "test")
    assert train.info["label"] == test.info["label"]
    assert train.info["label"].names == ("c1", "c2", "c3", "c10")
    assert train.labels().tolist() == [3, 1, 0, -1, 1, 0]
    assert test.labels().tolist() == [2] * 6
    assert everything(train)["text"] == list("abcdef")


def test_what_is_left_out_is_said(tmp_path):
    targets = {"y": X[:, 0], "epoch": np.array(3), "X": X}
    found = load_dataset(save(tmp_path / "a.npz", **targets))
    assert found.notes == ("left out of the file: epoch, y (not one class for each row)",)
    assert "label" not in found.info
    found = load_dataset(save(tmp_path / "b.npz", x=X, x_train=X, y_train=LABEL))
    assert found.notes == ("left out of the file: x",)
    with pytest.raises(DataError, match="one for each row"):  # They were meant to be labels.
        load_dataset(save(tmp_path / "c.npz", x=X, labels=X))


@pytest.mark.parametrize(
    "names", [["x", "data"], ["x_train", "train"], ["a", "b"], ["y", "label"], []]
)
def test_names_that_do_not_tell_which_are_the_rows_are_refused(names):
    with pytest.raises(DataError, match="it is not clear which are the rows"):
        contents_of(names, "a.npz")


# One space for all splits.


def test_splits_have_the_space_of_the_first(tmp_path):
    dark = RANDOM.integers(0, 9, (4, 1, 2, 3)).astype(np.uint8)
    path = save(tmp_path / "a.npz", train=dark + 99, test=dark)
    train, test = load_dataset(path), load_dataset(path, "test")
    assert train.info["x"] == test.info["x"] == Unit(shape=(1, 2, 3), levels=256)
    assert torch.equal(everything(test)["x"], torch.from_numpy(dark).float() / 255)
    path = save(tmp_path / "b.npz", train=np.eye(3), test=np.eye(3) / 2)
    assert load_dataset(path).info["x"] == Binary(shape=(3,))
    with pytest.raises(DataError, match=r"b\.npz:test must fit the first split.*row 0 holds 0\.5"):
        load_dataset(path, "test")


@pytest.mark.parametrize("split", ["train", "test"])
def test_levels_and_categories_are_counted_over_all_splits(tmp_path, split):
    rows = {"train": np.array([[0, 3], [1, 2]]), "test": np.array([[0, 7]])}
    path = save(tmp_path / "a.npz", **rows)
    found = load_dataset(path, split, space="categorical")
    assert found.info["x"] == Categorical(shape=(2,), num_categories=8)
    assert everything(found)["x"].tolist() == rows[split].tolist()
    found = load_dataset(path, split, space="unit")
    assert found.info["x"] == Unit(shape=(2,), levels=8)
    torch.testing.assert_close(everything(found)["x"], torch.from_numpy(rows[split] / 7).float())
    assert found.info.range["x"] == (0, 1)


@pytest.mark.parametrize("space", ["binary", "categorical"])
def test_converted_splits_have_one_space(tmp_path, space):
    x = RANDOM.integers(0, 256, (4, 6)).astype(np.uint8)
    path = save(tmp_path / "a.npz", train=x, test=x[:2] // 2)
    train, test = (load_dataset(path, s, scale=255, space=space) for s in ("train", "test"))
    assert train.info["x"] == test.info["x"]
    assert everything(test)["x"].max() == (0 if space == "binary" else (x[:2] // 2).max())


@pytest.mark.parametrize("how", ["threshold", "static", "dynamic"])
def test_levels_are_binarised_once_they_are_read_as_such(tmp_path, how):
    path = save(tmp_path / "a.npz", x=np.array([[0, 255], [255, 0], [3, 0]], np.uint8))
    found = load_dataset(path, space="unit", binarize=how)
    assert found.info["x"] == Binary(shape=(2,))
    assert everything(found)["x"][:2].tolist() == [[0, 1], [1, 0]]
