"""If the first update fails, the data are looked at before the learning rate is blamed."""

import math

import pytest
import torch

import families
from fitting import DATA, fit
from genzoo import create_model
from genzoo.data import from_array
from genzoo.errors import NotFiniteError
from genzoo.objective import Loss, Objective
from genzoo.spaces import Real
from genzoo.training.advice import advice

RATE = "ower the learning rate"


class Broken(Objective):
    """A loss that is NaN from a step on."""

    Config = families.None_

    def __init__(self, model, at):
        super().__init__(model)
        self.at = at

    def losses(self, batch, step):
        yield Loss(self.model.net(batch["x"]).sum() * (math.nan if step.index >= self.at else 0))


def said(data, at, event=None):
    model = create_model("toy-linear", event=Real(shape=(3,))) if event else families.linear()
    with pytest.raises(NotFiniteError) as caught:
        fit(model, data, objective=Broken(model, at))
    return str(caught.value)


def test_the_range_of_the_data_is_named_first_at_the_first_update():
    rows = torch.tensor([[0.5, -555.0, 678.25]]).expand(32, 3)
    data = from_array(rows, "rows")
    found = said(data, at=0, event=Real)
    assert "The field x of this batch has values from -555 to 678.25: rescale the data" in found
    assert found.index("--data.scale 678.25; in Python, scale=678.25") < found.index(RATE)
    later = said(data, at=2, event=Real)
    assert "rescale" not in later
    assert "step 3" in later
    assert f"L{RATE}" in later


def test_usual_data_are_not_blamed():
    found = said(DATA, at=0)
    assert f"L{RATE}" in found
    assert "rescale" not in found


@pytest.mark.parametrize(
    ("batches", "begin"),
    [
        ([{"x": torch.zeros(2, 3)}, {"x": torch.full((2, 3), 11.0)}], "The field x .* 0 to 11:"),
        ([{"x": torch.tensor([[0.0, math.nan]])}], "The field x .* holds NaN or infinity"),
        ([{"x": torch.tensor([[math.inf]])}], "The field x .* holds NaN or infinity"),
        ([{"x": torch.ones(2, 1), "y": torch.full((2, 1), -99.0)}], "field y .*--data-y.scale 99"),
        ([{"x": torch.full((2, 3), 99)}], f"^L{RATE}"),
        ([{"x": torch.full((2, 3), 10.0), "label": torch.tensor([50, 60])}], f"^L{RATE}"),
    ],
)
def test_every_field_of_numbers_is_looked_at(batches, begin):
    with pytest.raises(NotFiniteError, match=begin):
        raise NotFiniteError(advice(batches, 0, ["model"]))
    assert advice(batches, 1, ["model"]).startswith(f"L{RATE}")
    assert "--trainer.optimizers.model.lr" in advice(batches, 1, ["model"])
    assert "--trainer.optimizers.PLAYER.lr" in advice(batches, 1, ["generator", "critic"])
