"""The loop of one stage: take a batch, update, log, save, draw; leave when asked to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from genzoo import seeds
from genzoo.data import Dataset, subset
from genzoo.errors import NotFiniteError, TrainingInterrupted
from genzoo.files import check_no_link
from genzoo.training.batches import BatchPartition, batches
from genzoo.training.checkpoint import Checkpoint
from genzoo.training.config import TrainerConfig
from genzoo.training.inputs import Inputs
from genzoo.training.logs import Log
from genzoo.training.pictures import ROWS_IN_PICTURE, draw
from genzoo.training.resume_check import identity
from genzoo.training.stage_scope import model_of
from genzoo.training.state import StageState
from genzoo.training.update import SubstepResult, Updater
from genzoo.version import __version__

if TYPE_CHECKING:
    from genzoo.training.run import Run


class StageLoop:
    """Makes the updates of one stage.

    Arguments:
        run: The run that the stage belongs to.
        number: The stage's number.
        state: What the next step depends on.
        config: The stage's training values.
        log: Where it is told what happens.
    """

    def __init__(
        self, run: Run, number: int, state: StageState, config: TrainerConfig, log: Log
    ) -> None:
        self.owner, self.number, self.state = run, number, state
        self.config, self.log = config, log
        self.accelerator = run.accelerator
        self.total = config.max_steps or 1
        self.seed = seeds.derive(config.seed, number)
        self.shares = shares_of(config, run)
        self.inputs = Inputs(run.trainer.stages[number], run.model)
        self.updater = Updater(
            state.objective, state.players, self.accelerator, self.shares.slots(), self.seed
        )

    def run(self, first: int) -> None:
        """Make the updates from ``first`` to the last.

        Raises:
            NotFiniteError: A loss or gradient is not finite; the update was not made.
            TrainingInterrupted: A signal came; what was done is saved.
        """
        if self.accelerator.num_processes == 1:
            self._leave_if_asked(first, saved=False)
        for index, micro in zip(range(first, self.total), self._feed(first), strict=True):
            moves = self._update(micro, index)
            if self.state.average is not None:
                self.state.average.update(self.owner.model)
            self._after(index + 1, moves)

    def _feed(self, first: int) -> Iterator[list[dict[str, Any]]]:
        return batches(
            self.owner.trainer.rows,
            self.shares,
            seed=self.seed,
            first=first,
            last=self.total,
            num_workers=self.config.dataloader_num_workers,
        )

    def _update(self, micro: list[dict[str, Any]], index: int) -> list[SubstepResult]:
        moved = [self.owner.moved(batch) for batch in micro]
        moved = self.inputs.feed(moved, self.shares.slots(), self.seed, index)
        leaving = self.owner.interrupts.signum != 0
        try:
            logged = self.log.due(index + 1)
            return self.updater.run(moved, index, self.total, leaving=leaving, logged=logged)
        except NotFiniteError as error:
            good = self.owner.last_good
            raise NotFiniteError(
                f"{error} {f'The last good checkpoint is {good}. ' if good else ''}Lower the "
                "learning rate (--trainer.optimizers.PLAYER.lr), clip gradients "
                "(--trainer.max-grad-norm 1), or warm up (--trainer.warmup-steps)."
            ) from error

    def _after(self, step: int, moves: list[SubstepResult]) -> None:
        """Do what is due once ``step`` updates are made."""
        self.log.step(self.number, step, moves, self.state.players)
        every = self.config.save_steps
        saved = step == self.total or bool(every and step % every == 0)
        if saved:
            self._save(step)
        if self.config.sample_steps and step % self.config.sample_steps == 0:
            self._draw(step)
        if self.updater.left or self.accelerator.num_processes == 1:
            self._leave_if_asked(step, saved=saved)

    def _leave_if_asked(self, step: int, *, saved: bool) -> None:
        """Save and leave where a signal has come, after the same step on every process."""
        signum = self.owner.interrupts.signum
        if not (signum or self.updater.left):
            return
        if not saved:
            self._save(step)
        good = self.owner.last_good
        where = f"; it is saved in {good}. Go on with --resume" if self.owner.folder else ""
        raise TrainingInterrupted(
            f"Training was stopped by a signal after step {step}{where}.", signum or 15
        )

    def _save(self, step: int) -> None:
        """Write a checkpoint; every process gives its part."""
        if self.owner.folder is None:
            return
        values = {
            **self.state.values(),
            "metrics_offset": self.log.offset(),
            "threads": self.owner.threads,
            "identity": identity(self.owner.trainer, self.accelerator.num_processes),
        }
        versions = {"genzoo": __version__, "torch": torch.__version__}
        self.owner.keep(Checkpoint(self.number, step, self.state.tensors(), values, versions))

    @cached_property
    def _pictured(self) -> Dataset:
        """The rows of every picture: drawn once, since labels of many rows take time to sort."""
        return subset(self.owner.trainer.data, ROWS_IN_PICTURE, seed=self.config.seed)

    def _draw(self, step: int) -> None:
        """Write a picture, of fixed seeds and of the same rows each time."""
        folder = self.owner.folder
        if folder is None or not self.accelerator.is_main_process:
            return
        average = self.state.average
        model = average.model if average is not None else self.owner.model
        check_no_link(folder.samples)
        path = folder.samples / f"stage-{self.number:03d}-step-{step:09d}.png"
        model = model_of(self.owner.trainer.stages[self.number], model)
        rows = self._pictured.head(ROWS_IN_PICTURE)
        if self.inputs.models:
            rows = self.inputs.coded(self.owner.moved(rows), self.config.seed)
        draw(model, rows, self.config.seed, path)


def shares_of(config: TrainerConfig, run: Run) -> BatchPartition:
    """Return how an update's batch is divided among this run's processes."""
    return BatchPartition(
        config.batch_size or 1,
        config.num_micro_batches,
        run.accelerator.num_processes,
        run.accelerator.process_index,
    )
