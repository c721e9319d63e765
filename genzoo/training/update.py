"""One update: every micro-batch's game advanced one move in lockstep, each player stepped once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from genzoo import seeds
from genzoo.errors import NotFiniteError, TrainingError, suggest
from genzoo.objective import Loss, Objective, Step
from genzoo.training.players import Player
from genzoo.values import trusted


@dataclass(frozen=True)
class SubstepResult:
    """What a move came to.

    Arguments:
        player: Who moved.
        loss: The mean loss over micro-batches and processes.
        grad_norm: The norm of the player's gradient before clipping.
        metrics: What the last micro-batch's loss carried beside it, still on the device.
    """

    player: str
    loss: float
    grad_norm: float
    metrics: Mapping[str, Tensor]


class Updater:
    """Makes updates of an objective's players.

    Arguments:
        objective: Which yields the losses.
        players: Who is updated.
        accelerator: Which computes gradients and talks to the other processes.
        slots: This process's slots.
        seed: Where the randomness of every move comes from.
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
        """Make update ``index`` of ``total``; ``left`` then says whether any process is leaving.

        Raises:
            NotFiniteError: A loss or gradient is not finite; that player was not updated.
            TrainingError: The micro-batches disagree about whose move it is, or the objective
                yields something other than a `Loss`.
        """
        steps = {
            slot: Step(index, total, slot, generator, logged)
            for slot, generator in self.generators.items()
        }
        games = {
            slot: self.objective.losses(batch, steps[slot])
            for slot, batch in zip(self.slots, batches, strict=True)
        }
        self._check_games(games)
        moves: list[SubstepResult] = []
        with trusted():  # The data were checked when they were loaded; a look would wait for them.
            while losses := self._advance(games, index, len(moves)):
                moves.append(self._move(losses, index, leaving))
        for player in self.players.values():
            player.next_update()
        return moves

    def _check_games(self, games: Mapping[int, Iterator[Loss]]) -> None:
        """Raise where `losses` returns what it should yield."""
        for game in games.values():
            if not isinstance(game, Iterator):
                raise TrainingError(
                    f"{type(self.objective).__name__}.losses returned a {type(game).__name__} "
                    "instead of yielding a Loss. Write: yield genzoo.Loss(value)."
                )

    def _advance(self, games: Mapping[int, Iterator[Loss]], index: int, move: int) -> list[Loss]:
        """Ask every game for its next loss, and add up that player's gradients."""
        losses: list[Loss] = []
        for slot, game in games.items():
            seed = seeds.derive(self.seed, index, slot, move)
            self.generators[slot].manual_seed(seed)
            seeds.seed_defaults(seed, self.accelerator.device)
            with self._autocast():
                loss = next(game, None)
            if loss is None:
                continue
            player = self._player(loss, losses)
            if not losses:
                player.zero_grad()
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
        if loss.gradients:
            scaled = loss.gradients
            if scaler is not None:
                scaled = {p: scaler.scale(gradient) for p, gradient in scaled.items()}
            player.add_gradients(scaled)
            if not loss.value.requires_grad:
                return
        alone = len(self.players) == 1  # All that is trained is its own: the cheaper call does.
        inputs = None if alone else player.parameters
        if scaler is None:  # Accelerate's is for the loss scale: see _autocast.
            torch.autograd.backward(loss.value, inputs=inputs)
        else:
            self.accelerator.backward(loss.value, inputs=inputs)

    def _autocast(self) -> contextlib.AbstractContextManager[None]:
        """Return Accelerate's autocast, whose set-up is felt in a small step, where it is on."""
        on = self.accelerator.mixed_precision != "no"
        return self.accelerator.autocast() if on else contextlib.nullcontext()

    def _player(self, loss: Loss, losses: list[Loss]) -> Player:
        if not isinstance(loss, Loss):
            raise TrainingError(
                f"{type(self.objective).__name__} yielded a {type(loss).__name__} instead of a "
                "Loss. Write: yield genzoo.Loss(value)."
            )
        if loss.player not in self.players:
            raise TrainingError(
                f"{type(self.objective).__name__} yielded a loss for the player "
                f"{loss.player!r}. {suggest(loss.player, self.players)}"
            )
        if losses and losses[0].player != loss.player:
            raise TrainingError(
                f"The micro-batches disagree: a move of {losses[0].player!r} and of "
                f"{loss.player!r}."
            )
        return self.players[loss.player]

    def _move(self, losses: list[Loss], index: int, leaving: bool) -> SubstepResult:
        player = self.players[losses[0].player]
        norm = player.gather_gradients(1 / len(losses))
        values = [loss.value.detach().float().reshape(()) for loss in losses]
        mean = values[0] if len(values) == 1 else torch.stack(values).mean()
        value, grad_norm, left = self._agree(mean, norm, leaving)
        self.left = self.left or left > 0
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
        """Average over processes, in the one message and the one host read of a move."""
        if self.accelerator.num_processes == 1:
            return [*torch.stack([mean, norm.float()]).tolist(), float(leaving)]
        values = torch.stack([mean, norm.float(), mean.new_tensor(float(leaving))])
        values = self.accelerator.reduce(values, reduction="mean")
        found: list[float] = values.tolist()
        return found
