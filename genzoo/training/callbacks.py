"""Callbacks: what looks on while a model trains."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from genzoo.model import Model
from genzoo.training.config import TrainerConfig


@dataclass
class TrainerState:
    """Where training is. The Trainer changes it in place: copy what you keep.

    Arguments:
        stage: The number of the stage.
        step: The number of updates made in it.
        title: The name of the stage's objective.
        config: The training values of the stage.
        model: The whole model as it would be published now: with averaged weights, if any.
    """

    stage: int = 0
    step: int = 0
    title: str = ""
    config: TrainerConfig = field(default_factory=TrainerConfig)
    model: Model | None = None

    @property
    def max_steps(self) -> int:
        """The number of updates of the stage."""
        return self.config.max_steps or 1


class Callback:
    """What is called during training, on the main process. A subclass overrides what it needs.

    A callback looks on: one that changes the model, or draws from torch's default generators, does
    not change what the Trainer draws, but resuming is then no longer bit-exact. An error of a
    callback ends the run.

    >>> class Losses(Callback):
    ...     def on_step(self, state, row):
    ...         if row is not None:
    ...             print(state.step, row["model/loss"])
    """

    def on_step(self, state: TrainerState, row: Mapping[str, Any] | None) -> None:
        """After each update.

        Arguments:
            state: Where training is.
            row: What is logged of this update, every ``logging_steps``; None otherwise.
        """

    def on_evaluate(self, state: TrainerState, figures: Mapping[str, float]) -> None:
        """After an evaluation on the held-out rows.

        Arguments:
            state: Where training is.
            figures: The figures by name, such as ``loss``.
        """

    def on_checkpoint(self, state: TrainerState, path: Path) -> None:
        """After a checkpoint was written.

        Arguments:
            state: Where training is.
            path: The folder of the checkpoint.
        """

    def on_sample(self, state: TrainerState, pictures: Mapping[str, Image.Image]) -> None:
        """After pictures were drawn, about ten times in a stage or every ``sample_steps``.

        Arguments:
            state: Where training is.
            pictures: Pictures by name: ``samples``, or ``translations`` and ``failures``. The
                ``info["genzoo"]`` of samples says how they were drawn, as JSON.
        """

    def on_end(self, state: TrainerState) -> None:
        """When the run ends: finished, stopped or failed."""


class Callbacks(Callback):
    """Several callbacks, called in order.

    Arguments:
        callbacks: The callbacks.
    """

    def __init__(self, callbacks: Sequence[Callback] = ()) -> None:
        self.callbacks = list(callbacks)

    @property
    def show_samples(self) -> bool:
        """Whether one of them looks at pictures; if not, none are drawn."""
        return any(type(one).on_sample is not Callback.on_sample for one in self.callbacks)

    def on_step(self, state: TrainerState, row: Mapping[str, Any] | None) -> None:
        """Call all after an update."""
        for callback in self.callbacks:
            callback.on_step(state, row)

    def on_evaluate(self, state: TrainerState, figures: Mapping[str, float]) -> None:
        """Call all after an evaluation."""
        for callback in self.callbacks:
            callback.on_evaluate(state, figures)

    def on_checkpoint(self, state: TrainerState, path: Path) -> None:
        """Call all after a checkpoint."""
        for callback in self.callbacks:
            callback.on_checkpoint(state, path)

    def on_sample(self, state: TrainerState, pictures: Mapping[str, Image.Image]) -> None:
        """Call all after pictures were drawn."""
        for callback in self.callbacks:
            callback.on_sample(state, pictures)

    def on_end(self, state: TrainerState) -> None:
        """Call all at the end of the run, also if one of them fails."""
        with contextlib.ExitStack() as ended:
            for callback in reversed(self.callbacks):
                ended.callback(callback.on_end, state)
