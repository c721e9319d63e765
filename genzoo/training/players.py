"""Players: groups of parameters with an optimiser and a schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler as TorchLRScheduler

from genzoo import registry
from genzoo.component import Component, ComponentOverride
from genzoo.errors import ConfigError, TrainingError, suggest
from genzoo.objective import Loss, Objective
from genzoo.training.averaging import GradientAverage
from genzoo.training.config import TrainerConfig
from genzoo.training.factories import Factories, values_of
from genzoo.training.lr_schedulers import LRScheduler
from genzoo.training.optimizers import Optimizer
from genzoo.training.sharding.tensors import is_sharded, norm_of, part_of


@dataclass(frozen=True)
class Solver:
    """An optimiser and its schedule.

    Arguments:
        base: The optimiser.
        schedule: Its schedule.
        made: What a function of the user's made of them, under "optimizer" and "lr_scheduler".
    """

    base: torch.optim.Optimizer
    schedule: TorchLRScheduler
    made: Mapping[str, Any]


@dataclass(frozen=True)
class SubstepResult:
    """The result of a player's move.

    Arguments:
        player: The player.
        loss: The mean loss over micro-batches and processes.
        grad_norm: The norm of the player's gradient before clipping; of its part that is checked
            at every update if the step is not logged, see `Player.gather_gradients`.
        metrics: The metrics of the last micro-batch's loss, still on the device.
    """

    player: str
    loss: float
    grad_norm: float
    metrics: Mapping[str, Tensor]


class Player:
    """One player's parameters, optimiser and schedule.

    Arguments:
        name: The player's name.
        named_parameters: Its parameters by name.
        solver: Its optimiser and schedule.
        config: The stage's training values.
        accelerator: The accelerator, which wraps the optimiser for loss scaling.
    """

    def __init__(
        self,
        name: str,
        named_parameters: dict[str, nn.Parameter],
        solver: Solver,
        config: TrainerConfig,
        accelerator: Accelerator,
    ) -> None:
        self.name, self.names = name, list(named_parameters)
        self.parameters = list(named_parameters.values())
        self._own = frozenset(self.parameters)
        self._vectors = [p for p in self.parameters if p.ndim < 2]
        # The schedule was made before the wrapper below, which captures the step function that it
        # counts.
        self.base, self.schedule, self.made = solver.base, solver.schedule, solver.made
        # Accelerate's wrapper is needed for loss scaling only; each of its steps searches the file
        # system for a package (lomo_optim), which takes longer than a small network's step.
        scaled = accelerator.scaler is not None
        self.optimizer = (
            accelerator.prepare_optimizer(self.base, device_placement=False)
            if scaled
            else self.base
        )
        self.max_grad_norm = config.max_grad_norm or math.inf
        self.accelerator = accelerator
        self.is_sharded = any(map(is_sharded, self.parameters))
        # Gradients of sharded parameters are averaged by what shards them.
        whole = {n: p for n, p in named_parameters.items() if not is_sharded(p)}
        self.average: GradientAverage | None = None
        if accelerator.num_processes > 1 and whole:
            unused = config.ddp_find_unused_parameters
            self.average = GradientAverage(list(whole), list(whole.values()), finds_unused=unused)
        self._lists = _without_lists(self.base) if self.is_sharded else []
        self._checked = False

    def zero_grad(self) -> None:
        """Reset the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def add_gradients(self, gradients: Mapping[nn.Parameter, Tensor]) -> None:
        """Add the gradients of a loss.

        Raises:
            TrainingError: A gradient is for a parameter that is not the player's.
        """
        if not self._own.issuperset(gradients):
            raise TrainingError(
                f"A loss of the player {self.name!r} has a gradient for a parameter that is "
                f"not its own. Its parameters are {', '.join(self.names[:5])}."
            )
        for parameter, gradient in gradients.items():
            part = gradient.to(parameter.dtype)  # Autocast may have changed its dtype.
            parameter.grad = part if parameter.grad is None else parameter.grad + part

    def gather_gradients(self, scale: float, *, whole: bool = True) -> Tensor:
        """Average the gradients over processes, clip them, and return their norm before clipping.

        Arguments:
            scale: What the gradients are multiplied by first.
            whole: Whether the norm is that of all gradients, as it always is if they are clipped.
                If not, it is that of offsets and scales, to see whether they are finite.

        Raises:
            TrainingError: A parameter has no gradient on the player's first update.
        """
        if not self._checked:
            self._check_gradients()
        # Before clipping: the norm is that of the whole batch's gradient, as with one process.
        if self.average is not None:
            self.average.finish()
        found = [p.grad for p in self.parameters if p.grad is not None]
        grads = [part_of(grad) for grad in found]
        if scale != 1:
            torch._foreach_mul_(grads, scale)
        if self.accelerator.scaler is not None:
            self.accelerator.unscale_gradients(self.optimizer)
        clips = math.isfinite(self.max_grad_norm)
        if self.is_sharded:
            norm = norm_of(found)
            if clips:
                # As `torch.nn.utils.clip_grads_with_norm_`, which takes no mixture.
                torch._foreach_mul_(grads, (self.max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
            return norm
        if not (whole or clips):
            # To read all of them once more takes some per cent of a small network's step. What is
            # not finite in the backward pass reaches the offsets of the layers that it passes.
            vectors = [p.grad.reshape(-1) for p in self._vectors if p.grad is not None]
            grads = [torch.cat(vectors)] if vectors else grads
        norm = _norm(grads)
        if clips:
            nn.utils.clip_grads_with_norm_(self.parameters, self.max_grad_norm, norm)
        return norm

    def whole_norm(self, norm: float) -> float:
        """Return the norm of all gradients, given one of only some; without a message."""
        if self.is_sharded or math.isfinite(self.max_grad_norm):
            return norm  # It is that of all already.
        return _norm([p.grad for p in self.parameters if p.grad is not None]).item()

    def solver_state(self) -> dict[str, Any]:
        """Return the state of the optimiser, as if no parameter was sharded."""
        state = self.base.state_dict()
        for number, name, value in self._lists:
            state["param_groups"][number][name] = value
        return state

    def load_solver_state(self, state: Mapping[str, Any]) -> None:
        """Load what ``solver_state`` returned, with tensors that are sharded as parameters are."""
        self.base.load_state_dict(dict(state))
        if self.is_sharded:
            self._lists = _without_lists(self.base)

    def step(self) -> None:
        """Update the parameters."""
        self.optimizer.step()

    def next_update(self) -> None:
        """Set the learning rate of the next update."""
        if self.average is not None:
            self.average.next_update()
        # Once per update, not per move: a critic with five moves would decay five times as fast.
        if type(self.schedule) is LambdaLR:
            # Its own `step` does this after checks that take ten times as long.
            self.schedule.last_epoch += 1
            self.schedule._step_count += 1
            self.set_lr()
        else:
            self.schedule.step()

    def set_lr(self) -> None:
        """Set the learning rate of the next update, also if the total has changed."""
        if not isinstance(self.schedule, LambdaLR):
            return  # A run with a schedule of the user's keeps its total.
        step, groups = self.schedule.last_epoch, self.base.param_groups
        factors = [factor(step) for factor in self.schedule.lr_lambdas]
        rates = [base * f for base, f in zip(self.schedule.base_lrs, factors, strict=True)]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        self.schedule._last_lr = rates

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""
        return float(self.schedule.get_last_lr()[0])

    def _check_gradients(self) -> None:
        # Frozen parameters, re-entrant checkpointing and sharding give no gradient and no error:
        # the parameter would keep its initial value, and the loss would still fall.
        missing = [n for n, p in zip(self.names, self.parameters, strict=True) if p.grad is None]
        if missing:
            raise TrainingError(
                f"After the first move of the player {self.name!r}, these of its parameters have "
                f"no gradient: {', '.join(missing[:5])}. Freeze them (requires_grad_(False)), "
                "leave them to another player, or let the loss depend on them."
            )
        self._checked = True


def make_players(
    objective: Objective,
    config: TrainerConfig,
    accelerator: Accelerator,
    factories: Factories | None = None,
) -> dict[str, Player]:
    """Return the players of an objective; they must partition the trainable parameters.

    Arguments:
        objective: The objective.
        config: The stage's training values.
        accelerator: The accelerator.
        factories: Functions of the user's that make optimisers and schedules.

    Raises:
        ConfigError: The user names an unknown player.
        TrainingError: A trainable parameter has no player, or two; or a function makes an
            optimiser or a schedule that cannot be used.
    """
    factories = factories or Factories()
    names = {id(p): name for name, p in objective.named_parameters()}
    players = objective.players()
    _check_partition(objective, players, names)
    factories.check_players(players)
    optimizers = _optimizers(objective, players, config)
    found = {}
    for player, parameters in players.items():
        named = {names[id(p)]: p for p in parameters}
        solver = _solver(player, named, optimizers[player], config, factories)
        found[player] = Player(player, named, solver, config, accelerator)
    return found


def player_of(
    loss: Loss, others: Sequence[Loss], players: Mapping[str, Player], objective: Objective
) -> Player:
    """Return the player of a loss.

    Arguments:
        loss: The loss that a game yielded.
        others: The losses of the other micro-batches' games on this move.
        players: The players by name.
        objective: The objective, for the message.

    Raises:
        TrainingError: It is not a `Loss`, its player is unknown, or the micro-batches disagree.
    """
    title = type(objective).__name__
    if not isinstance(loss, Loss):
        raise TrainingError(
            f"{title} yielded a {type(loss).__name__} instead of a Loss. Write: yield "
            "genzoo.plugin.Loss(value)."
        )
    if loss.player not in players:
        raise TrainingError(
            f"{title} yielded a loss for the player {loss.player!r}. "
            f"{suggest(loss.player, players)}"
        )
    if others and others[0].player != loss.player:
        raise TrainingError(
            f"The micro-batches disagree: a move of {others[0].player!r} and of {loss.player!r}."
        )
    return players[loss.player]


def _optimizers(
    objective: Objective, players: Iterable[str], config: TrainerConfig
) -> dict[str, Component]:
    """Return each player's optimiser, with the stage's and the user's overrides."""
    own = objective.optimizers(objective.config)
    if own.keys() != set(players):
        raise TrainingError(
            f"{type(objective).__name__} has the players {', '.join(players)}, and optimisers for "
            f"{', '.join(own)}. Let its optimizers() name one for each of its players()."
        )
    for player in config.optimizers:
        if player not in own:
            raise ConfigError(f"trainer.optimizers: no player {player!r}. {suggest(player, own)}")
    given = {player: config.optimizers.get(player, ComponentOverride()) for player in own}
    changed = {player: given[player].over(component) for player, component in own.items()}
    return {player: Component.from_dict(c.to_dict()) for player, c in changed.items()}


def _solver(
    player: str,
    named: Mapping[str, nn.Parameter],
    component: Component,
    config: TrainerConfig,
    factories: Factories,
) -> Solver:
    """Return the optimiser and schedule of a player, of the user's functions where given."""
    base, made = factories.make_optimizer(player, named), {}
    if base is None:
        named_one: Optimizer = registry.make("optimizers", component)
        base = named_one.build(list(named.values()))
    else:
        made["optimizer"] = values_of(base)
    schedule = factories.make_lr_scheduler(player, base, config.max_steps or 1)
    if schedule is None:
        schedule = LambdaLR(base, _factor(config))
    else:
        made["lr_scheduler"] = values_of(schedule)
    return Solver(base, schedule, made)


def _check_partition(
    objective: Objective, players: dict[str, list[nn.Parameter]], names: dict[int, str]
) -> None:
    owners: dict[int, str] = {}
    for player, parameters in players.items():
        if not parameters:
            raise TrainingError(f"The player {player!r} has nothing to train.")
        for parameter in parameters:
            other = owners.setdefault(id(parameter), player)
            if other != player:
                raise TrainingError(
                    f"{names[id(parameter)]} belongs to two players, {other!r} and {player!r}."
                )
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad and id(parameter) not in owners:
            raise TrainingError(f"The trainable parameter {name} belongs to no player.")


def _without_lists(optimizer: torch.optim.Optimizer) -> list[tuple[int, str, Any]]:
    """Let an optimiser update one parameter at a time, and return the values that are changed.

    A list may not hold sharded parameters next to whole ones.
    """
    changed: list[tuple[int, str, Any]] = []
    for number, group in enumerate(optimizer.param_groups):
        for name in ("foreach", "fused"):
            if name in group:
                changed.append((number, name, group[name]))
                group[name] = False
    return changed


def _norm(grads: list[Tensor]) -> Tensor:
    """Return the norm of all values."""
    if len(grads) == 1:
        found: Tensor = torch.linalg.vector_norm(grads[0])
    else:
        found = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    return found


def _factor(config: TrainerConfig) -> Callable[[int], float]:
    """Return the factor of the learning rate at each update."""
    warmup, total = config.warmup_steps or 0, config.max_steps or 1
    named = config.lr_scheduler or Component(name="constant")
    scheduler: LRScheduler = registry.make("lr_schedulers", named)
    # A function, because PyTorch writes the attributes of an object into checkpoints.
    return lambda step: scheduler.factor(step, total, warmup)
