"""The training loop. It knows no family: an objective yields losses, and players minimise them.

`train` goes through the stages, `StageLoop` through the updates of a stage, and `Updater` through
the moves of an update: take the gradient of the next loss with respect to one player's parameters,
clip it, step that player's optimiser, ask for the next loss.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from genzoo import seeds
from genzoo.errors import NotFiniteError, TrainingError, TrainingInterrupted
from genzoo.model import Model
from genzoo.model_files import BEST, LAST
from genzoo.objective import Loss, Objective, Step
from genzoo.threads import limited
from genzoo.training import workers
from genzoo.training.accelerating import autocast
from genzoo.training.advice import advice
from genzoo.training.batches import batches
from genzoo.training.best import Best
from genzoo.training.checkpoint import Checkpoint
from genzoo.training.config import TrainerConfig
from genzoo.training.ema import Average
from genzoo.training.held_out import HeldOut
from genzoo.training.initialization import init_from_data, ready_objective
from genzoo.training.inputs import Inputs
from genzoo.training.logs import Log
from genzoo.training.pictures import Pictures
from genzoo.training.plan import Plan
from genzoo.training.players import Player, SubstepResult, make_players, player_of
from genzoo.training.resume_check import identity
from genzoo.training.session import Session
from genzoo.training.state import StageState
from genzoo.values import trusted
from genzoo.version import __version__

logger = logging.getLogger("genzoo")


@dataclass
class Start:
    """The start of training.

    Arguments:
        stage: Its number.
        objective: Its objective, ready for training.
        checkpoint: The checkpoint to resume from; None starts anew.
    """

    stage: int
    objective: Objective
    checkpoint: Checkpoint | None = None


def train(plan: Plan, session: Session, start: Start) -> Model:
    """Train the remaining stages, and return the model, which is also saved in the folder."""
    first, last = start.stage, len(plan.stages)
    with limited(session.threads):
        _train_stage(plan, session, start)
        for number in range(first + 1, last):
            # Not earlier: a model that holds another one is initialised with the trained one.
            init_from_data(plan, session, number)
            with plan.only_part(number):
                next_start = Start(number, ready_objective(plan, session, number))
            _train_stage(plan, session, next_start)
    plan.model.eval()
    session.publish(plan.model)
    return plan.model


def _train_stage(plan: Plan, session: Session, start: Start) -> None:
    """Train one stage, and leave what it publishes in the model: averaged or best weights."""
    number, objective = start.stage, start.objective
    config, folder = plan.configs[number], session.folder
    with plan.only_part(number):
        players = make_players(objective, config, session.accelerator)
        average = Average(plan.model, config.ema_decay) if config.ema_decay else None
        best = Best(config)
        state = StageState(plan.model, objective, players, average, best, session.accelerator)
        first, offset = 0, folder.log_size() if folder and number else 0
        if start.checkpoint is not None:
            state.load(start.checkpoint.tensors, start.checkpoint.values)
            first, offset = start.checkpoint.step, start.checkpoint.values["metrics_offset"]
            if session.changed:
                state.set_total()
            start.checkpoint = None  # Its tensors take as much memory as those of the run.
        _compile(objective, config)
        title, path = plan.stages[number].objective.name, folder.path if folder else None
        log = Log(config, title, path, session.accelerator, first=first, offset=offset)
        with contextlib.closing(log):
            StageLoop(plan, session, number, state, log).run(first)
        if average is not None:
            average.apply_to(plan.model)
        if best.weights:
            session.publish(plan.model, LAST.name)
            if config.load_best_model_at_end:
                plan.model.load_state_dict(best.weights)


def _compile(objective: Objective, config: TrainerConfig) -> None:
    """Compile each child network in place."""
    if config.compile:
        # In place, so that the names in a checkpoint stay the same. `losses` is never compiled,
        # because a generator that draws and branches is not one graph.
        for name, child in [*objective.model.named_children(), *objective.named_children()]:
            if name != "model":
                child.compile()


class StageLoop:
    """Runs the updates of one stage.

    Arguments:
        plan: What is trained.
        session: The session.
        number: The number of the stage.
        state: The state that the next update depends on.
        log: The log.
    """

    def __init__(
        self, plan: Plan, session: Session, number: int, state: StageState, log: Log
    ) -> None:
        self.plan, self.session, self.number = plan, session, number
        self.state, self.log, self.config = state, log, plan.configs[number]
        self.total = self.config.max_steps or 1
        self.seed = seeds.derive_seed(self.config.seed, number)
        self.partition = session.partition(self.config)
        self.slots = self.partition.slots()
        self.inputs = Inputs(plan.stages[number], plan.model)
        self.pictures = Pictures(plan, session, number, self.inputs)
        self.held_out = HeldOut(plan, session, number, self.inputs)
        self.updater = Updater(
            state.objective, state.players, session.accelerator, self.slots, self.seed
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
            self.log.step(self.number, step, results, self.state.players)
            if self.held_out.is_due(step, last=step == self.total):
                self._evaluate(step)
            ended = step == self.total or self.state.best.patience_is_over
            # Checkpoints and pictures are made here only, between two updates: in the middle of an
            # update, the generators have state that no file can hold.
            saved = ended or _is_due(self.config.save_steps, step)
            if saved:
                self._save(step)
            if _is_due(self.config.sample_steps, step):
                self.pictures.draw(self.state.shown_model(), step)
            # All processes must stop after the same update, or the others would wait forever. So a
            # signal counts once all processes know of it, through the message of a move.
            if alone or self.updater.left:
                self._leave_if_asked(step, saved=saved)
            if ended:
                break

    def _evaluate(self, step: int) -> None:
        """Evaluate on the held-out rows, and keep the weights if they are the best so far."""
        average, best = self.state.average, self.state.best
        figures = self.held_out.figures(self.state.objective, average)
        self.log.evaluation(self.number, step, figures)
        best.consider(step, figures, self.plan.model, average)
        if best.patience_is_over:
            logger.info(
                "Stopped early after step %d of %d: %s has not improved since step %d (%.6g).",
                *(step, self.total, best.name, best.step, best.value),
            )

    def _update(self, micro_batches: list[dict[str, Any]], index: int) -> list[SubstepResult]:
        on_device = [self.plan.to_device(batch, self.session.device) for batch in micro_batches]
        on_device = self.inputs.feed(on_device, self.slots, self.seed, index)
        leaving = self.session.interrupts.signum != 0
        try:
            logged = self.log.due(index + 1)
            return self.updater.run(on_device, index, self.total, leaving=leaving, logged=logged)
        except NotFiniteError as error:
            good = self.session.last_good
            last = f" The last good checkpoint is {good}." if good else ""
            raise NotFiniteError(f"{error}{last} {advice(micro_batches, index)}") from error

    def _save(self, step: int) -> None:
        """Write a checkpoint; every process contributes its part."""
        if self.session.folder is None:
            return
        # The position in the data follows from the number of the step, and all randomness is
        # seeded by it, so no random state is saved.
        values = {
            **self.state.values(),
            "metrics_offset": self.log.offset(),
            "threads": self.session.threads,
            "identity": identity(self.plan, self.session.accelerator.num_processes),
        }
        versions = {"genzoo": __version__, "torch": torch.__version__}
        made = Checkpoint(self.number, step, self.state.tensors(), values, versions)
        self.session.save(made, self.plan.config.save_total_limit)
        if self.state.best.weights:
            self.session.publish(self.state.best.model_like(self.plan.model), BEST.name)

    def _leave_if_asked(self, step: int, *, saved: bool) -> None:
        """Save and stop if a signal has arrived."""
        signum = self.session.interrupts.signum
        if not (signum or self.updater.left):
            return
        if not saved:
            self._save(step)
        good = self.session.last_good
        where = f"; it is saved in {good}. Continue with --resume" if self.session.folder else ""
        raise TrainingInterrupted(
            f"Training was stopped by a signal after step {step}{where}.", signum or 15
        )


class Updater:
    """Runs updates: in turn, every micro-batch's game advances one move, and one player steps.

    Arguments:
        objective: The objective, which yields the losses.
        players: The players.
        accelerator: The accelerator, for gradients and communication between processes.
        slots: The slots of this process.
        seed: The seed of all moves.
    """

    def __init__(
        self,
        objective: Objective,
        players: Mapping[str, Player],
        accelerator: Accelerator,
        slots: list[int],
        seed: int,
    ) -> None:
        self.objective, self.players, self.accelerator = objective, players, accelerator
        self.slots, self.seed = slots, seed
        self.generators = {slot: torch.Generator(accelerator.device) for slot in slots}
        self.left = False

    def run(
        self,
        batches: list[dict[str, Any]],
        index: int,
        total: int,
        *,
        leaving: bool = False,
        logged: bool = True,
    ) -> list[SubstepResult]:
        """Run update ``index`` of ``total``; ``left`` then says whether any process wants to stop.

        Raises:
            NotFiniteError: A loss or gradient is not finite; that player was not updated.
            TrainingError: The micro-batches yield losses of different players, or the objective
                yields something other than a `Loss`.
        """
        # One game per micro-batch, all in lockstep. If the micro-batches ran one after the other,
        # the second would see players that the first has already updated, and four micro-batches
        # would not equal one batch, nor one process four.
        games = {
            slot: self.objective.losses(
                batch, Step(index, total, slot, self.generators[slot], logged)
            )
            for slot, batch in zip(self.slots, batches, strict=True)
        }
        self._check_games(games)
        results: list[SubstepResult] = []
        with trusted():  # The data were checked before; another check would wait for the device.
            while losses := self._advance(games, index, len(results)):
                results.append(self._move(losses, index, leaving))
        for player in self.players.values():
            player.next_update()
        return results

    def _advance(self, games: Mapping[int, Iterator[Loss]], index: int, move: int) -> list[Loss]:
        """Get the next loss of every game, and accumulate that player's gradients."""
        losses: list[Loss] = []
        for slot, game in games.items():
            # Every move has its own seed, in the step's generator and in the default one, which
            # dropout and torch.distributions use. So a move draws the same numbers after resuming,
            # on any process, and whatever was drawn before.
            seed = seeds.derive_seed(self.seed, index, slot, move)
            self.generators[slot].manual_seed(seed)
            seeds.seed_defaults(seed, self.accelerator.device)
            # Autocast is entered anew for each move. A context that a game holds open across a
            # yield would also apply to the backward pass and to the other games.
            with autocast(self.accelerator):
                loss = next(game, None)
            if loss is None:
                continue
            player = player_of(loss, losses, self.players, self.objective)
            if not losses:
                player.zero_grad()
            # Immediately, while the game is suspended: its next loss is computed after the
            # player's step. A graph that is shared across a yield would belong to old parameters.
            self._backward(loss, player)
            losses.append(loss)
        if losses and len(losses) != len(games):
            raise TrainingError(
                f"{type(self.objective).__name__} yielded a loss for {len(losses)} of "
                f"{len(games)} micro-batches on move {move}; all must make the same moves."
            )
        return losses

    def _backward(self, loss: Loss, player: Player) -> None:
        """Add the loss's gradient to that player's parameters and to no other's."""
        scaler = self.accelerator.scaler
        # A gradient that is known without autograd is added directly. Passing it through a scalar
        # with its own backward took a twentieth of an RBM's update.
        if loss.gradients:
            scaled = loss.gradients
            if scaler is not None:
                scaled = {p: scaler.scale(gradient) for p, gradient in scaled.items()}
            player.add_gradients(scaled)
            if not loss.value.requires_grad:
                return
        alone = len(self.players) == 1  # Then the cheaper call is sufficient.
        inputs = None if alone else player.parameters
        if scaler is None:  # Accelerate's is for the loss scale: see autocast.
            torch.autograd.backward(loss.value, inputs=inputs)
        else:
            self.accelerator.backward(loss.value, inputs=inputs)

    def _move(self, losses: list[Loss], index: int, leaving: bool) -> SubstepResult:
        """Step the player whose move it is."""
        player = self.players[losses[0].player]
        norm = player.gather_gradients(1 / len(losses))
        values = [loss.value.detach().float().reshape(()) for loss in losses]
        mean = values[0] if len(values) == 1 else torch.stack(values).mean()
        value, grad_norm, left = self._agree(mean, norm, leaving)
        self.left = self.left or left > 0
        # With a loss scale, an infinite gradient means an overflow, and the scaler skips the step.
        scaled = self.accelerator.scaler is not None
        if not math.isfinite(value) or not (scaled or math.isfinite(grad_norm)):
            what = "loss" if not math.isfinite(value) else "gradient"
            raise NotFiniteError(
                f"The {what} of the player {player.name!r} is not finite at step {index + 1} "
                f"(loss {value}, gradient norm {grad_norm}); the player was not updated."
            )
        player.step()
        return SubstepResult(player.name, value, grad_norm, losses[-1].metrics)

    def _agree(self, mean: Tensor, norm: Tensor, leaving: bool) -> list[float]:
        """Average over processes what all must decide equally."""
        # One host read per move, because each one waits for the device; and one message, which
        # also says whether to stop, so that all processes stop at the same step.
        if self.accelerator.num_processes == 1:
            return [*torch.stack([mean, norm.float()]).tolist(), float(leaving)]
        values = torch.stack([mean, norm.float(), mean.new_tensor(float(leaving))])
        values = self.accelerator.reduce(values, reduction="mean")
        found: list[float] = values.tolist()
        return found

    def _check_games(self, games: Mapping[int, Iterator[Loss]]) -> None:
        """Raise if `losses` returns instead of yielding."""
        for game in games.values():
            if not isinstance(game, Iterator):
                raise TrainingError(
                    f"{type(self.objective).__name__}.losses returned a {type(game).__name__} "
                    "instead of yielding a Loss. Write: yield Loss(value)."
                )


def _is_due(every: int, step: int) -> bool:
    """Whether an action of every ``every`` steps is due; never if ``every`` is 0."""
    return bool(every) and step % every == 0
