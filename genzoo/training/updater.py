"""The moves of an update.

Take the gradient of the next loss with respect to one player's parameters, clip it, step that
player's optimiser, ask for the next loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from types import GeneratorType
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from genzoo import seeds
from genzoo.errors import NotFiniteError, TrainingError
from genzoo.objective import Loss, Objective, Step
from genzoo.training.averaging import start_mean
from genzoo.training.players import Player, SubstepResult, player_of
from genzoo.training.sharding.networks import Sharding
from genzoo.values import trusted


class Updater:
    """Runs updates: in turn, every micro-batch's game advances one move, and one player steps.

    Arguments:
        objective: The objective, which yields the losses.
        players: The players.
        accelerator: The accelerator, for gradients and communication between processes.
        slots: The slots of this process.
        seed: The seed of all moves.
        sharding: The networks that are sharded.
    """

    def __init__(
        self,
        objective: Objective,
        players: Mapping[str, Player],
        accelerator: Accelerator,
        slots: list[int],
        seed: int,
        sharding: Sharding | None = None,
    ) -> None:
        self.objective, self.players, self.accelerator = objective, players, accelerator
        self.slots, self.seeds = slots, seeds.Derived(seed)
        self.generators = {slot: torch.Generator(accelerator.device) for slot in slots}
        self.sharding = sharding or Sharding()
        self.left = False
        self._agreement: Callable[[], Tensor] | None = None
        # Read once: Accelerate looks these up in its shared state, which small steps notice.
        self.alone = accelerator.num_processes == 1
        self.device = accelerator.device
        self.on_cpu = self.device.type == "cpu"
        self.autocasts = accelerator.mixed_precision != "no"

    def run(
        self,
        batches: list[dict[str, Any]],
        index: int,
        total: int,
        *,
        leaving: bool = False,
        logged: bool = True,
        kept: bool = True,
    ) -> list[SubstepResult]:
        """Run update ``index`` of ``total``; ``left`` then says whether any process wants to stop.

        Arguments:
            batches: The micro-batches, on the device.
            index: The number of updates made before.
            total: The number of updates of the stage.
            leaving: Whether this process wants to stop.
            logged: Whether the losses and gradient norms of this update are logged.
            kept: Whether its weights are saved or evaluated.

        Raises:
            NotFiniteError: A loss or gradient is not finite; that player was not updated.
            TrainingError: The micro-batches yield losses of different players, or the objective
                yields something other than a `Loss`.
        """
        # Before the forward pass: it reuses their memory, which is still in the processor's cache.
        for player in self.players.values():
            player.zero_grad()
        # One game per micro-batch, all in lockstep. If the micro-batches ran one after the other,
        # the second would see players that the first has already updated, and four micro-batches
        # would not equal one batch, nor one process four.
        whole = logged or kept or leaving
        games = {
            slot: self.objective.losses(
                batch, Step(index, total, slot, self.generators[slot], whole)
            )
            for slot, batch in zip(self.slots, batches, strict=True)
        }
        self._check_games(games)
        results: list[SubstepResult] = []
        with trusted():  # The data were checked before; another check would wait for the device.
            while losses := self._advance(games, index, len(results), leaving):
                results.append(self._move(losses, index, leaving, whole=whole))
        self.sharding.reshard()
        for player in self.players.values():
            player.next_update()
        return results

    def _advance(
        self, games: Mapping[int, Iterator[Loss]], index: int, move: int, leaving: bool
    ) -> list[Loss]:
        """Get the next loss of every game, and accumulate that player's gradients."""
        losses: list[Loss] = []
        for slot, game in games.items():
            # Every move has its own seed, in the step's generator and in the default one, which
            # dropout and torch.distributions use. So a move draws the same numbers after resuming,
            # on any process, and whatever was drawn before.
            seed = self.seeds.seed(index, slot, move)
            self.generators[slot].manual_seed(seed)
            seeds.seed_defaults(seed, self.device)
            # Autocast is entered anew for each move. A context that a game holds open across a
            # yield would also apply to the backward pass and to the other games.
            with self.sharding.read_rightly(index):
                if self.autocasts:
                    with self.accelerator.autocast():
                        loss = next(game, None)
                else:
                    loss = next(game, None)
            if loss is None:
                continue
            player = player_of(loss, losses, self.players, self.objective)
            if not losses:
                player.zero_grad()
            # Immediately, while the game is suspended: its next loss is computed after the
            # player's step. A graph that is shared across a yield would belong to old parameters.
            losses.append(loss)
            last = len(losses) == len(games)
            if last and not self.alone:
                # Before the backward pass, which takes longer than the message.
                told = [_mean(losses), losses[0].value.new_tensor(float(leaving)).float()]
                self._agreement = start_mean(torch.stack(told))
            self._backward(loss, player, last=last)
        if losses and len(losses) != len(games):
            raise TrainingError(
                f"{type(self.objective).__name__} yielded a loss for {len(losses)} of "
                f"{len(games)} micro-batches on move {move}; all must make the same moves."
            )
        return losses

    def _backward(self, loss: Loss, player: Player, *, last: bool) -> None:
        """Add the loss's gradient to that player's parameters and to no other's."""
        scaler, value = self.accelerator.scaler, loss.value
        if player.average is not None:
            value = player.average.through(value, last=last, given=bool(loss.gradients))
        # A gradient that is known without autograd is added directly. Passing it through a scalar
        # with its own backward took a twentieth of an RBM's update.
        if loss.gradients:
            scaled = loss.gradients
            if scaler is not None:
                scaled = {p: scaler.scale(gradient) for p, gradient in scaled.items()}
            player.add_gradients(scaled)
            if not loss.value.requires_grad:
                return
        # With one player, the cheaper call is sufficient. Sharded parameters are not the leaves of
        # the graph, so as inputs they would get no gradient, and no error would say so.
        plain = len(self.players) == 1 or bool(self.sharding)
        inputs = None if plain else player.parameters
        if scaler is None:  # Accelerate's is for the loss scale: see autocast.
            torch.autograd.backward(value, inputs=inputs)
        else:
            self.accelerator.backward(value, inputs=inputs)
        if self.sharding:
            for other in self.players.values():
                if other is not player:
                    other.zero_grad()

    def _move(
        self, losses: list[Loss], index: int, leaving: bool, *, whole: bool
    ) -> SubstepResult:
        """Step the player whose move it is."""
        player = self.players[losses[0].player]
        norm = player.gather_gradients(1 / len(losses), whole=whole)
        value, grad_norm, left = self._agree(losses, norm, leaving)
        self.left = self.left or left > 0
        if left > 0 and not whole:
            # Another process leaves: it looks at all gradients, and all must decide equally.
            grad_norm = player.whole_norm(grad_norm)
        # With a loss scale, an infinite gradient means an overflow, and the scaler skips the step.
        scaled = self.accelerator.scaler is not None
        if not math.isfinite(value) or not (scaled or math.isfinite(grad_norm)):
            # Only what is not finite is shown: a loss that is not looked at need not be computed.
            bad_loss = not math.isfinite(value)
            what, found = ("loss", f"{value}") if bad_loss else ("gradient", f"norm {grad_norm}")
            raise NotFiniteError(
                f"The {what} of the player {player.name!r} is not finite at step {index + 1} "
                f"({found}); the player was not updated."
            )
        self.sharding.reshard()
        player.step()
        return SubstepResult(player.name, value, grad_norm, losses[-1].metrics)

    def _agree(self, losses: list[Loss], norm: Tensor, leaving: bool) -> list[float]:
        """Return the mean loss, the norm, and whether to stop, which all must decide equally."""
        # One host read per move, because each one waits for the device; and one message, which
        # also says whether to stop, so that all processes stop at the same step. The norm is that
        # of averaged gradients, so it is equal on all processes.
        if self._agreement is not None:
            mean, left = self._agreement()
            self._agreement = None
            found: list[float] = torch.stack([mean, norm.float(), left]).tolist()
            return found
        mean = _mean(losses)
        if self.on_cpu:  # There is nothing to wait for, so two reads are cheaper than a copy.
            return [mean.item(), norm.float().item(), float(leaving)]
        return [*torch.stack([mean, norm.float()]).tolist(), float(leaving)]

    def _check_games(self, games: Mapping[int, Iterator[Loss]]) -> None:
        """Raise if `losses` returns instead of yielding."""
        for game in games.values():
            # The usual type first: a look at an abstract class takes longer.
            if type(game) is not GeneratorType and not isinstance(game, Iterator):
                raise TrainingError(
                    f"{type(self.objective).__name__}.losses returned a {type(game).__name__} "
                    "instead of yielding a Loss. Write: yield Loss(value)."
                )


def _mean(losses: list[Loss]) -> Tensor:
    """Return the mean loss of micro-batches as a float32 scalar without its graph."""
    values = [_scalar(loss.value) for loss in losses]
    return values[0] if len(values) == 1 else torch.stack(values).mean()


def _scalar(value: Tensor) -> Tensor:
    """Return a loss as a float32 scalar without its graph."""
    value = value.detach()
    if value.dtype == torch.float32 and value.ndim == 0:
        return value
    return value.float().reshape(())
