"""Pictures during training: samples, or translations if the model translates."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image

from genzoo.capabilities import SupportsTranslate
from genzoo.data import Dataset, subset
from genzoo.evaluation.metric import lacking_condition
from genzoo.model import Model
from genzoo.plotting import strips
from genzoo.sample_metadata import KEY
from genzoo.sampler import Sampler
from genzoo.sampling import block_size, preview_sampler
from genzoo.showing import can_be_shown, picture_of
from genzoo.training.config import TrainerConfig
from genzoo.training.inputs import Inputs
from genzoo.training.plan import Plan
from genzoo.training.session import Session
from genzoo.training.stage_scope import model_of
from genzoo.translating import Cycle, there_and_back

logger = logging.getLogger("genzoo")

ROWS_IN_PICTURE = 64
_FEWEST_ROWS = 16
_PICTURES = 10
_UPDATES_PER_PICTURE = 200
_UPDATES_PER_STATE = 4
_SHARE_OF_EXAMPLES = 20
_UNKNOWN_STATES = 100
_STATES_OF_TRANSLATION = 4
_STRIPS = 16


@dataclass(frozen=True)
class Timetable:
    """When a stage draws pictures, and of how many rows.

    It is a function of the stage's values and not of the clock, so a resumed run draws the same
    pictures.

    Arguments:
        total: The number of updates of the stage.
        every: The number of updates between pictures; None for ``number`` pictures, evenly spaced.
        number: The number of pictures if there is no ``every``.
        rows: The number of rows in each picture.

    >>> default = Timetable(total=25, every=None, number=2, rows=16)
    >>> [step for step in range(1, 26) if default.is_due(step)]
    [13, 25]
    """

    total: int
    every: int | None
    number: int
    rows: int

    def is_due(self, step: int, *, last: bool = False) -> bool:
        """Whether a picture follows update number ``step``, which may be the last of the stage."""
        if self.every is not None:
            return self.every > 0 and step % self.every == 0
        of_number = self.number * step // self.total > self.number * (step - 1) // self.total
        return last or of_number


def timetable(config: TrainerConfig, states: int) -> Timetable:
    """Return the timetable of a stage.

    Without ``sample_steps`` there are ten pictures of 64 rows, but fewer and smaller ones where
    they would cost more than a few percent of training. A state of a sampler costs about as much
    as an example in the forward pass, so the states of all pictures are at most a twentieth of the
    examples of the updates. A call of the network costs at least a sixteenth of an update, so a
    picture has at least four updates for each state. There is at least one picture of 16 rows, at
    the end.

    Arguments:
        config: The stage's training values.
        states: The number of states of a sampler's trajectory.
    """
    total, examples = config.max_steps or 1, (config.max_steps or 1) * (config.batch_size or 1)
    if config.sample_steps is not None:
        return Timetable(total, config.sample_steps, 0, ROWS_IN_PICTURE)
    most = (
        _PICTURES,
        total // max(_UPDATES_PER_PICTURE, _UPDATES_PER_STATE * states),
        examples // (_SHARE_OF_EXAMPLES * states * _FEWEST_ROWS),
    )
    number = max(1, min(most))
    rows = examples // (_SHARE_OF_EXAMPLES * states * number)
    return Timetable(total, None, number, max(_FEWEST_ROWS, min(rows, ROWS_IN_PICTURE)))


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
        self._failed = False

    @cached_property
    def timetable(self) -> Timetable:
        """When pictures are drawn, and of how many rows."""
        model = self.plan.learning(self.number)
        if isinstance(model, SupportsTranslate):
            return timetable(self.plan.configs[self.number], _STATES_OF_TRANSLATION)
        states = self._sampler.num_states(model) if self._sampler else 1
        return timetable(self.plan.configs[self.number], states or _UNKNOWN_STATES)

    @cached_property
    def _sampler(self) -> Sampler | None:
        """The sampler of pictures; None if the model's own code fails to name one."""
        try:
            return preview_sampler(self.plan.learning(self.number))
        except Exception as error:  # noqa: BLE001 - as in `draw`
            self._leave_out(error)
            return None

    @cached_property
    def _rows(self) -> Dataset:
        """The rows, drawn once, because sorting the labels of many rows takes time."""
        return subset(self.plan.data, self.timetable.rows, seed=self.seed)

    def draw(self, model: Model) -> dict[str, Image.Image]:
        """Return the pictures by name; see `draw`. There are none if drawing fails.

        Arguments:
            model: The whole model, of which the stage may train a part.
        """
        try:
            rows = self._rows.head(self.timetable.rows)
            if self.inputs.models:
                rows = self.inputs.coded(self.plan.to_device(rows, self.session.device), self.seed)
            shown = model_of(self.plan.stages[self.number], model)
            pictures = draw(shown, rows, self.seed, self._sampler)
            if "samples" in pictures:
                num = len(rows[shown.event_field])
                pictures["samples"].info[KEY] = self._told(shown, num)
            return pictures
        # Pictures look on: an error of a sampler, which may be anything, must not end training.
        except Exception as error:  # noqa: BLE001
            self._leave_out(error)
            return {}

    def _told(self, model: Model, num: int) -> str:
        """Return how samples were drawn, with the sampler's values that are not its defaults."""
        named = model.preview_sampler(model.config)
        size = block_size(model, num)
        how = {"num": num, "seed": self.seed, "batch_size": size}
        return json.dumps({**how, "sampler": named.name, "sampler_config": dict(named.config)})

    def _leave_out(self, error: Exception) -> None:
        """Log, once in a stage, that pictures are left out."""
        if not self._failed:
            text = "Pictures of samples are left out (--trainer.sample-steps 0 draws none): %s: %s"
            logger.warning(text, type(error).__name__, error)
        self._failed = True


def draw(
    model: Model, rows: Mapping[str, Any], seed: int, sampler: Sampler | None = None
) -> dict[str, Image.Image]:
    """Return ``samples`` given the rows' conditions, or ``translations`` of the rows.

    There are two pictures of translations: of some rows, and ``failures``, of those with the
    largest cycle error. There are none for rows without the condition.

    Arguments:
        model: What is drawn from.
        rows: The rows, in random order, because only the first translations are shown.
        seed: The seed of the samples.
        sampler: The sampler; None draws no samples.
    """
    if isinstance(model, SupportsTranslate) and "y" in rows:
        there = there_and_back(model, rows["x"], to="y")
        here = there_and_back(model, rows["y"], to="x")
        first = torch.arange(min(_STRIPS, len(there.source)))
        return {
            "translations": both_ways(there.rows(first), here.rows(first)),
            "failures": both_ways(there.worst(_STRIPS), here.worst(_STRIPS)),
        }
    shown = can_be_shown(model.event) and not lacking_condition(model, rows)
    if sampler is None or not shown:
        return {}
    num = len(rows[model.event_field])
    x = model.sample(num, seed=seed, condition=model.conditions_of(rows), sampler=sampler)
    return {"samples": picture_of(model.event, x.cpu())}


def both_ways(there: Cycle, here: Cycle) -> Image.Image:
    """Return strips from top to bottom: x, its translation, and back; then those of y."""
    return strips([*there.stages(), *here.stages()])
