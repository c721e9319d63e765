"""What comes with the core: digits, and files of IDX."""

import gzip
import struct

import numpy as np
import pytest
import torch

from genzoo import seeds
from genzoo.data import as_dataset, find_source, load_dataset
from genzoo.data.arrays.rows import rows_at_once
from genzoo.errors import ConfigError, DataError, UnknownNameError
from genzoo.spaces import Label, Unit


def everything(dataset):
    return dataset.batch(range(len(dataset)))


# Digits.


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    theirs = load_digits()
    ours = [everything(load_dataset("digits", split)) for split in ("train", "test")]
    assert [len(batch["x"]) for batch in ours] == [1500, 297]
    x = torch.cat([batch["x"] for batch in ours])
    label = torch.cat([batch["label"] for batch in ours])
    assert torch.equal(x * 16, torch.from_numpy(theirs.images).float()[:, None])
    assert label.tolist() == theirs.target.tolist()


def test_digits_say_what_they_are():
    dataset = load_dataset("digits")
    batch = dataset.batch([3, 0])
    assert batch["x"].shape == (2, 1, 8, 8)
    assert (batch["x"].dtype, batch["label"].dtype) == (torch.float32, torch.int64)
    x, info = everything(dataset)["x"], dataset.info
    assert (x.min(), x.max()) == info.range["x"] == (0, 1)
    assert info["x"] == Unit(shape=(1, 8, 8), levels=17)
    assert info["label"] == Label(num_classes=10, names=tuple("0123456789"))
    assert dataset.name == "digits/train"
    assert dataset.origin == ("digits", {})


def test_a_batch_is_rows_in_the_order_asked_for():
    dataset = load_dataset("digits")
    whole = everything(dataset)
    for indices in ([7, 2, 7], torch.tensor([7, 2, 7])):
        batch = dataset.batch(indices)
        assert torch.equal(batch["x"], whole["x"][[7, 2, 7]])
        assert torch.equal(batch["label"], whole["label"][[7, 2, 7]])


def test_the_first_rows_are_drawn_by_the_seed_0():
    data = load_dataset("digits", binarize="dynamic")
    first = [data.batch(range(5), seeds.generator(seed))["x"] for seed in (0, 1)]
    assert torch.equal(data.head(5)["x"], first[0])
    assert torch.equal(data.head(5, seed=1)["x"], first[1])


def test_wider_copies_are_of_at_most_8_million_values():
    shapes = {(): 4096, (1, 8, 8): 4096, (2048,): 4096, (2**12,): 2048, (2**22,): 2, (2**24,): 1}
    assert {shape: rows_at_once(shape) for shape in shapes} == shapes


def test_a_batch_can_be_changed_without_changing_the_rows():
    dataset = as_dataset(torch.rand(4, 3))
    before = dataset.head(4)["x"].clone()
    dataset.head(4)["x"].zero_()
    assert torch.equal(dataset.head(4)["x"], before)


# IDX folders.


def write_idx(path, values, *, magic=None):
    head = bytes([0, 0, 8, values.ndim]) if magic is None else magic
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wb") as file:
        file.write(head + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes())


def idx_folder(folder, end="", num=6):
    rng = np.random.default_rng(0)
    made = {}
    for split, stem in (("train", "train"), ("test", "t10k")):
        x = rng.integers(0, 256, (num, 3, 2), dtype=np.uint8)
        label = np.arange(num, dtype=np.uint8) % 4
        write_idx(folder / f"{stem}-images-idx3-ubyte{end}", x)
        write_idx(folder / f"{stem}-labels-idx1-ubyte{end}", label)
        made[split] = x, label
    return made


@pytest.mark.parametrize("end", ["", ".gz"])
def test_idx_folder_is_recognised_and_read(tmp_path, end):
    made = idx_folder(tmp_path, end)
    for split, (x, label) in made.items():
        dataset = load_dataset(str(tmp_path), split)
        batch = everything(dataset)
        expected = torch.from_numpy(x).float()[:, None] / 255
        assert torch.equal(batch["x"], expected)
        assert batch["label"].tolist() == label.tolist()
        assert dataset.info["x"] == Unit(shape=(1, 3, 2), levels=256)
        assert dataset.info["label"].num_classes == 4


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def damage_long(path):
    path.write_bytes(path.read_bytes() + b"\0")


def damage_magic(path):
    path.write_bytes(b"\0\0\x09\x03" + path.read_bytes()[4:])


def damage_header(path):
    path.write_bytes(path.read_bytes()[:9])


def damage_size(path):
    path.write_bytes(bytes([0, 0, 8, 3]) + b"\xff" * 12)


def damage_empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_cut, "35 bytes or more, but its header states"),
        (damage_long, "37 bytes or more, but its header states"),
        (damage_magic, "its first bytes are 00000903"),
        (damage_header, "unpack requires a buffer of 12 bytes"),
        (damage_size, "once it is unpacked"),
        (damage_empty, "its first bytes are "),
    ],
)
def test_damaged_idx_file_is_named(tmp_path, damage, message):
    idx_folder(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    damage(path)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(str(tmp_path))
    assert str(path) in str(caught.value)


def test_idx_size_is_capped_before_anything_is_read(tmp_path):
    idx_folder(tmp_path)
    with pytest.raises(DataError, match=r"would take 36 bytes.*35 are allowed.*max-bytes 36"):
        load_dataset(str(tmp_path), max_bytes=35)
    assert len(load_dataset(str(tmp_path), max_bytes=36)) == 6


def test_truncated_gz_is_named(tmp_path):
    idx_folder(tmp_path, ".gz")
    damage_cut(tmp_path / "train-labels-idx1-ubyte.gz")
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte.gz is damaged"):
        load_dataset(str(tmp_path))


def test_labels_for_images_and_images_for_labels_are_wrong(tmp_path):
    idx_folder(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(5, np.uint8))
    with pytest.raises(DataError, match="6 images and 5 labels"):
        load_dataset(str(tmp_path))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros((6, 1, 1), np.uint8))
    with pytest.raises(DataError, match="its first bytes are 00000803"):
        load_dataset(str(tmp_path))


def test_missing_idx_file_is_named(tmp_path):
    idx_folder(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="has no train-labels-idx1-ubyte"):
        load_dataset(str(tmp_path))


# By name or by path.


def test_near_names_are_offered_for_an_unknown_dataset():
    with pytest.raises(UnknownNameError, match=r"no such path.*'digit'.*mean 'digits'"):
        load_dataset("digit")
    with pytest.raises(UnknownNameError):
        load_dataset("")


def test_a_wrong_split_is_answered_with_those_there_are():
    with pytest.raises(DataError, match=r"Digits has no split 'tset'.*mean 'test'.*test, train"):
        load_dataset("digits", "tset")


def test_no_split_means_the_test_split_or_the_only_one(tmp_path):
    assert load_dataset("digits", None).name == "digits/test"
    np.savez(tmp_path / "one.npz", x=np.random.rand(4, 3))
    assert len(load_dataset(str(tmp_path / "one.npz"), None)) == 4


def test_a_misspelt_field_is_refused():
    with pytest.raises(ConfigError, match=r"binarise.*binarize"):
        load_dataset("digits", binarise="threshold")


def test_what_is_there_decides_the_source(tmp_path):
    (tmp_path / "notes.md").write_text("hello")
    idx_folder(tmp_path)
    assert find_source(str(tmp_path))[0].__name__ == "IDXFolder"
    assert find_source("someone/something")[0].__name__ == "HubDataset"
    assert find_source("missing.npz")[0].__name__ == "Arrays"
    with pytest.raises(DataError, match="is not a data file"):
        find_source(str(tmp_path / "notes.md"))
    assert find_source("missing.TXT")[0].__name__ == "TextFile"
    with pytest.raises(UnknownNameError):
        find_source(f"{tmp_path.name}/deep/missing")


def test_a_split_is_asked_for_by_any_of_its_usual_names(tmp_path):
    x = np.eye(4)
    np.savez(tmp_path / "x.npz", x_train=x, x_val=x[:2])
    for name in ("valid", "val", "Validation"):
        found = load_dataset(str(tmp_path / "x.npz"), name)
        assert (found.split, len(found)) == ("valid", 2)
    with pytest.raises(DataError, match="no split 'test'"):
        load_dataset(str(tmp_path / "x.npz"), "test")


def test_a_long_name_is_not_repeated_whole():
    with pytest.raises(UnknownNameError) as caught:
        load_dataset("x" * 5000)
    assert len(str(caught.value)) < 1000
