"""A few labels among many rows: which are kept, how often they come, and what is refused."""

import pytest
import torch

from genzoo import DataError, load_dataset
from genzoo.data import from_array, keep_labels
from genzoo.data.labelling import UNKNOWN


def numbered(num=30, classes=3):
    x = torch.arange(num).float()[:, None].expand(num, 2) / num
    return from_array(x, "numbered", label=torch.arange(num) % classes)


def test_every_row_comes_without_its_label_and_the_labelled_ones_as_often_again():
    data = keep_labels(numbered(), 6)
    found = data.batch(range(60))
    assert len(data) == 60
    assert torch.equal(found["x"][:30], numbered().x)
    assert bool((found["label"][:30] == UNKNOWN).all())
    assert bool((found["label"][30:] >= 0).all())
    rows = (found["x"][30:, 0] * 30).round().long()
    assert rows.unique(return_counts=True)[1].tolist() == [5] * 6
    assert torch.equal(found["label"][30:], rows % 3)
    assert torch.bincount(found["label"][30:]).tolist() == [10, 10, 10]


def test_a_seed_decides_which_labels_are_kept():
    def kept(seed):
        return set(keep_labels(numbered(), 6, seed).labelled.tolist())

    assert kept(0) == kept(0) != kept(1)


def test_the_training_split_alone_loses_labels():
    train = load_dataset("digits", labelled=20)
    test = load_dataset("digits", "test", labelled=20)
    assert len(train) == 3000
    assert sorted(train.batch(range(1500, 3000))["label"].unique().tolist()) == list(range(10))
    assert bool((test.batch(range(297))["label"] >= 0).all())
    whole = load_dataset("digits")
    torch.testing.assert_close(train.info.mean["x"], whole.info.mean["x"])
    assert train.info["label"].num_classes == 10


@pytest.mark.parametrize(
    ("num", "said"), [(7, "multiple of 3, 30 at most"), (33, "30 at most"), (2, "multiple of 3")]
)
def test_labels_that_cannot_be_kept_in_equal_parts_are_refused(num, said):
    with pytest.raises(DataError, match=said):
        keep_labels(numbered(), num)


def test_data_without_labels_are_refused():
    with pytest.raises(DataError, match="has no labels, so 3 cannot be kept"):
        keep_labels(from_array(torch.rand(5, 2), "bare"), 3)
