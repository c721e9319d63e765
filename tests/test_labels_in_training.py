"""Labels that a model does not know are refused before they reach it, with the value named."""

from dataclasses import replace

import pytest
import torch

import families
import genzoo
from genzoo import DataError
from genzoo.data import from_array, keep_labels, pair
from genzoo.data.captioned import Captioned
from genzoo.data.dataset import ArrayDataset
from genzoo.testing import Case
from genzoo.training import run

CONFIG = genzoo.TrainerConfig(steps=1, batch_size=8, threads=1, progress=False)
GOOD = torch.arange(8) % 3


class Unread(ArrayDataset):
    """Rows whose labels are only found by reading them."""

    def labels(self):
        return None


def labelled(label, cls=ArrayDataset, num_classes=3, size=4):
    spec = genzoo.DataSpec(event_shape=(size,), kind="unit", num_classes=num_classes)
    return cls(families.rows(len(label), size), spec, "rows", label)


def replaced(value, row=5):
    return torch.cat([GOOD[:row], torch.tensor([value]), GOOD[row + 1 :]])


def toy_vae():
    return Case("toy-vae", families.VAE).model()


VALUES = {
    3: "row 5 of rows has the label 3. Number the labels from 0, or make the model with num_cl",
    2**62: "has the label 4611686018427387904. Number the labels from 0.",
    -1: "has the label -1. Leave out the rows without a label, or make the model without a cond",
    -2: "has the label -2. Number the labels from 0.",
}


@pytest.mark.parametrize("value", VALUES)
def test_known_labels_are_refused_before_anything_is_trained(value):
    with pytest.raises(DataError) as caught:
        genzoo.Trainer(toy_vae(), labelled(replaced(value)), config=CONFIG)
    assert "VAE learns from labels from 0 to 2; " in str(caught.value)
    assert VALUES[value] in str(caught.value)


@pytest.mark.parametrize("value", VALUES)
def test_others_are_refused_while_they_are_read_and_before_they_leave_the_host(value, monkeypatch):
    moved = []
    monkeypatch.setattr(run, "to_device", lambda batch, *given: moved.append(batch))
    trainer = genzoo.Trainer(toy_vae(), labelled(replaced(value), Unread), config=CONFIG)
    with pytest.raises(DataError, match=f"of a batch has the label {value}"):
        trainer.fit()
    assert moved == []


@pytest.mark.parametrize("cls", [ArrayDataset, Unread])
def test_a_model_that_is_not_given_the_label_takes_rows_without_one(cls):
    data = labelled(replaced(-1), cls, size=3)
    genzoo.Trainer(families.linear(), data, config=CONFIG).fit()
    with pytest.raises(DataError, match=r"from 0 to 2, and −1 for a row without one; .* label -2"):
        genzoo.Trainer(families.linear(), labelled(replaced(-2), cls, size=3), config=CONFIG).fit()


def test_where_no_model_says_how_many_there_are_the_data_do():
    for num_classes, taken in ((9, True), (None, True), (8, False)):
        data = labelled(replaced(8), num_classes=num_classes, size=3)
        if taken:
            genzoo.Trainer(families.linear(), data, config=CONFIG).fit()
        else:
            with pytest.raises(DataError, match=r"from 0 to 7, .* num_classes=9"):
                genzoo.Trainer(families.linear(), data, config=CONFIG)


@pytest.mark.parametrize("label", [GOOD.float(), GOOD[:, None], GOOD.int()])
def test_what_is_no_list_of_whole_numbers_is_refused(label):
    with pytest.raises(DataError, match=r"one for each of 8 rows; those of rows are torch.*long"):
        genzoo.Trainer(toy_vae(), labelled(label), config=CONFIG)


def test_a_longer_first_domain_is_looked_at_to_its_end():
    model = Case("toy-cycle", families.Cycle).model()
    first, shape = labelled(replaced(7, 7)), model.event_shape
    first.x, first.spec = families.rows(8, *shape), replace(first.spec, event_shape=shape)
    data = pair(first, families.rows(4, *shape))
    with pytest.raises(DataError, match="row 7 of rows has the label 7"):
        genzoo.Trainer(model, data, config=CONFIG)


def test_captions_are_not_made_of_such_labels():
    data = Captioned(labelled(replaced(3), size=3), ["a {label=cat|dog|cow}"])
    with pytest.raises(DataError, match="has the label 3"):
        genzoo.Trainer(families.linear(), data, config=CONFIG).fit()


def test_of_rows_of_which_some_have_no_label_labels_can_be_kept():
    data = labelled(torch.tensor([-1, 0, -1, 2**62, 0, 2**62]))
    kept = keep_labels(data, 2)
    assert sorted(data.label[kept.labelled].tolist()) == [0, 2**62]
    with pytest.raises(DataError, match="has no labels of which 1"):
        keep_labels(labelled(torch.full((4,), -1)), 1)


def test_an_arrays_labels_fit_the_number_that_it_states():
    data = from_array(families.rows(8, 3), "rows", label=GOOD)
    genzoo.Trainer(families.linear(), data, config=CONFIG).fit()
