"""Pictures during training: samples, or translations if the model translates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from PIL import Image

from genzoo.capabilities import SupportsTranslate
from genzoo.data import Dataset, subset
from genzoo.evaluation.metric import lacking_condition
from genzoo.model import Model
from genzoo.plotting import strips
from genzoo.showing import can_be_shown, picture_of
from genzoo.training.inputs import Inputs
from genzoo.training.plan import Plan
from genzoo.training.session import Session
from genzoo.training.stage_scope import model_of
from genzoo.translating import Cycle, there_and_back

ROWS_IN_PICTURE = 64
_STRIPS = 16


class Pictures:
    """The pictures of a stage, with fixed seeds and the same rows each time.

    Arguments:
        plan: What is trained.
        session: The session, with the device.
        number: The number of the stage.
        inputs: The models that the stage's data pass through.
    """

    def __init__(self, plan: Plan, session: Session, number: int, inputs: Inputs) -> None:
        self.plan, self.session, self.number, self.inputs = plan, session, number, inputs
        self.seed = plan.configs[number].seed

    @cached_property
    def _rows(self) -> Dataset:
        """The rows, drawn once, because sorting the labels of many rows takes time."""
        return subset(self.plan.data, ROWS_IN_PICTURE, seed=self.seed)

    def draw(self, model: Model) -> dict[str, Image.Image]:
        """Return the pictures by name; see `draw`.

        Arguments:
            model: The whole model, of which the stage may train a part.
        """
        rows = self._rows.head(ROWS_IN_PICTURE)
        if self.inputs.models:
            rows = self.inputs.coded(self.plan.to_device(rows, self.session.device), self.seed)
        return draw(model_of(self.plan.stages[self.number], model), rows, self.seed)


def draw(model: Model, rows: Mapping[str, Any], seed: int) -> dict[str, Image.Image]:
    """Return ``samples`` given the rows' conditions, or ``translations`` of the rows.

    There are two pictures of translations: of some rows, and ``failures``, of those with the
    largest cycle error. There are none for rows without the condition.

    Arguments:
        model: What is drawn from.
        rows: The rows, in random order, because only the first translations are shown.
        seed: The seed of the samples.
    """
    if isinstance(model, SupportsTranslate) and "y" in rows:
        there = there_and_back(model, rows["x"], to="y")
        here = there_and_back(model, rows["y"], to="x")
        first = torch.arange(min(_STRIPS, len(there.source)))
        return {
            "translations": both_ways(there.rows(first), here.rows(first)),
            "failures": both_ways(there.worst(_STRIPS), here.worst(_STRIPS)),
        }
    if lacking_condition(model, rows) or not can_be_shown(model.event):
        return {}
    num = len(rows[model.event_field])
    x = model.sample(num, seed=seed, condition=model.conditions_of(rows))
    return {"samples": picture_of(model.event, x.cpu())}


def both_ways(there: Cycle, here: Cycle) -> Image.Image:
    """Return strips from top to bottom: x, its translation, and back; then those of y."""
    return strips([*there.stages(), *here.stages()])
