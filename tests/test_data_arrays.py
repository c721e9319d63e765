"""Arrays in files and in memory: read, looked at, and refused in one line."""

import io
import pickle
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import families
from genzoo.data import as_dataset, from_array, load_dataset
from genzoo.data.fields import image_fields
from genzoo.errors import ConfigError, DataError
from genzoo.spaces import Binary, Real, Unit

X = np.random.default_rng(0).random((6, 3)).astype(np.float32)
LABEL = np.array([0, 2, 1, 0, 2, 1])


def save(path, **arrays):
    if path.suffix == ".safetensors":
        tensors = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in arrays.items()}
        save_file(tensors, str(path))
    else:
        np.savez(path, **arrays)
    return str(path)


def everything(dataset):
    return dataset.batch(range(len(dataset)))


class Bomb:
    """Unpickling it is seen."""

    exploded = False

    def __reduce__(self):
        return setattr, (Bomb, "exploded", True)


@pytest.mark.parametrize("end", ["npz", "safetensors"])
def test_splits_and_their_labels_are_found_by_name(tmp_path, end):
    other = 1 - X[:4]
    arrays = {"test": other, "train": X, "label_train": LABEL, "label_test": LABEL[:4]}
    path = save(tmp_path / f"a.{end}", **arrays)
    for split, x, label in (("train", X, LABEL), ("test", other, LABEL[:4])):
        dataset = load_dataset(path, split)
        batch = everything(dataset)
        assert np.array_equal(batch["x"], x)
        assert batch["label"].tolist() == label.tolist()
        assert batch["label"].dtype == torch.int64
        assert dataset.info["label"].num_classes == 3
        assert dataset.name == f"a.{end}:{split}"
        torch.testing.assert_close(dataset.info.mean["x"], torch.from_numpy(X.mean(0)))
    with pytest.raises(DataError, match="has no split 'valid'"):
        load_dataset(path, "valid")


@pytest.mark.parametrize("name", ["x", "data", "images", "whatever"])
def test_a_single_array_is_the_training_split(tmp_path, name):
    path = save(tmp_path / "a.npz", **{name: X, "label": LABEL})
    batch = everything(load_dataset(path))
    assert np.array_equal(batch["x"], X)
    assert batch["label"].tolist() == LABEL.tolist()


def test_an_npy_file_is_a_single_array(tmp_path):
    np.save(tmp_path / "a.npy", X)
    batch = everything(load_dataset(str(tmp_path / "a.npy")))
    assert np.array_equal(batch["x"], X)
    assert "label" not in batch


def test_several_arrays_without_known_names_are_not_guessed_at(tmp_path):
    with pytest.raises(DataError, match="holds first, second: it is not clear"):
        load_dataset(save(tmp_path / "a.npz", first=X, second=X))
    with pytest.raises(DataError, match="holds no array"):
        load_dataset(save(tmp_path / "b.npz"))


@pytest.mark.parametrize("end", ["npz", "npy"])
def test_object_arrays_are_refused_and_nothing_is_unpickled(tmp_path, end):
    bomb = np.array([Bomb()], dtype=object)
    path = tmp_path / f"a.{end}"
    (np.savez if end == "npz" else np.save)(path, bomb, allow_pickle=True)
    with pytest.raises(DataError, match="without Python objects"):
        load_dataset(str(path))
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset(str(path))
    assert not Bomb.exploded
    pickle.loads(pickle.dumps(Bomb()))
    assert Bomb.exploded
    Bomb.exploded = False


@pytest.mark.parametrize("end", ["npz", "npy", "safetensors"])
def test_a_truncated_or_empty_file_is_named(tmp_path, end):
    path = tmp_path / f"a.{end}"
    if end == "npy":
        np.save(path, X)
    else:
        save(path, x=X)
    whole = path.read_bytes()
    for size in (len(whole) - 30, 10, 0):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="cannot be read") as caught:
            load_dataset(str(path))
        assert str(path) in str(caught.value)


HEADERS = (
    "{'descr': '<f4', 'shape'",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (9" + "9" * 30 + ", 8)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 8)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (007, 8)}",
    "{'descr': '<f4', 'fortran_order': False, b'shape': (7, 8)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000, 8)}",
)


@pytest.mark.parametrize("header", HEADERS)
def test_whatever_numpy_says_of_a_damaged_header_is_one_error(tmp_path, header):
    """NumPy raises errors of seven kinds for these, some of them not even ValueError."""
    text = header.encode().ljust(117) + b"\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64))
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset(str(path))


def test_a_zip_of_damaged_bytes_is_one_error_wherever_it_is_hit(tmp_path):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=X)
    whole = buffer.getvalue()
    path = tmp_path / "a.npz"
    refused = 0
    for place in [*range(120), *range(len(whole) - 120, len(whole))]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 14]) + whole[place + 1 :])
        try:
            load_dataset(str(path))
        except DataError:
            refused += 1
    assert refused > 50


def test_a_missing_file_is_named():
    with pytest.raises(DataError, match=r"no file 'missing.npz'"):
        load_dataset("missing.npz")


# What values are.


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0, np.nan], [1, 1], [np.inf, 0]], "NaN or infinity, in 2 of 3 rows.* row 0"),
        ([0.0, 1.0], r"has shape \(2,\): one row for each example"),
        (np.float64(3), r"has shape \(\)"),
        (3.0, "The given float is not a dataset"),
        (np.zeros((0, 3)), r"is empty: its shape is \(0, 3\)"),
        (np.zeros((3, 0)), r"is empty: its shape is \(3, 0\)"),
        ([["a", "b"]], "holds <U1 values; numbers are needed"),
        ([[1j, 2]], "holds complex128 values"),
        (torch.ones(2, 2, dtype=torch.complex64), "holds torch.complex64 values"),
        ([[None, 1]], "holds object values"),
        ([[1], [1, 2]], "different shapes"),
        ({"x": 1}, "has no column to model"),
        (np.array([["2020-01-01"]], "datetime64[D]"), "numbers are needed"),
        ([[1e300, 0]], "float32 cannot hold"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_rows_that_are_no_data_are_refused(values, message):
    with pytest.raises(DataError, match=message):
        as_dataset(values)


@pytest.mark.parametrize(
    ("values", "space", "bounds"),
    [
        (np.array([[0, 1], [1, 1]], np.uint8), Binary(shape=(2,)), (0, 1)),
        (np.array([[False, True]]), Binary(shape=(2,)), (0, 1)),
        (torch.tensor([[0.0, 1.0]]), Binary(shape=(2,)), (0, 1)),
        (torch.tensor([[0, 1]]), Binary(shape=(2,)), (0, 1)),
        (np.zeros((2, 2)), Binary(shape=(2,)), (0, 1)),
        (np.full((2, 2), 0.5), Unit(shape=(2,)), (0, 1)),
        (np.array([[0.0, 0.5], [0.2, 1.0]]), Unit(shape=(2,)), (0, 1)),
        (np.array([[-1.0, 1.0]]), Real(shape=(2,)), (-1, 1)),
        (np.array([[0.0, 1.5]], ">f8"), Real(shape=(2,)), (0, 1.5)),
        (torch.ones(2, 2).to(torch.bfloat16) / 2, Unit(shape=(2,)), (0, 1)),
    ],
)
def test_space_and_range_are_found_out_without_flags(values, space, bounds):
    dataset = as_dataset(values)
    assert (dataset.info["x"], dataset.info.range["x"]) == (space, bounds)
    x = dataset.head(2)["x"]
    assert x.dtype == torch.float32
    assert torch.equal(
        x,
        torch.as_tensor(np.asarray(values, "f8")).float()
        if isinstance(values, np.ndarray)
        else values.float(),
    )


def test_a_grey_row_after_4096_binary_ones_is_seen():
    x = np.zeros((5000, 1), np.float32)
    x[1] = 1
    assert from_array(x, "x").info["x"] == Binary(shape=(1,))
    x[4999] = 0.5
    assert from_array(x, "x").info["x"] == Unit(shape=(1,))


def test_real_numbers_are_answered_with_the_flag_that_divides():
    values = as_dataset(np.array([[0.5, 254.5]]))
    with pytest.raises(DataError, match=r"Divide by 255\? Give --data.scale 255"):
        families.Autoregressive.check_event(values.info)


@pytest.mark.parametrize("given", [{"scale": 255}, {"space": "unit"}])
def test_bytes_that_are_levels_are_divided(tmp_path, given):
    x = np.array([[0, 128], [255, 3]], np.uint8)
    path = save(tmp_path / "a.npz", x=x)
    divided = load_dataset(path, **given)
    assert divided.info["x"] == Unit(shape=(2,), levels=256)
    assert divided.info.range["x"] == (0, 1)
    assert torch.equal(divided.head(2)["x"], torch.from_numpy(x).float() / 255)
    torch.testing.assert_close(divided.info.mean["x"], torch.tensor([0.5, 131 / 510]))
    cut = load_dataset(path, binarize="threshold", **given)
    assert cut.info["x"] == Binary(shape=(2,))
    assert cut.head(2)["x"].tolist() == [[0, 1], [1, 0]]


def test_bytes_of_0_and_255_are_binary_once_divided():
    dataset = from_array(np.array([[0, 255]], np.uint8), "x", scale=255)
    assert dataset.info["x"] == Binary(shape=(2,))
    assert dataset.head(1)["x"].tolist() == [[0.0, 1.0]]


def test_a_scale_of_nought_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="scale"):
        load_dataset(save(tmp_path / "a.npz", x=X), scale=0)


# Labels.


@pytest.mark.parametrize("kind", ["u1", "u2", ">u4", "u8", "i1", ">i8", "?"])
def test_labels_of_any_width_and_byte_order_are_class_indices(kind):
    label = np.array([0, 1, 1, 0, 1, 0], kind)
    dataset = from_array(X, "x", label=label)
    assert everything(dataset)["label"].tolist() == [0, 1, 1, 0, 1, 0]
    assert dataset.info["label"].num_classes == 2


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int32, torch.bool])
def test_labels_can_be_tensors(dtype):
    label = torch.tensor([0, 1, 1, 0, 1, 0]).to(dtype)
    assert everything(from_array(X, "x", label=label))["label"].tolist() == label.tolist()


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (np.zeros(5, int), r"must be 6 whole numbers.*shape \(5,\)"),
        (np.zeros((6, 2), int), r"shape \(6, 2\)"),
        (np.int64(3), r"int64 values of shape \(\)"),
        (np.zeros(6), "got float64 values"),
        (torch.zeros(6), "got torch.float32 values"),
        (np.array(list("abcdef")), "got <U1 values"),
        (np.array([0, 1, -2, 0, 0, 0]), "with the minimum -2"),
        (np.array([0, 1, 2**64 - 1, 0, 0, 0], np.uint64), "got uint64 values"),
        ([[0], [1, 2]], "different shapes"),
    ],
)
def test_labels_that_are_no_class_indices_are_refused(label, message):
    with pytest.raises(DataError, match=message):
        from_array(X, "x", label=label)


def test_a_dataset_is_left_as_it_is_and_a_name_is_pointed_out():
    dataset = load_dataset("digits")
    assert as_dataset(dataset) is dataset
    with pytest.raises(ConfigError, match=r"load_dataset\('digits'\)"):
        as_dataset("digits")


def test_a_tensor_with_a_gradient_becomes_plain_rows():
    dataset = as_dataset(torch.rand(4, 3, requires_grad=True))
    assert not dataset.head(4)["x"].requires_grad
    torch.testing.assert_close(dataset.info.mean["x"], dataset.head(4)["x"].mean(0))


def test_labels_that_are_too_many_or_have_too_long_names_are_wrong_data():
    label = np.array([0, 2**20, 1, 0, 2, 1])
    with pytest.raises(DataError, match=r"got 1048577\. Renumber or rename the classes"):
        from_array(X, "x", label=label)
    with pytest.raises(DataError, match=r"length in \[1, 256\].*Renumber or rename the classes"):
        image_fields((1, 8, 8), names=["shoe", "b" * 257])
