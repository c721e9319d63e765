"""The training loop. It knows no family: an objective yields losses, and players minimise them.

`train` goes through the stages, `StageLoop` through the updates of a stage, and
`genzoo.training.updater.Updater` through the moves of an update.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from genzoo import seeds
from genzoo.errors import NotFiniteError, TrainingInterrupted
from genzoo.model import Model
from genzoo.model_files import BEST, LAST
from genzoo.objective import Objective
from genzoo.threads import limited
from genzoo.training import snapshots, workers
from genzoo.training.accelerating import from_main
from genzoo.training.advice import advice
from genzoo.training.batches import batches
from genzoo.training.best import Best
from genzoo.training.checkpoint import Checkpoint
from genzoo.training.compiling import compile_networks
from genzoo.training.config import TrainerConfig
from genzoo.training.ema import Average
from genzoo.training.held_out import HeldOut
from genzoo.training.initialization import init_from_data, ready_objective
from genzoo.training.inputs import Inputs
from genzoo.training.logs import Rows
from genzoo.training.memory_format import set_memory_format
from genzoo.training.pictures import Pictures
from genzoo.training.plan import Plan
from genzoo.training.players import SubstepResult, make_players
from genzoo.training.power_averages import PowerAverages
from genzoo.training.resume_check import identity
from genzoo.training.session import Session
from genzoo.training.sharding.networks import Sharding
from genzoo.training.state import StageState
from genzoo.training.updater import Updater
from genzoo.version import __version__

logger = logging.getLogger("genzoo")


@dataclass
class Start:
    """The start of training.

    Arguments:
        plan: What is trained, with the number of updates of each stage.
        stage: Its number.
        objective: Its objective, ready for training.
        checkpoint: The checkpoint to resume from; None starts anew.
    """

    plan: Plan
    stage: int
    objective: Objective
    checkpoint: Checkpoint | None = None


def train(session: Session, start: Start) -> Model:
    """Train the remaining stages, and return the model, which is also saved in the folder."""
    plan, first, last = start.plan, start.stage, len(start.plan.stages)
    try:
        with limited(session.threads):
            _train_stage(session, start)
            for number in range(first + 1, last):
                # Not earlier: a model that holds another one is initialised with the trained one.
                init_from_data(plan, session, number)
                with plan.only_part(number):
                    next_start = Start(plan, number, ready_objective(plan, session, number))
                _train_stage(session, next_start)
        plan.model.eval()
        session.publish(plan.model)
    finally:
        session.callbacks.on_end(session.at)
    return plan.model


def _train_stage(session: Session, start: Start) -> None:
    """Train one stage, and leave what it publishes in the model: averaged or best weights."""
    plan, number, objective = start.plan, start.stage, start.objective
    config = plan.configs[number]
    with plan.only_part(number):
        average = Average(plan.model, config.ema_decay) if config.ema_decay else None
        # Before players, which hold the parameters, and after the copy for the average.
        sharding = _shard(plan, session, number, objective, average)
        best = Best(config)
        try:
            with sharding.quiet():
                _run_stage(session, start, average, best, sharding)
        except TrainingInterrupted:
            sharding.undo()  # All processes stop after the same update.
            raise
        if average is not None:
            average.apply_to(plan.model)
        session.at.model, average = plan.model, None  # Whole weights take the memory instead.
        sharding.undo()
        if best.weights:
            _keep_best(session, plan.model, best, config)


def _run_stage(
    session: Session, start: Start, average: Average | None, best: Best, sharding: Sharding
) -> None:
    """Make the updates of a stage."""
    plan, number, objective = start.plan, start.stage, start.objective
    config = plan.configs[number]
    players = make_players(objective, config, session.accelerator, plan.factories)
    powers = None
    if config.ema_sigma_rel is not None:
        trained = [p for player in players.values() for p in player.parameters]
        powers = PowerAverages(plan.model, config.ema_sigma_rel, trained)
    state = StageState(
        plan.model, objective, players, average, best, session.accelerator, powers, sharding
    )
    first = 0
    if start.checkpoint is not None:
        state.load(start.checkpoint.tensors, start.checkpoint.values)
        first = start.checkpoint.step
        if session.changed:
            state.set_total()
        start.checkpoint = None  # Its tensors take as much memory as those of the run.
    session.forget_snapshots(number, first)
    set_memory_format(state, config)
    compile_networks(objective, config)
    at = session.at
    at.stage, at.step, at.config, at.model = number, first, config, state.shown_model()
    at.title = plan.stages[number].objective.name
    session.describe(number, objective.meanings)
    StageLoop(plan, session, number, state).run(first)


def _keep_best(session: Session, model: Model, best: Best, config: TrainerConfig) -> None:
    """Publish the last weights next to the best, and leave in the model what the config says."""
    session.publish(model, LAST.name)
    if config.load_best_model_at_end:
        model.load_state_dict(best.weights)
        text = "The best %s, %.6g, was after step %d of %d: these weights are published."
        logger.info(text, best.name, best.value, best.step, config.max_steps)


def _shard(
    plan: Plan, session: Session, number: int, objective: Objective, average: Average | None
) -> Sharding:
    """Shard the networks of a stage, if its config says so and there are several processes."""
    if plan.configs[number].shard == "none" or session.accelerator.num_processes == 1:
        return Sharding()
    # Not earlier: the import of what shards takes a second.
    from genzoo.training.sharding.applying import shard

    return shard(plan, session, number, objective, average)


class StageLoop:
    """Runs the updates of one stage.

    Arguments:
        plan: What is trained.
        session: The session.
        number: The number of the stage.
        state: The state that the next update depends on.
    """

    def __init__(self, plan: Plan, session: Session, number: int, state: StageState) -> None:
        self.plan, self.session, self.number = plan, session, number
        self.state, self.config = state, plan.configs[number]
        self.rows = Rows(self.config, session.at.step)
        self.device = session.device
        self.total = self.config.max_steps or 1
        self.seed = seeds.derive_seed(self.config.seed, number)
        self.partition = session.partition(self.config)
        self.slots = self.partition.slots()
        self.inputs = Inputs(plan.stages[number], plan.model)
        self.pictures = Pictures(plan, session, number, self.inputs)
        self.shows = session.callbacks.show_samples
        if state.sharding:  # All processes take part in making a network whole.
            self.shows = from_main(session.accelerator, lambda: session.callbacks.show_samples)
        self.held_out = HeldOut(plan, session, number, self.inputs)
        self.updater = Updater(
            state.objective,
            state.players,
            session.accelerator,
            self.slots,
            self.seed,
            state.sharding,
        )

    def run(self, first: int) -> None:
        """Run the updates from ``first`` to the last.

        Raises:
            NotFiniteError: A loss or gradient is not finite; the update was not made.
            TrainingInterrupted: A signal arrived; the run is saved.
        """
        if self.state.best.patience_is_over:
            return  # The run was stopped early and is resumed.
        alone = self.session.accelerator.num_processes == 1
        if alone:
            self._leave_if_asked(first, saved=False)
        feed = batches(
            self.plan.rows,
            self.partition,
            seed=self.seed,
            first=first,
            last=self.total,
            num_workers=workers.choose(
                self.config, self.plan.rows, self.session.accelerator.num_processes
            ),
            device=self.device,
        )
        with contextlib.closing(feed):  # An error would keep its worker processes.
            self._updates(first, feed, alone)

    def _updates(self, first: int, feed: Iterator[list[dict[str, Any]]], alone: bool) -> None:
        """Make the updates from ``first`` on."""
        for index, micro_batches in zip(range(first, self.total), feed, strict=True):
            results = self._update(micro_batches, index)
            if self.state.average is not None:
                self.state.average.update(self.plan.model)
            step = index + 1
            if self.state.power_averages is not None:
                self.state.power_averages.update(step)
            self._record(step, results)
            if self.held_out.is_due(step, last=step == self.total):
                self._evaluate(step)
            ended = step == self.total or self.state.best.patience_is_over
            # Pictures and checkpoints are made here only, between two updates: in the middle of an
            # update, the generators have state that no file can hold. Pictures and snapshots come
            # first, so that a run that is killed in between makes them again.
            self._sample(step, last=ended)
            if self._has_snapshots(step, last=ended):
                self.session.write_snapshots(self.state.power_averages, self.number, step)
            saved = ended or _is_due(self.config.save_steps, step)
            if saved:
                self._save(step)
            # All processes must stop after the same update, or the others would wait forever. So a
            # signal counts once all processes know of it, through the message of a move.
            if alone or self.updater.left:
                self._leave_if_asked(step, saved=saved)
            if ended:
                break

    def _record(self, step: int, results: list[SubstepResult]) -> None:
        """Let the callbacks know of an update, with its row if one is due."""
        at = self.session.at
        at.step = step
        row = self.rows.row(at, results, self.state.players) if self.rows.due(step) else None
        self.session.callbacks.on_step(at, row)

    def _evaluate(self, step: int) -> None:
        """Evaluate on the held-out rows, and keep the weights if they are the best so far."""
        average, best = self.state.average, self.state.best
        with self.state.sharding.whole():
            figures = self.held_out.figures(self.state.objective, average)
            self.session.describe(self.number, self.held_out.meanings)
            self.session.callbacks.on_evaluate(self.session.at, figures)
            best.consider(step, figures, self.plan.model, average)
        if best.patience_is_over:
            since = f"since step {best.step} ({best.value:.6g})" if best.weights else "at all"
            text = "Stopped early after step %d of %d: %s has not improved %s."
            logger.info(text, step, self.total, best.name, since)

    def _sample(self, step: int, *, last: bool) -> None:
        """Draw pictures if they are due and a callback looks at them, on the main process only."""
        if self.shows and self.pictures.timetable.is_due(step, last=last):
            with self.state.sharding.whole():
                if self.session.callbacks.show_samples:
                    pictures = self.pictures.draw(self.state.shown_model())
                    if pictures:
                        self.session.callbacks.on_sample(self.session.at, pictures)

    def _has_snapshots(self, step: int, *, last: bool) -> bool:
        """Whether snapshots of averages follow an update."""
        if self.state.power_averages is None:
            return False
        return snapshots.is_due(step, self.total, self.config.ema_snapshots, last=last)

    def _update(self, micro_batches: list[dict[str, Any]], index: int) -> list[SubstepResult]:
        on_device = [self.plan.to_device(batch, self.device) for batch in micro_batches]
        on_device = self.inputs.feed(on_device, self.slots, self.seed, index)
        leaving = self.session.interrupts.signum != 0
        step = index + 1
        logged, saved = self.rows.due(step), _is_due(self.config.save_steps, step)
        at_end = step == self.total
        kept = saved or self.held_out.is_due(step, last=at_end)
        kept = kept or self._has_snapshots(step, last=at_end)
        try:
            return self.updater.run(
                on_device, index, self.total, leaving=leaving, logged=logged, kept=kept
            )
        except NotFiniteError as error:
            good = self.session.last_good
            last = f" The last good checkpoint is {good}." if good else ""
            remedy = advice(micro_batches, index, list(self.state.players))
            raise NotFiniteError(f"{error}{last} {remedy}") from error

    def _save(self, step: int) -> None:
        """Write a checkpoint; every process contributes its part."""
        folder = self.session.folder
        if folder is None:
            return
        # The position in the data follows from the number of the step, and all randomness is
        # seeded by it, so no random state is saved.
        values = {
            **self.state.values(),
            "metrics_offset": folder.log_size(),
            "threads": self.session.threads,
            "identity": identity(self.plan, self.session.accelerator.num_processes),
        }
        versions = {"genzoo": __version__, "torch": torch.__version__}
        made = Checkpoint(self.number, step, self.state.tensors(), values, versions)
        path = self.session.save(folder, made, self.plan.config.save_total_limit)
        if self.state.best.weights:
            with self.state.sharding.whole():  # Sharded networks cannot be copied.
                best = self.state.best.model_like(self.plan.model)
            self.session.publish(best, BEST.name)
        self.session.callbacks.on_checkpoint(self.session.at, path)

    def _leave_if_asked(self, step: int, *, saved: bool) -> None:
        """Save and stop if a signal has arrived."""
        signum = self.session.interrupts.signum
        if not (signum or self.updater.left):
            return
        if not saved:
            self._save(step)
        good = self.session.last_good
        how = (
            f"; it is saved in {good}. Continue with --resume, or in Python with fit(resume=True)"
            if self.session.folder
            else ". The model has the weights of this step. With output_dir, runs can be resumed"
        )
        raise TrainingInterrupted(
            f"Training was stopped by a signal after step {step}{how}.", signum or 15
        )


def _is_due(every: int, step: int) -> bool:
    """Whether an action of every ``every`` steps is due; never if ``every`` is 0."""
    return bool(every) and step % every == 0
