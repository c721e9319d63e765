"""What comes with the core: digits, data of known truth, and MNIST's own files."""

import gzip
import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from genzoo import seeds
from genzoo.data import as_dataset, find_source, load_dataset
from genzoo.data.dataset import rows_at_once
from genzoo.data.synthetic import grid_modes, ring_modes
from genzoo.errors import ConfigError, DataError, UnknownNameError
from genzoo.spaces import Binary, Label, Real, Unit

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


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


# Data of known truth.


@pytest.mark.parametrize("side", [2, 3])
def test_bars_and_stripes_are_all_pictures_of_either_kind(side):
    found = {}
    for x in everything(load_dataset("bars-and-stripes", side=side))["x"]:
        key = tuple(x.flatten().int().tolist())
        found[key] = found.get(key, 0) + 1
    expected = {}
    for bits in itertools.product((0, 1), repeat=side**2):
        x = torch.tensor(bits).view(side, side)
        count = int((x == x[:, :1]).all()) + int((x == x[:1]).all())
        if count:
            expected[bits] = count
    assert found == expected
    assert sum(found.values()) == 2 ** (side + 1)
    assert found[(0,) * side**2] == found[(1,) * side**2] == 2


def test_bars_and_stripes_are_one_set_in_every_split():
    splits = [load_dataset("bars-and-stripes", split) for split in ("train", "valid", "test")]
    for dataset in splits:
        assert torch.equal(everything(dataset)["x"], everything(splits[0])["x"])
        assert dataset.info["x"] == Binary(shape=(1, 4, 4))
        assert torch.equal(dataset.info.mean["x"], torch.full((1, 4, 4), 0.5))


def test_modes_are_where_the_papers_put_them():
    ring, grid = ring_modes(), grid_modes()
    torch.testing.assert_close(ring.norm(dim=1), torch.ones(8))
    gaps = (ring - ring.roll(1, 0)).norm(dim=1)
    torch.testing.assert_close(gaps, torch.full((8,), 2 * np.sin(np.pi / 8)).float())
    places = {(float(x), float(y)) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}
    assert set(map(tuple, grid.tolist())) == places
    assert len(grid) == 25


@pytest.mark.parametrize(
    ("name", "modes", "sigma"), [("ring", ring_modes(), 0.01), ("grid", grid_modes(), 0.05)]
)
def test_mixtures_have_the_stated_weights_means_and_spreads(name, modes, sigma):
    """Within 5 standard errors: σ/√n of a mean, σ/√(2n) of a spread, binomial of a weight."""
    dataset = load_dataset(name, num=40_000, seed=3)
    batch = everything(dataset)
    assert dataset.info["x"] == Real(shape=(2,))
    assert dataset.info["label"].num_classes == len(modes)
    weight = 1 / len(modes)
    for k, mode in enumerate(modes):
        x = batch["x"][batch["label"] == k].double()
        n = len(x)
        assert abs(n - 40_000 * weight) < 5 * (40_000 * weight * (1 - weight)) ** 0.5
        assert ((x.mean(0) - mode).abs() < 5 * sigma / n**0.5).all()
        assert ((x.std(0) - sigma).abs() < 5 * sigma / (2 * n) ** 0.5).all()
        correlation = torch.corrcoef(x.T)[0, 1]
        assert abs(correlation) < 5 / n**0.5
    noise = (batch["x"] - modes[batch["label"]]).double()
    assert abs(noise.square().mean().sqrt() - sigma) < 5 * sigma / (2 * noise.numel()) ** 0.5


def test_mixtures_are_drawn_apart_by_split_and_seed_and_the_same_again():
    def x(split="train", **config):
        return everything(load_dataset("ring", split, num=10, **config))["x"]

    assert torch.equal(x(), x())
    drawn = [x(), x("valid"), x("test"), x(seed=1)]
    assert len({tuple(each.flatten().tolist()) for each in drawn}) == 4


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


def test_mnist_names_its_classes_and_takes_a_folder(tmp_path):
    idx_folder(tmp_path)
    info = load_dataset("mnist", folder=str(tmp_path)).info
    assert info["label"] == Label(num_classes=10, names=tuple("0123456789"))


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
        (damage_cut, "35 bytes or more where its header tells of"),
        (damage_long, "37 bytes or more where its header tells of"),
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
    for name in (str(tmp_path), "mnist"):
        options = {} if name != "mnist" else {"folder": str(tmp_path)}
        with pytest.raises(DataError, match=r"would take 36 bytes.*35 are allowed.*max-bytes 36"):
            load_dataset(name, max_bytes=35, **options)
        assert len(load_dataset(name, max_bytes=36, **options)) == 6


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
    with pytest.raises(DataError, match="holds no train-labels-idx1-ubyte"):
        load_dataset(str(tmp_path))


def test_fashion_mnist_of_the_system_package():
    if not DEBIAN.is_dir():
        pytest.skip(f"{DEBIAN} is not there: Debian's dataset-fashion-mnist is not installed")
    sizes = {"train": 60_000, "test": 10_000}
    for split, size in sizes.items():
        dataset = load_dataset("fashion-mnist", split)
        label = torch.bincount(everything(dataset)["label"])
        assert dataset.info["x"].event_shape == (1, 28, 28)
        assert dataset.info["label"].names[9] == "Ankle boot"
        assert label.tolist() == [size // 10] * 10


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
    (tmp_path / "notes.txt").write_text("hello")
    idx_folder(tmp_path)
    assert find_source(str(tmp_path))[0].__name__ == "IDXFolder"
    assert find_source("someone/something")[0].__name__ == "HubDataset"
    assert find_source("missing.npz")[0].__name__ == "Arrays"
    with pytest.raises(DataError, match="is no data file"):
        find_source(str(tmp_path / "notes.txt"))
    with pytest.raises(UnknownNameError):
        find_source(f"{tmp_path.name}/deep/missing")
