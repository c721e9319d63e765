"""What the numbers of an array mean: inferred by rules, named, or asked for."""

import math
import pickle

import numpy as np
import pytest
import torch

from genzoo import load_dataset
from genzoo.cli import main
from genzoo.data import as_dataset, from_array
from genzoo.data.arrays import facts
from genzoo.errors import ConfigError, DataError, UnknownNameError
from genzoo.spaces import Binary, Categorical, Label, Real, Unit

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (9, 3, 6, 5)).astype(np.uint8)
INTEGERS = ("u1", "i1", "u2", ">i2", "i4", "u4", "i8", "u8")
BOTH = r"levels or categories\. Give --data\.space unit or --data\.space categorical; in Python"


def batch(dataset):
    return dataset.batch(range(len(dataset)))["x"]


# The first rule: zeros and ones.


@pytest.mark.parametrize("kind", ["?", *INTEGERS, "f2", "f4", ">f8"])
@pytest.mark.parametrize("shape", [(4,), (2, 2), (2, 2, 2), (2, 1, 2, 2, 2)])
def test_zeros_and_ones_of_any_type_and_shape_are_binary(kind, shape):
    x = (np.arange(6 * math.prod(shape)) % 2).reshape(6, *shape)
    found = from_array(x.astype(kind), "bits")
    assert found.info["x"] == Binary(shape=shape)
    assert found.notes == ()
    assert torch.equal(batch(found), torch.from_numpy(x).float())


# The second rule: integers with two readings.


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 2, 3), (1, 1, 2, 3)])
def test_integers_that_may_be_levels_or_categories_are_asked_about(kind, shape):
    x = (np.arange(4 * 6) % 32).reshape(4, *shape).astype(kind)
    with pytest.raises(DataError, match=BOTH):
        from_array(x, "few")
    found = from_array(x, "few", space="unit")
    top = int(x.max())
    assert found.info["x"].levels == top + 1
    torch.testing.assert_close(batch(found).flatten(), torch.from_numpy(x / top).float().flatten())
    found = from_array(x, "few", space="categorical")
    assert found.info["x"] == Categorical(shape=shape, num_categories=top + 1)
    assert torch.equal(batch(found), torch.from_numpy(x.astype(np.int64)))


@pytest.mark.parametrize("kind", ["i2", "u2", "i4", "u4", "i8", "u8"])
def test_integers_of_other_types_than_bytes_are_asked_about_even_if_they_are_images(kind):
    x = BYTES.astype(kind)
    with pytest.raises(DataError, match=BOTH):
        from_array(x, "wide")
    found = from_array(x, "wide", space="unit")
    assert found.info["x"] == Unit(shape=(3, 6, 5), levels=int(x.max()) + 1)


@pytest.mark.parametrize("shape", [(9, 90), (9, 2, 3, 3, 5)])
def test_bytes_that_are_not_images_are_asked_about(shape):
    x = BYTES.reshape(shape)
    with pytest.raises(DataError, match=BOTH):
        from_array(x, "rows")
    assert from_array(x, "rows", space="unit").info["x"].levels == 256
    assert from_array(x, "rows", scale=255).info["x"].levels == 256


def test_levels_of_wide_integers_are_counted_up_to_2_to_the_16():
    x = np.array([[0, 2**16 - 1], [1, 2]])
    assert from_array(x, "x", space="unit").info["x"].levels == 2**16
    found = from_array(x + 1, "x", space="unit")
    assert found.info["x"] == Unit(shape=(2,))
    assert from_array(x, "x", scale=99999.5).info["x"] == Unit(shape=(2,))


def test_large_unsigned_integers_are_not_negative():
    x = np.array([[0, 2**63 + 2**62], [1, 2]], np.uint64)
    with pytest.raises(DataError, match=BOTH):
        from_array(x, "x")
    assert batch(from_array(x, "x", space="unit")).max() == 1
    assert batch(from_array(x, "x", space="real")).max() == 2.0**63 + 2.0**62


# The third rule: images.


def test_images_of_bytes_have_256_levels():
    found = from_array(BYTES, "images")
    assert found.info["x"] == Unit(shape=(3, 6, 5), levels=256)
    assert (found.info.range["x"], found.notes) == ((0, 1), ())
    assert torch.equal(batch(found), torch.from_numpy(BYTES).float() / 255)


@pytest.mark.parametrize("high", [31, 32])
def test_bytes_are_images_from_32_on(high):
    x = np.full((2, 1, 3, 3), high, np.uint8)
    if high == 32:
        assert from_array(x, "x").info["x"].levels == 256
        return
    with pytest.raises(DataError, match=BOTH):
        from_array(x, "x")


@pytest.mark.parametrize(
    ("shape", "new", "said"),
    [
        ((6, 5), (1, 6, 5), "taken as grey images"),
        ((6, 5, 3), (3, 6, 5), "channels come last"),
        ((6, 5, 4), (4, 6, 5), "channels come last"),
        ((6, 5, 1), (1, 6, 5), "channels come last"),
        ((3, 6, 3), (3, 6, 3), ""),
        ((1, 6, 3), (1, 6, 3), ""),
        ((6, 5, 2), (6, 5, 2), ""),
        ((6, 5, 5), (6, 5, 5), ""),
    ],
)
@pytest.mark.parametrize("kind", ["bytes", "floats", "bits"])
def test_the_axes_of_images_are_recognised_and_that_is_said(shape, new, said, kind):
    x = RANDOM.integers(0, 256, (4, *shape)).astype(np.uint8)
    if kind != "bytes":
        x = x / 255 if kind == "floats" else x // 128
        new, said = (shape, "") if len(shape) == 2 else (new, said)
    found = from_array(x, "images")
    assert found.info["x"].event_shape == new
    assert [said in note for note in found.notes] == [True] * bool(said)
    moved = np.moveaxis(x, -1, 1) if "last" in said else x
    scale = 255 if kind == "bytes" else 1
    expected = torch.from_numpy(moved.reshape(4, *new).copy()).float() / scale
    assert torch.equal(batch(found), expected)
    assert batch(found).is_contiguous()
    torch.testing.assert_close(found.mean(), expected.mean(0))


@pytest.mark.parametrize("off", [9e-6, -9e-6])
@pytest.mark.parametrize("shape", [(3,), (1, 3, 1)])
def test_numbers_that_leave_the_unit_interval_a_little_are_clipped(off, shape):
    x = np.linspace(0, 1, 6).reshape(2, *shape)
    x[0] += min(off, 0)
    x[1] += max(off, 0)
    found = from_array(x, "x")
    assert found.info["x"] == Unit(shape=shape)
    assert (batch(found).min(), batch(found).max()) == (0, 1)
    assert found.mean().max() <= 1
    torch.testing.assert_close(batch(found), torch.from_numpy(x).float(), atol=1e-5, rtol=0)


def test_numbers_that_leave_it_by_more_are_not_clipped():
    assert from_array(np.array([[0.5, 1 + 2e-5]]), "x").info["x"] == Real(shape=(2,))
    assert from_array(np.array([[0.5, -2e-5]]), "x").info["x"] == Real(shape=(2,))


# The fourth rule: other scales.


@pytest.mark.parametrize(
    ("x", "divisor"),
    [
        (BYTES.astype(np.float32), "255"),
        (BYTES.reshape(9, -1).astype(np.float64), "255"),
        (np.array([[0.0, 128.0]]), "255"),
        (np.array([[0.0, 127.0, 5.0]]), "127"),
        (np.array([[0.0, 256.0, 5.0]]), "256"),
        (np.array([[3.0, 16.0]]), "16"),
        (np.array([[[0.25, 1.5]]]), "1.5"),
        (np.array([[[[0.25, 99.5]]]]), "99.5"),
    ],
)
def test_other_scales_are_refused_with_the_divisor(x, divisor):
    said = (
        rf"Give --data\.scale {divisor}, or --data\.space real .*scale={divisor} or space='real'"
    )
    with pytest.raises(DataError, match=said) as caught:
        from_array(x, "x")
    assert "\n" not in str(caught.value)
    divided = from_array(x, "x", scale=float(divisor))
    assert divided.info["x"] == Unit(shape=x.shape[1:])
    torch.testing.assert_close(batch(divided), torch.from_numpy(x / float(divisor)).float())
    kept = from_array(x, "x", space="real")
    assert kept.info["x"] == Real(shape=x.shape[1:])
    assert kept.info.range["x"] == (x.min(), x.max())


def test_measured_and_negative_numbers_are_real():
    measured = as_dataset(np.array([[0.5, 99.5], [3.0, 7.0]]))
    assert (measured.info["x"], measured.notes) == (Real(shape=(2,)), ())
    negative = as_dataset(np.array([[-3, 99], [3, 7]], "f4"))
    assert negative.info["x"] == Real(shape=(2,))
    assert negative.info.range["x"] == (-3, 99)
    assert batch(negative).tolist() == [[-3, 99], [3, 7]]


@pytest.mark.parametrize("kind", ["i1", "i8"])
def test_whole_numbers_with_negative_ones_have_no_reading_by_themselves(kind):
    """A −1 may stand for a missing category, so they are not real numbers without a word."""
    x = np.array([[-3, 99], [3, 7]], kind)
    with pytest.raises(DataError, match=r"whole numbers from -3 to 99 \(int.*begin at 0.*'real'"):
        as_dataset(x)
    assert batch(as_dataset(x, space="real")).tolist() == [[-3, 99], [3, 7]]


def test_numbers_beyond_float32_are_not_called_infinite():
    with pytest.raises(DataError, match=r"float32 cannot hold .* row 1\. Rescale"):
        as_dataset(np.array([[0.5, 1.0], [1e300, 2.0]]))


def test_real_numbers_that_may_be_images_are_noted():
    images = BYTES[:, :, :, :4].transpose(0, 2, 3, 1) / 127.5 - 1
    found = from_array(images, "images")
    assert found.info["x"] == Real(shape=(6, 4, 3))
    ends, channels = found.notes
    assert "values in [-1, 1] are taken as real numbers; if they are images" in ends
    assert "rows of shape (6, 4, 3) are kept so; if channels come last" in channels
    assert from_array(3 * images[:, :, 0], "x").notes == ()


# What the user says.


def test_an_explicit_scale_is_the_answer():
    x = np.array([[0, 16], [3, 8]], np.uint8)
    assert from_array(x, "x", scale=16).info["x"] == Unit(shape=(2,), levels=17)
    assert from_array(x, "x", scale=255).info["x"] == Unit(shape=(2,), levels=256)
    assert from_array(x, "x", scale=16.5).info["x"] == Unit(shape=(2,))
    with pytest.raises(DataError, match=r"up to 16, which --data\.scale 8 divides, not in"):
        from_array(x, "x", scale=8)
    with pytest.raises(DataError, match="values up to 16, not in"):
        from_array(x, "x", scale=1)
    measured = from_array(np.array([[0.5, 99.5]]), "x", scale=10)
    assert measured.info["x"] == Real(shape=(2,))
    torch.testing.assert_close(batch(measured), torch.tensor([[0.05, 9.95]]))
    half = from_array(np.array([[-8, 16]]), "x", scale=16)
    assert (half.info["x"], half.info.range["x"]) == (Real(shape=(2,)), (-0.5, 1))


@pytest.mark.parametrize("scale", [0, -1.0, math.nan, math.inf])
def test_a_scale_that_cannot_divide_is_refused(scale):
    with pytest.raises(ConfigError, match="scale must be a finite number above 0"):
        from_array(BYTES, "x", scale=scale)


def test_a_space_that_is_named_overrides():
    bits = np.array([[0, 1], [1, 1]])
    assert from_array(bits, "x", space="real").info["x"] == Real(shape=(2,))
    assert from_array(bits, "x", space="unit").info["x"] == Unit(shape=(2,), levels=2)
    assert from_array(bits, "x", space="categorical").info["x"].num_categories == 2
    assert from_array(bits, "x", space="binary").info["x"] == Binary(shape=(2,))
    found = from_array(BYTES, "x", space="categorical")
    assert found.info["x"] == Categorical(shape=(3, 6, 5), num_categories=int(BYTES.max()) + 1)
    assert found.mean() is None
    found = from_array(BYTES, "x", space="categorical", scale=255)
    assert found.info["x"].num_categories == 256
    assert torch.equal(batch(found), torch.from_numpy(BYTES).long())
    whole = from_array(np.array([[0.0, 5.0]]), "x", space="categorical")
    assert whole.info["x"] == Categorical(shape=(2,), num_categories=6)


def test_binary_is_a_threshold_for_greys():
    for x in (BYTES, BYTES / 255):
        found = from_array(x, "x", space="binary")
        assert found.info["x"] == Binary(shape=(3, 6, 5))
        assert torch.equal(batch(found), torch.from_numpy(BYTES > 127).float())
        torch.testing.assert_close(found.mean(), batch(found).mean(0))


@pytest.mark.parametrize(
    ("x", "space", "said"),
    [
        ([[0.5]], "categorical", "categories are whole numbers from 0; some values are not whole"),
        ([[-2, 1]], "categorical", "some values are below 0, such as -2"),
        ([[2**21]], "categorical", "num_categories must be in"),
        ([[-2, 1]], "unit", "values down to -2, not in"),
        ([[0.5, 9.0]], "unit", "Give --data.scale 9"),
        ([[0.5, 9.0]], "binary", "Give --data.scale 9"),
        ([[0, 1]], "label", "arrays of numbers cannot be read as Label"),
        ([[0, 1]], "text", "arrays of numbers cannot be read as Text"),
    ],
)
def test_rows_that_are_not_in_the_named_space_are_refused(x, space, said):
    with pytest.raises(DataError, match=said):
        from_array(np.array(x), "x", space=space)


def test_an_unknown_space_is_answered_with_near_names():
    with pytest.raises(UnknownNameError, match="Did you mean 'unit'"):
        from_array(BYTES, "x", space="unitt")


# One space for all splits.


@pytest.mark.parametrize(
    ("x", "like", "expected"),
    [
        (np.array([[[0, 9]]], np.uint8), Unit(shape=(1, 1, 2), levels=256), [0, 9 / 255]),
        (np.array([[[0.5, 1]]]), Unit(shape=(1, 1, 2)), [0.5, 1]),
        (np.array([[0, 8]]), Unit(shape=(2,), levels=17), [0, 0.5]),
        (np.array([[0, 8]]), Categorical(shape=(2,), num_categories=10), [0, 8]),
        (np.array([[0, 8]]), Real(shape=(2,)), [0, 8]),
        (np.array([[0, 1]]), Binary(shape=(2,)), [0, 1]),
        (np.array([[1 + 1e-6, 0]]), Unit(shape=(2,)), [1, 0]),
        (np.array([[[[7], [8]]]], np.uint8), Unit(shape=(1, 1, 2), levels=256), None),
    ],
)
def test_rows_are_cast_to_the_space_of_another_split(x, like, expected):
    found = from_array(x, "test", like=like)
    assert found.info["x"] == like
    assert batch(found).dtype == like.dtype
    expected = [7 / 255, 8 / 255] if expected is None else expected
    torch.testing.assert_close(batch(found).flatten().double(), torch.tensor(expected).double())


@pytest.mark.parametrize(
    ("x", "like", "said"),
    [
        ([[0, 0], [0, 2]], Binary(shape=(2,)), "must fit the first split, .*; row 1 holds 2"),
        ([[0, 0], [0, 2]], Categorical(shape=(2,), num_categories=2), "row 1 holds 2"),
        ([[0, 17]], Unit(shape=(2,), levels=17), "row 0 holds 1.0625"),
        ([[0.5, 0.53]], Unit(shape=(2,), levels=3), "row 0 holds 0.53"),
        ([[0.5, 2]], Unit(shape=(2,)), "row 0 holds 2"),
        ([[0.5, np.nan]], Unit(shape=(2,)), "NaN or infinity"),
        ([[0, 1, 1]], Binary(shape=(2,)), r"rows of shape \(3,\); those of the first split"),
    ],
)
def test_rows_that_do_not_fit_the_other_split_are_refused(x, like, said):
    with pytest.raises(DataError, match=said):
        from_array(np.array(x), "test", like=like)


def test_a_row_far_down_is_named_by_its_number():
    x = np.zeros((5000, 1))
    x[4999] = 0.5
    with pytest.raises(DataError, match=r"row 4999 holds 0\.5"):
        from_array(x, "test", like=Binary(shape=(1,)))


# Labels and texts.


def test_names_of_classes_and_texts_become_fields():
    found = from_array(
        np.eye(3), "x", label=[0, -1, 1], label_names=["cat", "dog", "cow"], text=["a", "", "c"]
    )
    assert found.info["label"] == Label(num_classes=3, names=("cat", "dog", "cow"))
    rows = found.batch([2, 0])
    assert (rows["label"].tolist(), rows["text"]) == ([1, 0], ["c", "a"])
    assert "text" in found.info


def test_labels_are_one_column_and_rows_without_labels_have_none():
    column = from_array(np.eye(3), "x", label=np.array([[0], [2], [1]]))
    assert column.labels().tolist() == [0, 2, 1]
    assert "label" not in from_array(np.eye(3), "x", label=[-1, -1, -1]).info


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"label": [0, 1, 3], "label_names": ["a", "b"]}, "label 3, but names for 2 classes"),
        ({"text": ["a", "b"]}, "needs 3 texts, one for each row; got 2 texts"),
        ({"text": ["a", "b", None]}, "got None"),
    ],
)
def test_names_and_texts_that_do_not_fit_are_refused(given, said):
    with pytest.raises(DataError, match=said):
        from_array(np.eye(3), "x", **given)


# What is held, and read.


@pytest.mark.parametrize(
    ("given", "high", "share"),
    [
        ({}, 200, 1),
        ({"scale": 255}, 200, 1),
        ({"space": "unit"}, 200, 1),
        ({"space": "binary"}, 200, 1),
        ({"like": Unit(shape=(4, 256, 256), levels=256)}, 9, 0),
        ({}, 1, 6),
        ({"space": "real"}, 200, 6),
        ({"space": "categorical"}, 200, 6),
    ],
)
def test_bytes_are_read_only_until_their_kind_is_clear(monkeypatch, given, high, share):
    """Rows of six blocks."""
    blocks, real = [], facts._of_block
    monkeypatch.setattr(facts, "_of_block", lambda *args: blocks.append(1) or real(*args))
    from_array(np.full((24, 4, 256, 256), high, np.uint8), "x", **given)
    # The two rules that a threshold needs look at the begin twice.
    assert len(blocks) == share * (2 if given == {"space": "binary"} else 1)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i4", "u8", "f2", "f4", "f8"])
def test_rows_keep_their_type_and_their_memory(kind):
    x = (np.arange(12).reshape(4, 3) % 2 * 1.0).astype(kind)
    found = from_array(x, "x")
    assert found.x.element_size() == x.itemsize
    assert found.x.data_ptr() == x.ctypes.data
    assert found.batch(torch.tensor([3, 0]))["x"].dtype == torch.float32
    x[:] = 0
    assert batch(found).sum() == 0


@pytest.mark.parametrize("space", ["unit", "binary", "categorical", "real"])
def test_rows_can_be_sent_to_another_process(space):
    found = from_array(BYTES, "x", space=space, scale=255)
    found.info = found.info.with_mean(found.mean)
    sent = pickle.loads(pickle.dumps(found))
    assert torch.equal(batch(sent), batch(found))
    assert ("x" in sent.info.mean) == (space != "categorical")


def test_arrays_that_torch_cannot_hold_are_copied():
    for x in (np.eye(3)[::-1], np.eye(3, dtype=">f4"), np.eye(3, dtype=np.longdouble)):
        assert torch.equal(batch(from_array(x, "x")), torch.from_numpy(x.astype("f4").copy()))
    constant = np.eye(3)
    constant.flags.writeable = False
    assert from_array(constant, "x").info["x"] == Binary(shape=(3,))


def test_arrays_that_hide_values_are_refused():
    x = np.ma.masked_array(np.eye(3), mask=np.eye(3) > 0)
    with pytest.raises(DataError, match=r"has masked values\. Fill them"):
        from_array(x, "x")
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    for x, said in (
        (torch.eye(3).to_sparse(), r"torch\.sparse_coo"),
        (torch.eye(3, device="meta"), "meta"),
        (nested, "nested"),
        (torch.eye(3).to(torch.float8_e4m3fn), r"torch\.float8_e4m3fn"),
    ):
        with pytest.raises(DataError, match=f"holds {said} values; a dense array of real"):
            from_array(x, "x")


@pytest.mark.parametrize("x", [BYTES, BYTES / 255, BYTES.astype("f2") / 300, BYTES.astype("i8")])
def test_the_mean_is_that_of_the_rows(x):
    found = from_array(x, "x", scale=300 if x.dtype == "i8" else None)
    torch.testing.assert_close(found.mean(), batch(found).double().mean(0).float())


# Through the command line and files.


def test_bytes_in_a_file_are_learned_as_levels(tmp_path, capsys):
    x = (RANDOM.random((40, 1, 16, 16)) ** 3 * 255).astype(np.uint8)
    np.savez(tmp_path / "u8.npz", x=x)
    line = f"train ddpm --data {tmp_path}/u8.npz --output {tmp_path}/run --trainer.max-steps 1"
    small = (
        "--trainer.batch-size 4 --trainer.threads 1 --model.num-train-timesteps 8 "
        "--model.schedule cosine"
    )
    with pytest.raises(SystemExit) as left:
        main(f"{line} {small}".split())
    assert left.value.code == 0, capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main(f"sample {tmp_path}/run --num 2 --output {tmp_path}/x.npz --seed 0".split())
    assert left.value.code == 0
    drawn = np.load(tmp_path / "x.npz")["x"]
    assert 0 <= drawn.min() < drawn.max() <= 1
    assert load_dataset(str(tmp_path / "u8.npz")).info["x"] == Unit(shape=(1, 16, 16), levels=256)


@pytest.mark.parametrize(
    ("top", "levels"), [(250, 256), (255, 256), (100, 101), (40_000, 65536), (300, 301)]
)
def test_whole_numbers_near_a_full_range_are_levels_of_that_range(top, levels):
    x = np.arange(60).reshape(20, 3) % 7
    x[3, 1] = top
    dataset = as_dataset(x, space="unit")
    assert dataset.info["x"].levels == levels
    assert dataset.batch([3])["x"][0, 1].item() == pytest.approx(top / (levels - 1))
    assert dataset.notes[-1].startswith(f"whole numbers are divided by {levels - 1}")


def test_a_threshold_that_follows_from_the_space_is_said():
    dataset = as_dataset(np.array([[0.2, 0.7], [0.9, 0.1]]), space="binary")
    assert dataset.batch([0, 1])["x"].tolist() == [[0, 1], [1, 0]]
    assert dataset.notes == ("numbers in [0, 1] are converted to 2: zeros and ones",)
    assert as_dataset(np.array([[0.0, 1.0]]), space="binary").notes == ()
