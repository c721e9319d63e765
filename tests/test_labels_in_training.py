"""Labels that a model does not know are refused before they reach it, with the value named."""

import pytest
import torch

import families
import genzoo
from genzoo import DataError
from genzoo.data import from_array, keep_labels, pair
from genzoo.data.captioned import Captioned
from genzoo.data.dataset import ArrayDataset
from genzoo.testing import Case
from genzoo.training import plan

CONFIG = genzoo.TrainerConfig(max_steps=1, batch_size=8, threads=1, progress=False)
GOOD = torch.arange(8) % 3


class Unread(ArrayDataset):
    """Rows whose labels are only found by reading them."""

    def labels(self):
        return None


def labelled(label, cls=ArrayDataset, num_classes=3, size=4):
    fields = {"x": genzoo.Unit(shape=(size,)), "label": genzoo.Label(num_classes=num_classes)}
    return cls(families.rows(len(label), size), genzoo.DataInfo(fields=fields), "rows", label)


def replaced(value, row=5):
    return torch.cat([GOOD[:row], torch.tensor([value]), GOOD[row + 1 :]])


def toy_vae():
    return Case("toy-vae", families.VAE).model()


VALUES = {
    3: "label 5 is 3. Number the labels from 0, or make the model with 4 classes.",
    2**62: "label 5 is 4611686018427387904. Number the labels from 0.",
    -1: "label 5 is -1. Leave out the rows without a label, or use a model that takes them.",
    -2: "label 5 is -2. Number the labels from 0.",
}


@pytest.mark.parametrize("value", VALUES)
def test_known_labels_are_refused_before_anything_is_trained(value):
    with pytest.raises(DataError) as caught:
        genzoo.Trainer(toy_vae(), labelled(replaced(value)), config=CONFIG)
    assert f"VAE takes labels from 0 to 2; {VALUES[value]}" == str(caught.value)


@pytest.mark.parametrize("value", VALUES)
def test_others_are_refused_while_they_are_read_and_before_they_leave_the_host(value, monkeypatch):
    moved = []
    monkeypatch.setattr(plan, "to_device", lambda batch, *given: moved.append(batch))
    trainer = genzoo.Trainer(toy_vae(), labelled(replaced(value), Unread), config=CONFIG)
    with pytest.raises(DataError, match=rf"VAE takes labels from 0 to 2; label \d is {value}"):
        trainer.fit()
    assert moved == []


def test_a_model_that_has_learned_to_do_without_takes_rows_without_a_label():
    model = Case("toy-diffusion", families.Diffusion).model()
    data = labelled(replaced(-1), Unread)
    data.info = data.info.with_field("x", model.event)
    genzoo.Trainer(model, data, config=CONFIG).fit()
    for value in (3, -2):
        data.label = replaced(value)
        with pytest.raises(DataError, match=rf"label \d is {value}"):
            genzoo.Trainer(model, data, config=CONFIG).fit()


def test_labels_that_are_not_read_are_held_to_what_the_data_say_where_they_are_known():
    genzoo.Trainer(families.linear(), labelled(replaced(-1), size=3), config=CONFIG).fit()
    with pytest.raises(DataError, match="rows takes labels from 0 to 2; label 5 is -2"):
        genzoo.Trainer(families.linear(), labelled(replaced(-2), size=3), config=CONFIG)


def test_what_nobody_reads_is_not_loaded():
    """Captions of labels that there are not would be an error."""
    wrong = labelled(replaced(3), Unread, num_classes=3, size=3)
    data = Captioned(wrong, ["a {label=cat|dog|cow}"])
    with pytest.raises(DataError, match="has the label 3; its templates have words for 0 to 2"):
        data.batch(range(8))
    trainer = genzoo.Trainer(families.linear(), data, config=CONFIG)
    assert list(trainer.plan.rows.batch([0])) == ["x"]
    trainer.fit()


@pytest.mark.parametrize("label", [GOOD.float(), GOOD.int()])
def test_what_is_no_list_of_whole_numbers_is_refused(label):
    with pytest.raises(DataError, match=r"one for each of 8 rows; got torch.*long"):
        genzoo.Trainer(toy_vae(), labelled(label), config=CONFIG)


def test_a_longer_first_domain_is_looked_at_to_its_end():
    model = Case("toy-cycle", families.Cycle).model()
    first, shape = labelled(replaced(7, 7)), model.event_shape
    first.x, first.info = families.rows(8, *shape), first.info.with_field("x", model.event)
    data = pair(first, families.rows(4, *shape))
    with pytest.raises(DataError, match="label 7 is 7"):
        genzoo.Trainer(model, data, config=CONFIG)


def test_of_a_row_without_a_label_nothing_is_told():
    data = Captioned(labelled(replaced(-1)), ["a {label=cat|dog|cow}"])
    assert data.batch([4, 5])["text"] == ["a dog", ""]


def test_of_rows_of_which_some_have_no_label_labels_can_be_kept():
    data = labelled(torch.tensor([-1, 0, -1, 2**62, 0, 2**62]))
    kept = keep_labels(data, 2)
    assert sorted(data.label[kept.labelled].tolist()) == [0, 2**62]
    with pytest.raises(DataError, match="has no labels, so 1 cannot be kept"):
        keep_labels(labelled(torch.full((4,), -1)), 1)


def test_an_arrays_labels_fit_the_number_that_it_states():
    data = from_array(families.rows(8, 3), "rows", label=GOOD)
    genzoo.Trainer(families.linear(), data, config=CONFIG).fit()
