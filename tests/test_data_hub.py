"""Datasets of the Hub, with a library that never asks the network."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.data import as_dataset, load_dataset
from genzoo.data.hub.source import HubConfig, HubRows
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
    with pytest.raises(DataError, match=r"'image' of someone.*one label for each row"):
        load_dataset("someone/something", label_column="image")


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


# Rows as people have them


def held(label=None, kind=None, num=3, images=None, caption=None, **config):
    """Return rows with an image each, and a label and a caption where they are given."""
    values, features = {"image": images or pictures(num)}, {"image": datasets.Image()}
    if label is not None:
        values["label"], features["label"] = label, kind
    if caption is not None:
        values["caption"], features["caption"] = caption, datasets.Value("string")
        config |= {"text_column": "caption"}
    rows = datasets.Dataset.from_dict(values, features=datasets.Features(features))
    return HubRows(rows, HubConfig(**config), "rows")


def test_labels_that_are_none_are_rows_without_a_label():
    found = held([1, None, 0], datasets.ClassLabel(names=["cat", "dog"]))
    assert found.labels().tolist() == found.batch([0, 1, 2])["label"].tolist() == [1, -1, 0]
    assert found.info["label"].names == ("cat", "dog")


@pytest.mark.parametrize(
    ("values", "kind", "right", "names", "num"),
    [
        ([4, 0, None], "int64", [4, 0, -1], (), 5),
        ([4.0, 0.0, None], "float64", [4, 0, -1], (), 5),
        ([True, False, True], "bool", [1, 0, 1], ("False", "True"), 2),
        (["b10", "b2", None], "string", [1, 0, -1], ("b2", "b10"), 2),
    ],
)
def test_labels_need_no_names(values, kind, right, names, num):
    found = held(values, datasets.Value(kind), label_column="label")
    assert found.labels().tolist() == right
    assert found.info["label"] == Label(num_classes=num, names=names)
    if kind != "float64":
        assert held(values, datasets.Value(kind)).labels().tolist() == right
    assert "label" not in held(values, datasets.Value(kind), label_column="").info


def test_labels_that_are_all_missing_are_none():
    found = held([None, -1, None], datasets.Value("int64"))
    assert found.labels() is None
    assert set(found.batch([0])) == {"x"}


def test_captions_that_are_none_are_empty():
    assert held(caption=["a", None, ""]).batch([0, 1, 2])["text"] == ["a", "", ""]


def test_numbers_are_not_captions():
    found = held([4, 0, 1], datasets.Value("int64"), text_column="label", label_column="")
    with pytest.raises(DataError, match=r"row 1 of rows, column 'label', is not a text"):
        found.batch([1])


def test_colour_is_found_from_all_rows_and_that_is_said():
    for images in (
        [*pictures(1, (4, 3, 3), 7), *pictures(1)],
        [*pictures(1), *pictures(1, (4, 3, 3))],
    ):
        found = held(images=images)
        assert found.info["x"].event_shape == (3, 4, 3)
        assert found.notes == (
            "Grey, but read in colour: 1 of 2 images. For grey rows: --data.mode L.",
        )


def test_rows_are_seen_as_files_are(tmp_path):
    image = Image.new("RGBA", (3, 2), (1, 2, 3, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    found = held(images=[str(tmp_path / "a.png")], background="#0a141e")
    assert (found.batch([0])["x"] * 255).round()[0, :, :, 0].T.tolist() == [[10, 20, 30]] * 3
    assert found.info["x"].event_shape == (3, 3, 2)


@pytest.mark.parametrize(
    "feature",
    [
        datasets.Image(decode=False),
        {"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
    ],
)
def test_undecoded_images_are_read(feature):
    rows = (
        table(2).cast_column("image", datasets.Image(decode=False)).cast_column("image", feature)
    )
    assert (HubRows(rows, HubConfig(), "rows").batch([1])["x"] * 255).unique().tolist() == [1]


def test_bytes_of_files_are_images(tmp_path):
    pictures(1, first=9)[0].save(tmp_path / "a.png")
    rows = datasets.Dataset.from_dict({"jpg": [(tmp_path / "a.png").read_bytes()]})
    assert (HubRows(rows, HubConfig(), "rows").batch([0])["x"] * 255).unique().tolist() == [9]


@pytest.mark.parametrize("kind", ["torch", "numpy", "pandas", "arrow"])
def test_a_format_of_the_rows_changes_nothing(kind):
    found = HubRows(table(3).with_format(kind), HubConfig(), "rows")
    assert found.batch([2])["label"].tolist() == [0]
    assert (found.batch([2])["x"] * 255).unique().tolist() == [2]


def test_a_transform_of_the_rows_is_left_out_and_that_is_said():
    rows = table(2).with_transform(lambda batch: {"image": [None] * len(batch["image"])})
    found = HubRows(rows, HubConfig(), "rows")
    assert (found.batch([1])["x"] * 255).unique().tolist() == [1]
    assert "Their transform is not used." in found.notes


def test_selected_and_shuffled_rows_keep_their_own_labels():
    rows = table(6).select([5, 2, 3])
    found = HubRows(rows, HubConfig(), "rows")
    assert (found.batch([0, 1, 2])["x"] * 255)[:, 0, 0, 0].tolist() == [5, 2, 3]
    assert found.labels().tolist() == [1, 0, 1]


def test_columns_that_are_not_read_are_said():
    assert HubRows(table(2), HubConfig(), "rows").notes == ("Columns that are not read: caption.",)


def test_the_first_split_decides_the_space_of_all(hub):
    splits, _ = hub
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})

    def split(images, labels):
        return datasets.Dataset.from_dict({"image": images, "label": labels}, features=features)

    splits["train"] = split(pictures(2, (4, 3, 3)), ["c", "a"])
    splits["test"] = split(pictures(1), ["c"])
    test = load_dataset("someone/something", "test")
    assert test.info["x"].event_shape == (3, 4, 3)
    assert test.info["label"].names == ("a", "c")
    assert test.labels().tolist() == [1]
    splits["test"] = split(pictures(1), ["b"])
    with pytest.raises(DataError, match=r"has an unknown class.*a, c"):
        load_dataset("someone/something", "test")
    splits["test"] = split(pictures(1, (5, 3)), ["a"])
    with pytest.raises(
        DataError, match=r"row 0 of someone/something/test has 3 × 5 .*--data.size"
    ):
        load_dataset("someone/something", "test")


def test_two_columns_of_classes_are_not_guessed_between():
    rows = table(2, kind=(datasets.ClassLabel(names=["x", "y"]), [0, 1]))
    assert HubRows(rows, HubConfig(), "rows").labels().tolist() == [0, 1]
    rows = rows.rename_column("label", "animal")
    found = HubRows(rows, HubConfig(), "rows")
    assert found.labels() is None
    assert "animal, kind" in found.notes[0]
    assert HubRows(rows, HubConfig(label_column="kind"), "rows").labels().tolist() == [0, 1]


def test_splits_on_a_disk_share_the_space_of_the_first(tmp_path):
    splits = {"train": table(2, pictures(2, (4, 3, 3))), "test": table(2)}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    for split in splits:
        found = load_dataset(str(tmp_path / "saved"), split)
        assert found.info["x"].event_shape == (3, 4, 3)
        assert found.info["label"].names == ("cat", "dog")


@pytest.mark.parametrize("nested", [True, False])
def test_bytes_without_a_feature_of_images_are_images(nested):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 5)).astype(np.uint8)
    inner = datasets.Sequence(datasets.Sequence(datasets.Value("uint8")))
    feature = inner if nested else datasets.Array2D((4, 5), "uint8")
    features = datasets.Features(image=feature)
    rows = datasets.Dataset.from_dict({"image": pixels.tolist()}, features=features)
    dataset = as_dataset(rows)
    assert dataset.info["x"] == Unit(shape=(1, 4, 5), levels=256)
    assert np.allclose(dataset.batch(range(6))["x"].numpy()[:, 0] * 255, pixels)
