"""Cycle and translation errors by hand, what is missing where."""

import pytest
import torch

import families
from genzoo import CapabilityError, Unit, evaluate, pair
from genzoo.data.domains import TwoDomains


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
    with pytest.raises(CapabilityError, match="are not aligned"):
        evaluate(model(1, 4, 4), data, ["translation-error"])
    with pytest.raises(CapabilityError, match="the model does not translate"):
        evaluate(families.linear(), torch.rand(5, 3), ["cycle-error"])
