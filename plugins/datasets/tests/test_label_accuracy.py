"""Labels that were asked for, judged by a classifier."""

import pytest
import torch

import families
from genzoo import CapabilityError, evaluate, load_dataset
from genzoo.data import from_array
from genzoo_datasets.classifier import load_classifier, sha256_of
from genzoo_datasets.label_accuracy import LabelAccuracy, LabelConfig
from judges import LabelledReplay, Replay, case


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def judged(data, shift=0, num=600):
    batch = data.head(1500)
    model = LabelledReplay(batch["x"], (batch["label"] + shift) % 10)
    return case(model, data, num)


def test_samples_of_the_label_asked_for_are_as_right_as_the_classifier_on_data(digits):
    (item,) = LabelAccuracy().compute(judged(digits)).items()
    name, figure = item
    assert name == "label-accuracy"
    batch = judged(digits).held_out
    right = load_classifier("digits-cnn").predict(batch["x"]) == batch["label"]
    assert figure.reference.value == pytest.approx(right.double().mean().item())
    assert figure.value == pytest.approx(figure.reference.value, abs=0.03)
    assert (figure.unit, figure.num_samples) == ("share", 300)
    assert figure.provenance == {"classifier": "digits-cnn", "sha256": sha256_of("digits-cnn")}
    assert "the classifier's accuracy on rows of those labels" in figure.notes[0].text


def test_samples_of_another_label_are_wrong(digits):
    figure = LabelAccuracy().compute(judged(digits, shift=1))["label-accuracy"]
    assert figure.value < 0.05
    assert figure.reference.value > 0.9


def test_only_labels_that_the_classifier_knows_are_judged(digits):
    batch = digits.head(1500)
    model = LabelledReplay(batch["x"], batch["label"])
    named = LabelAccuracy(LabelConfig(classifier="digits-cnn"))
    unnamed = from_array(batch["x"].numpy(), "an array", label=batch["label"])
    assert LabelAccuracy().unavailable_reason(model, digits) == ""
    assert LabelAccuracy().unavailable_reason(model, unnamed) == (
        "the labels are not known to be those of digits-cnn, trained on digits"
    )
    assert named.unavailable_reason(model, unnamed) == ""
    two = from_array(batch["x"].numpy(), "two labels", label=batch["label"] % 2)
    assert "not known to be those of digits-cnn" in named.unavailable_reason(model, two)


@pytest.mark.parametrize(
    ("shape", "name", "reason"),
    [
        ((1, 5, 5), None, "no classifier comes with genzoo for data of shape (1, 5, 5)"),
        ((1, 5, 5), "digits-cnn", "digits-cnn is for images (1, 8, 8), not (1, 5, 5)"),
        ((1, 8, 8), "no-such", "there is no classifier 'no-such': digits-cnn, fashion-cnn"),
    ],
)
def test_data_that_no_classifier_fits_are_not_judged(shape, name, reason):
    rows, label = families.rows(100, *shape), torch.arange(100) % 10
    data = from_array(rows, "rows", label=label)
    found = LabelAccuracy(LabelConfig(classifier=name)).unavailable_reason(
        LabelledReplay(rows, label), data
    )
    assert found == reason


def test_a_model_without_labels_is_not_judged_by_them(digits):
    model = Replay(digits.head(10)["x"])
    with pytest.raises(CapabilityError, match="the model is not conditioned on a label"):
        evaluate(model, digits, ["label-accuracy"])


def test_seeds_are_all_that_a_figure_depends_on(digits):
    first, again = (LabelAccuracy().compute(judged(digits)) for _ in range(2))
    assert first == again
