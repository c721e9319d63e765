"""Classes of the data are those of the model: their names are compared."""

import numpy as np
import pytest

from genzoo import create_model
from genzoo.data import as_dataset
from genzoo.errors import DataError

X = np.random.default_rng(0).random((6, 2))


def labelled(*labels):
    return as_dataset((X, labels * 3))


@pytest.fixture
def model():
    return create_model("vae", data=labelled("cat", "dog"), conditions=["label"])


def test_a_class_with_another_number_is_refused(model):
    with pytest.raises(DataError, match="'dog' is class 0 of label in these data and class 1 of"):
        model.check_data(labelled("dog", "zebra").info)


def test_other_names_are_said_and_matched_by_number(model, caplog):
    model.check_data(labelled("Katze", "Hund").info)
    assert "'Hund, Katze', the model's are 'cat, dog': they are matched by number" in caplog.text


def test_the_same_names_or_none_are_taken_without_a_word(model, caplog):
    model.check_data(labelled("cat", "dog").info)
    model.check_data(labelled(0, 1).info)
    assert not caplog.records
