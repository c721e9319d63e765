"""Cycle and translation errors by hand, what is missing where, and labels that are kept."""

import numpy as np
import pytest
import torch

import families
from genzoo import CapabilityError, Component, Unit, evaluate, load_dataset, pair
from genzoo.data.domains import TwoDomains
from genzoo.evaluation import classifier
from genzoo.evaluation.translation import LabelKept


class Shifted(families.Cycle):
    """To y: a tenth more; to x: three tenths less."""

    def translate(self, x, *, to):
        return x + 0.1 if to == "y" else x - 0.3


def model(*shape):
    images = Unit(shape=shape)
    return Shifted(Shifted.Config(event=images, conditions={"y": images}))


def aligned(x, y):
    both = pair(x, y)
    return TwoDomains(both.x, both.y, aligned=True)


def grey(num=20, seed=0):
    return 0.3 + 0.4 * torch.rand(num, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


def test_errors_are_those_of_the_shifts():
    """There and back is 0.2 too dark either way; of y = x + 0.25, 0.15 and 0.05 are amiss."""
    x = grey()
    found = evaluate(model(1, 4, 4), aligned(x, x + 0.25), ["cycle-error", "translation-error"])
    values = {name: figure.value for name, figure in found.figures.items()}
    assert values == {
        "cycle-error-x": pytest.approx(0.2, abs=1e-6),
        "cycle-error-y": pytest.approx(0.2, abs=1e-6),
        "translation-error-y": pytest.approx(0.15, abs=1e-6),
        "translation-error-x": pytest.approx(0.05, abs=1e-6),
    }
    (note,) = found.figures["translation-error-y"].notes
    y = x + 0.25
    mean = (y - y.mean(0)).abs().mean().item()
    assert (
        note.text
        == f"In the translation's place: the source itself 0.25, the rows' mean {mean:.4g}."
    )


def test_rows_that_do_not_belong_together_have_a_cycle_alone():
    data = pair(grey(), grey(seed=1))
    found = evaluate(model(1, 4, 4), data).figures
    assert {"cycle-error-x", "cycle-error-y"} <= set(found)
    assert not any(name.startswith("translation") for name in found)
    with pytest.raises(CapabilityError, match="do not belong together"):
        evaluate(model(1, 4, 4), data, ["translation-error"])
    with pytest.raises(CapabilityError, match="the model does not translate"):
        evaluate(families.linear(), torch.rand(5, 3), ["cycle-error"])


def test_alignment_outlives_a_limit_and_is_the_test_splits_alone(tmp_path):
    from test_data_domains import write_fashion

    folder = write_fashion(tmp_path)
    for split, known in (("train", False), ("test", True)):
        data = load_dataset("fashion-mnist-rotated", split, folder=folder, limit=3)
        assert data.info.aligned is known


def test_labels_are_kept_by_the_identity_and_lost_by_another_row():
    digits = load_dataset("digits", "test")
    x = digits.head(200)["x"]
    shuffled = x[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    judge = classifier.load_classifier("digits-cnn")
    for y in (0.7 * x + 0.3, 0.7 * shuffled + 0.3):
        both = pair(digits, y)
        data = TwoDomains(both.x, both.y, aligned=True)
        found = evaluate(model(1, 8, 8), data, [Component(name="label-kept")]).figures[
            "label-kept"
        ]
        expected = judge.predict(y - 0.3) == judge.predict(x)
        assert found.value == pytest.approx(np.mean(expected.numpy()))
    assert found.value < 0.3
    assert (
        LabelKept()
        .unavailable_reason(model(1, 4, 4), aligned(grey(100), grey(100)))
        .startswith("no classifier comes with genzoo")
    )
