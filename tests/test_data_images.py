"""Folders of images that the tests write themselves."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.data import load_dataset
from genzoo.errors import DataError
from genzoo.spaces import Unit


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values)).save(path)
    return path


def grey(value, shape=(4, 3)):
    return np.full(shape, value, np.uint8)


def folder(root):
    """Two classes in each of two splits; the class "dog" is only in the training split."""
    for name, value in (("train/dog/0", 10), ("train/cat/0", 20), ("train/cat/1", 30)):
        write(root / f"{name}.png", grey(value))
    write(root / "test/cat/0.png", grey(40))
    return str(root)


def everything(dataset):
    return dataset.batch(range(len(dataset)))


def test_labels_come_from_subfolders_and_mean_the_same_in_every_split(tmp_path):
    path = folder(tmp_path)
    train, test = load_dataset(path), load_dataset(path, "test")
    batch = everything(train)
    assert train.info["label"].names == test.info["label"].names == ("cat", "dog")
    assert train.info["label"].num_classes == test.info["label"].num_classes == 2
    assert batch["label"].tolist() == [0, 0, 1]
    values = (batch["x"][:, 0, 0, 0] * 255).round().tolist()
    assert values == [20, 30, 10]
    assert everything(test)["label"].tolist() == [0]


def test_labels_keep_their_meaning_where_the_first_class_is_not_in_a_split(tmp_path):
    folder(tmp_path)
    (tmp_path / "test/cat").rename(tmp_path / "test/dog")
    test = load_dataset(str(tmp_path), "test")
    assert everything(test)["label"].tolist() == [1]
    (tmp_path / "test/dog").rename(tmp_path / "test/bee")
    test, train = load_dataset(str(tmp_path), "test"), load_dataset(str(tmp_path))
    assert test.info["label"].names == ("bee", "cat", "dog")
    assert everything(train)["label"].tolist() == [1, 1, 2]


def test_grey_images_are_one_channel_in_the_unit_interval(tmp_path):
    x = np.arange(12, dtype=np.uint8).reshape(4, 3) * 20
    write(tmp_path / "a.png", x)
    dataset = load_dataset(str(tmp_path))
    batch = everything(dataset)
    assert torch.equal(batch["x"][0, 0], torch.from_numpy(x).float() / 255)
    assert "label" not in batch
    assert list(dataset.info.fields) == ["x"]
    assert dataset.info["x"] == Unit(shape=(1, 4, 3), levels=256)
    assert dataset.info.range["x"] == (0, 1)


def test_colour_images_are_channels_first(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (4, 3, 3), dtype=np.uint8)
    write(tmp_path / "a.png", x)
    found = everything(load_dataset(str(tmp_path)))["x"][0]
    assert torch.equal(found, torch.from_numpy(x).permute(2, 0, 1).float() / 255)
    lone = everything(load_dataset(str(tmp_path), mode="L"))["x"]
    assert lone.shape == (1, 1, 4, 3)


@pytest.mark.parametrize("first", ["grey", "colour"])
def test_one_colour_image_makes_all_colour_wherever_it_stands(tmp_path, first):
    names = ("a.png", "b.png") if first == "grey" else ("b.png", "a.png")
    write(tmp_path / names[0], grey(50))
    write(tmp_path / names[1], np.full((4, 3, 3), (60, 70, 80), np.uint8))
    dataset = load_dataset(str(tmp_path))
    found = {tuple(row[:, 0, 0].tolist()) for row in everything(dataset)["x"] * 255}
    assert found == {(50, 50, 50), (60, 70, 80)}
    assert dataset.notes == (
        "Grey, but read in colour: 1 of 2 images. For grey rows: --data.mode L.",
    )
    assert not load_dataset(str(tmp_path), mode="L").notes


def test_one_colour_image_in_another_split_makes_all_colour(tmp_path):
    write(tmp_path / "train/a.png", grey(50))
    write(tmp_path / "test/a.png", np.full((4, 3, 3), (60, 70, 80), np.uint8))
    for split in ("train", "test"):
        assert load_dataset(str(tmp_path), split).info["x"].event_shape == (3, 4, 3)


def test_mixed_sizes_are_named_with_the_flag_that_mends_them(tmp_path, monkeypatch):
    first = write(tmp_path / "a.png", grey(1))
    odd = write(tmp_path / "b.png", grey(1, (5, 3)))
    with monkeypatch.context() as patch:
        patch.setattr("PIL.ImageFile.ImageFile.load", decoded)
        with pytest.raises(DataError) as caught:
            load_dataset(str(tmp_path))
    assert f"{odd} has 3 × 5 pixels and {first} has 3 × 4" in str(caught.value)
    assert "Give --data.size N" in str(caught.value)
    assert everything(load_dataset(str(tmp_path), size=2))["x"].shape == (2, 1, 2, 2)


def decoded(self):
    raise AssertionError("An image was decoded.")


@pytest.mark.parametrize("split", ["train", "test"])
def test_splits_that_differ_in_size_are_named(tmp_path, split):
    write(tmp_path / "train/a.png", grey(1))
    write(tmp_path / "test/b.png", grey(1, (5, 3)))
    with pytest.raises(DataError, match=r"b.png has 3 × 5.*a.png has 3 × 4|a.png.*b.png"):
        load_dataset(str(tmp_path), split)
    assert load_dataset(str(tmp_path), split, size=2).info["x"].event_shape == (1, 2, 2)


def test_size_takes_the_middle_square(tmp_path):
    x = np.zeros((2, 6), np.uint8)
    x[:, 2:4] = 255
    write(tmp_path / "a.png", x)
    found = everything(load_dataset(str(tmp_path), size=2))["x"]
    assert torch.equal(found, torch.ones(1, 1, 2, 2))


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_an_unreadable_file_is_named(tmp_path, damage):
    write(tmp_path / "a.png", grey(1, (40, 30)))
    noise = np.random.default_rng(0).integers(0, 256, (40, 30), dtype=np.uint8)
    path = write(tmp_path / "b.png", noise)
    content = {"cut": path.read_bytes()[:200], "text": b"hello", "empty": b""}[damage]
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as an image") as caught:
        everything(load_dataset(str(tmp_path)))
    assert str(path) in str(caught.value)


def test_a_folder_with_the_name_of_an_image_is_a_folder(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(DataError, match="has no images"):
        load_dataset(str(tmp_path))
    write(tmp_path / "a.png" / "0.png", grey(9))
    assert len(load_dataset(str(tmp_path))) == 1


def png_header(width, height):
    """A PNG that claims a size and holds next to nothing."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(100))
    chunks = [
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c))
        for c in (body, data, b"IEND")
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("size", [(6000, 6000), (10_000, 10_000), (60_000, 60_000)])
def test_decompression_bombs_are_refused_before_they_unpack(tmp_path, monkeypatch, size):
    """36 million pixels are over our own cap, the others over Pillow's two."""

    def load(self):
        raise AssertionError("it was unpacked")

    (tmp_path / "bomb.png").write_bytes(png_header(*size))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(DataError, match=r"bomb.png"):
        load_dataset(str(tmp_path))


def test_the_cap_on_pixels_is_exact(tmp_path):
    write(tmp_path / "a.png", grey(1))
    assert len(load_dataset(str(tmp_path), max_pixels=12)) == 1
    with pytest.raises(DataError, match="has 3 × 4 pixels; 11 in all are allowed"):
        load_dataset(str(tmp_path), max_pixels=11)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"has no images \(.png"):
        load_dataset(str(tmp_path))
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match=r"train' has no images"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("loose", ["train/loose.png", "test/loose.png"])
def test_an_image_outside_the_classes_takes_all_labels_away(tmp_path, split, loose):
    folder(tmp_path)
    write(tmp_path / loose, grey(1))
    dataset = load_dataset(str(tmp_path), split)
    assert "label" not in everything(dataset)
    assert "label" not in dataset.info


def test_images_are_read_when_they_are_asked_for(tmp_path):
    folder(tmp_path)
    dataset = load_dataset(str(tmp_path))
    (tmp_path / "train/cat/1.png").unlink()
    assert len(dataset.batch([0, 2])["x"]) == 2
    with pytest.raises(DataError, match=r"1.png"):
        dataset.batch([1])


def test_the_mean_is_unknown_however_many_images_are_kept(tmp_path):
    """Otherwise a model that starts from the mean would depend on the budget."""
    folder(tmp_path)
    for budget in (0, 2**20):
        assert "x" not in load_dataset(str(tmp_path), cache_bytes=budget).info.mean
    assert load_dataset(str(tmp_path), binarize="static").info.mean["x"].shape == (1, 4, 3)
