"""Arrays of files are mapped: only rows that are used are read."""

import contextlib
import errno
import pickle
import zipfile

import numpy as np
import pytest
import torch

from genzoo import DataError, DataInfo, Unit, load_dataset, pair
from genzoo.data import as_dataset
from genzoo.data.dataset import ArrayDataset
from genzoo.means import Means
from test_data_arrays import everything, save
from watched import peak, reset_peak

X = np.random.default_rng(0).integers(0, 256, (6, 1, 4, 3)).astype(np.uint8)
MEGABYTE = 2**20


def is_mapped(dataset):
    """Whether rows lie in a file's mapping and not in memory of their own."""
    with open("/proc/self/maps", encoding="ascii") as maps:
        ranges = [line.split(maxsplit=5) for line in maps]
    address = dataset.x.data_ptr()
    for place, *_, name in (parts for parts in ranges if len(parts) == 6):
        first, last = (int(end, 16) for end in place.split("-"))
        if first <= address < last:
            return name.strip().endswith((".npy", ".npz", ".safetensors"))
    return False


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["u1", "<f4"])
@pytest.mark.parametrize("end", ["npy", "npz", "packed", "safetensors"])
def test_rows_are_mapped_where_that_is_possible(tmp_path, end, kind, order):
    x = np.asarray(X / 255 if kind == "<f4" else X, kind, order=order)
    if end == "npy":
        np.save(path := tmp_path / "a.npy", x)
    elif end == "packed":
        np.savez_compressed(path := tmp_path / "a.npz", x=x)
    else:
        path = save(tmp_path / f"a.{end}", x=x)
    found = load_dataset(str(path))
    np.testing.assert_allclose(everything(found)["x"], X / np.float32(255), rtol=1e-6)
    # numpy writes a .npz without alignment, which bytes do not need.
    assert is_mapped(found) == (end in ("npy", "safetensors") or (end, kind) == ("npz", "u1"))


def test_an_aligned_member_of_an_archive_is_mapped(tmp_path):
    np.save(tmp_path / "x.npy", X / 255)
    data = (tmp_path / "x.npy").read_bytes()
    mapped = []
    for pad in range(8):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("x" * (pad + 1) + ".npy", data)
        found = load_dataset(str(tmp_path / "a.npz"))
        np.testing.assert_allclose(everything(found)["x"], X / 255, rtol=1e-6)
        mapped.append(is_mapped(found))
    assert sum(mapped) == 1


def test_a_change_in_memory_does_not_reach_the_file(tmp_path):
    np.save(path := tmp_path / "a.npy", X)
    found = load_dataset(str(path))
    found.x.zero_()
    assert everything(found)["x"].sum() == 0
    assert np.array_equal(np.load(path), X)


def test_a_file_larger_than_memory_is_mapped_read_only(tmp_path, monkeypatch):
    """The system refuses to map it for writing."""
    real, modes = np.memmap, []

    def scarce(path, dtype, mode, *rest):
        modes.append(mode)
        if mode == "c":
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return real(path, dtype, mode, *rest)

    monkeypatch.setattr(np, "memmap", scarce)
    np.save(path := tmp_path / "a.npy", X)
    assert torch.equal(everything(load_dataset(str(path)))["x"], torch.from_numpy(X).float() / 255)
    assert modes == ["c", "r"]


def test_a_stored_archive_is_damaged_where_numpy_says_so(tmp_path):
    path = save(tmp_path / "a.npz", x=X)
    whole = (tmp_path / "a.npz").read_bytes()
    for place in range(0, len(whole) - 72, 5):
        (tmp_path / "a.npz").write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        with contextlib.suppress(DataError):
            load_dataset(path)


@pytest.mark.parametrize("kind", ["u1", "f4"])
def test_of_a_large_file_little_is_held(tmp_path, kind):
    shape = (32, 3, 256, 1365) if kind == "u1" else (8, 3, 256, 1365)
    path = tmp_path / "a.npy"
    written = np.lib.format.open_memmap(path, "w+", kind, shape)
    written[:] = 200 if kind == "u1" else 0.25
    written.flush()
    del written
    load_dataset(str(path)).batch([1])
    before = reset_peak()
    found = load_dataset(str(path))
    batch = found.batch([3, 7])
    assert batch["x"].shape[1:] == shape[1:]
    # Pages of the mapping count too, of which the range of floats reads all.
    assert peak() - before < (20 if kind == "u1" else 32 + 20) * MEGABYTE
    before = reset_peak()
    assert found.info.mean["x"].unique().numel() == 1
    assert peak() - before < (32 + 120) * MEGABYTE


# The mean is computed when it is first asked for.


class Counting(ArrayDataset):
    """Counts how often the mean is computed."""

    times = 0

    def mean(self):
        self.times += 1
        return super().mean()


def counting():
    info = DataInfo(fields={"x": Unit(shape=(1, 4, 3))})
    data = Counting(torch.from_numpy(X), info, "counted", scale=255.0)
    data.info = data.info.with_mean(data.mean)
    return data


def test_no_mean_is_computed_before_it_is_asked_for():
    data = counting()
    both = pair(data, counting())
    chosen = data.select(["x"])
    again = data.info.with_field("z", Unit(shape=(1,))).with_mean(torch.zeros(1), "z")
    without = data.info.with_mean(None)
    assert repr(data.info.mean) == "Means(x)"
    assert (data.times, both.y.times) == (0, 0)
    expected = torch.from_numpy(X / 255).mean(0).float()
    for info in (again, data.info, both.info, chosen.info, data.info):
        torch.testing.assert_close(info.mean["x"], expected)
    assert data.times == 1
    assert set(both.info.mean) == {"x", "y"}
    assert set(again.mean) == {"x", "z"}
    assert "x" not in without.mean
    assert (data.times, both.y.times) == (1, 1)


def test_loading_a_split_does_not_read_the_training_rows(tmp_path, monkeypatch):
    asked = []
    real = ArrayDataset.mean
    monkeypatch.setattr(ArrayDataset, "mean", lambda self: asked.append(self.name) or real(self))
    path = save(tmp_path / "a.npz", train=X, test=X[:2])
    test = load_dataset(path, "test")
    as_dataset(X)
    assert asked == []
    torch.testing.assert_close(test.info.mean["x"], torch.from_numpy(X / 255).mean(0).float())
    assert asked == ["a.npz:train"]


def test_a_mean_that_is_not_known_is_not_in_the_mapping():
    means = Means({"x": lambda: None, "y": lambda: torch.ones(2)})
    assert "x" not in means
    assert (list(means), len(means), means.get("x")) == (["y"], 1, None)
    assert Means({}) == {}


def test_another_process_gets_the_computed_means():
    data = counting()
    copied = pickle.loads(pickle.dumps(data.info))
    assert torch.equal(copied.mean["x"], data.info.mean["x"])
    assert data.times == 1
