"""Accuracy: the share of labels that a model is right about, next to what ignorance reaches."""

import pytest
import torch

import families
from genzoo import CapabilityError, evaluate
from genzoo.capabilities import of
from genzoo.data.dataset import ArrayDataset
from genzoo.data.domains import TwoDomains
from genzoo.spaces import Label, Unit
from genzoo.spec import DataInfo

IMAGES = Unit(shape=(1, 4, 4))


class Sorter(families.Cycle):
    """Takes bright images for label 1, the others for label 0."""

    def classify(self, x):
        bright = (x.flatten(1).mean(1) > 0.5).to(x.dtype)
        return torch.stack([1 - bright, bright], dim=1)


def model():
    return Sorter(Sorter.example()[0])


def rows(values, label):
    info = DataInfo(fields={"x": IMAGES, "label": Label(num_classes=2)})
    x = torch.tensor(values)[:, None, None, None].expand(-1, 1, 4, 4).contiguous()
    return ArrayDataset(x, info, "made", torch.tensor(label))


def judged(data):
    return evaluate(model(), data, ["accuracy"]).figures


def test_accuracy_is_the_share_that_is_right_and_its_reference_the_most_frequent_label():
    data = rows([0.9, 0.8, 0.1, 0.7, 0.2], [1, 1, 0, 0, 1])
    figure = judged(TwoDomains(data, data))["accuracy"]
    assert figure.value == pytest.approx(3 / 5)
    assert figure.reference.value == pytest.approx(3 / 5)
    assert figure.reference.kind == "majority class"
    assert "majority class 0.60" in figure.short()
    assert figure.std_error == pytest.approx((0.6 * 0.4 / 4) ** 0.5)


def test_rows_without_a_label_are_left_out():
    data = rows([0.9, 0.1, 0.9], [1, 1, -1])
    assert judged(TwoDomains(data, data))["accuracy"].value == pytest.approx(1 / 2)


def test_a_second_domain_is_judged_where_its_rows_belong_to_those_of_the_first():
    x, y = rows([0.9, 0.1, 0.8, 0.3], [1, 0, 1, 0]), rows([0.1, 0.9, 0.2, 0.1], [0, 0, 0, 0])
    found = judged(TwoDomains(x, y, aligned=True))
    assert (found["accuracy"].value, found["accuracy-y"].value) == (1.0, 0.25)
    assert "accuracy-y" not in judged(TwoDomains(x, y))


def test_what_classifies_is_known_by_its_capability():
    assert "Classify" in of(Sorter)
    data = rows([0.9, 0.1], [1, 0])
    plain = families.Cycle(families.Cycle.example()[0])
    with pytest.raises(CapabilityError, match="the model does not classify"):
        evaluate(plain, TwoDomains(data, data), ["accuracy"])
    unlabelled = TwoDomains(*(torch_rows() for _ in range(2)))
    with pytest.raises(CapabilityError, match="has no labels"):
        evaluate(model(), unlabelled, ["accuracy"])


def torch_rows():
    return ArrayDataset(torch.rand(3, 1, 4, 4), DataInfo(fields={"x": IMAGES}), "made")
