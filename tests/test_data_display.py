"""Datasets are indexed, iterated and shown as people expect of rows."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.data import as_dataset, from_array, load_dataset, pair
from genzoo.data.dataset import ArrayDataset
from genzoo.errors import DataError
from genzoo.spaces import Categorical, Label, Real, Text
from genzoo.spec import DataInfo

X = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))


def rows(num=7):
    return from_array(X[:num], "seven", label=np.arange(num) % 3)


# Indexing.


def test_an_integer_is_one_row_and_negative_ones_count_from_the_end():
    data = rows()
    for index in (2, np.int64(2), torch.tensor(2), -5):
        row = data[index]
        assert set(row) == {"x", "label"}
        assert torch.equal(row["x"], X[2])
        assert row["label"].shape == ()
        assert row["label"] == 2


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(1, 6, 2), [1, 3, 5]),
        (slice(None, None, -3), [6, 3, 0]),
        (slice(5, 99), [5, 6]),
        ([6, 0, -1], [6, 0, 6]),
        (np.array([1, 1]), [1, 1]),
        (torch.tensor([True, False, False, True, False, False, False]), [0, 3]),
        ([], []),
        (range(2), [0, 1]),
    ],
)
def test_slices_lists_and_masks_are_batches(index, expected):
    batch = rows()[index]
    assert torch.equal(batch["x"], X[expected])
    assert batch["label"].tolist() == [i % 3 for i in expected]


def test_a_slice_can_go_backwards():
    assert rows()[::-1]["label"].tolist() == [0, 2, 1, 0, 2, 1, 0]


@pytest.mark.parametrize("index", [7, -8, [0, 7], [-8], torch.tensor([True])])
def test_a_row_that_is_not_there_is_an_index_error(index):
    with pytest.raises(IndexError, match="7 rows"):
        rows()[index]


@pytest.mark.parametrize("index", ["x", 1.5, None, [[1]], ["a"], [0.5]])
def test_other_indices_are_type_errors(index):
    with pytest.raises(TypeError, match="is indexed by an integer"):
        rows()[index]


def test_captions_are_strings_of_a_row_and_lists_of_a_batch():
    info = DataInfo(fields={"x": Real(shape=(3,)), "text": Text()})
    data = ArrayDataset(X, info, "told", text=list("abcdefg"))
    assert data[3]["text"] == "d"
    assert data[1:3]["text"] == ["b", "c"]


def test_iteration_yields_every_row_once_and_ends():
    data = from_array(torch.randn(130, 2), "many", label=np.arange(130))
    assert [int(row["label"]) for row in data] == list(range(130))
    both = pair(rows(), rows(3))
    assert [set(row) for row in both] == [{"x", "label", "y", "y_label"}] * 3


def test_a_dataset_goes_through_torchs_loader():
    loader = torch.utils.data.DataLoader(rows(), batch_size=3)
    assert [len(batch["x"]) for batch in loader] == [3, 3, 1]


# Text.


def test_one_line_says_rows_fields_split_and_notes():
    data = load_dataset("digits", "test")
    data.notes = ("two things\nare left out.",)
    line = repr(data)
    assert "\n" not in line
    for part in ("'digits/test'", "split 'test'", "297 rows", "1 × 8 × 8", "labels from 0 to 9"):
        assert part in line
    assert "are left out" in line


def pictures_in(page):
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def test_a_notebook_shows_the_first_rows_as_a_picture():
    x = torch.zeros(40, 1, 4, 4)
    x[0] = 1
    (picture,) = pictures_in(as_dataset(x)._repr_html_())
    shown = np.asarray(picture)
    assert shown[30, 30] == 255, "The first row is white,"
    assert shown[-30, -30] == 0, "and the sixteenth is black."


def test_names_notes_and_texts_are_escaped():
    evil = "<script>alert(1)</script>"
    fields = {"x": Real(shape=(3,)), "text": Text(), "label": Label(num_classes=1, names=(evil,))}
    data = ArrayDataset(
        X, DataInfo(fields=fields), evil, torch.zeros(7, dtype=torch.long), text=[evil] * 7
    )
    data.notes, data.split = (evil,), evil
    page = data._repr_html_()
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") >= 4 + 7


def test_what_cannot_be_drawn_is_left_out_of_the_page():
    space = Categorical(shape=(5,), num_categories=2, names=("a", "b"))
    letters = ArrayDataset(torch.ones(3, 5), DataInfo(fields={"x": space}), "letters")
    assert len(pictures_in(letters._repr_html_())) == 1
    deep = from_array(torch.randn(3, 2, 2, 2, 2), "deep")
    assert pictures_in(deep._repr_html_()) == []


def test_rows_that_cannot_be_read_are_a_sentence_on_the_page():
    class Broken(ArrayDataset):
        def batch(self, indices, generator=None):
            raise DataError("row 0 is <broken>.")

    page = Broken(X, DataInfo(fields={"x": Real(shape=(3,))}), "b")._repr_html_()
    assert "row 0 is &lt;broken&gt;." in page


def test_showing_leaves_the_global_stream_alone():
    data = load_dataset("digits", binarize="dynamic")
    before = torch.random.get_rng_state()
    data._repr_html_()
    assert torch.equal(before, torch.random.get_rng_state())
