"""Optimisers and learning-rate schedules that functions of the user make."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from genzoo.errors import ConfigError, TrainingError, suggest
from genzoo.training.config import TrainerConfig

OptimizerFactory = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
LRSchedulerFactory = Callable[[torch.optim.Optimizer, int], LRScheduler]
Made = dict[str, Mapping[str, Any]]
"""For each player, `values_of` what functions made, under "optimizer" and "lr_scheduler"."""
_CALLS = {"optimizer": "lambda parameters: ...", "lr_scheduler": "lambda optimizer, steps: ..."}


def _takes(function: Callable[..., Any], num: int) -> bool:
    """Whether a function can be called with so many arguments, as far as it says."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # Written in C, without a signature.
        return True
    try:
        signature.bind(*range(num))
    except TypeError:
        return False
    return True


@dataclass(frozen=True)
class Factories:
    """Functions that make optimisers and schedules in place of registered components.

    Arguments:
        optimizer: Takes the parameters of a player and returns its optimiser; a function for all
            players, or one for each of some players by name.
        lr_scheduler: Takes such an optimiser and the number of updates of the stage, and returns
            its schedule, warm-up included; likewise.

    Raises:
        ConfigError: It is neither a function nor a mapping of functions.
    """

    optimizer: OptimizerFactory | Mapping[str, OptimizerFactory] | None = None
    lr_scheduler: LRSchedulerFactory | Mapping[str, LRSchedulerFactory] | None = None

    def __post_init__(self) -> None:
        for name, given in self.given().items():
            for one in given.values() if isinstance(given, Mapping) else [given]:
                if not callable(one):
                    raise ConfigError(
                        f"{name} must be a function, such as {_CALLS[name]}, got a "
                        f"{type(one).__name__}. Registered names and their values belong in the "
                        "config: TrainerConfig(optimizers=..., lr_scheduler=...)."
                    )
                if not _takes(one, 1 if name == "optimizer" else 2):
                    raise ConfigError(
                        f"{name} must take other arguments than {inspect.signature(one)}. Give "
                        f"{_CALLS[name]}."
                    )

    def given(self) -> dict[str, Any]:
        """Return what is given, by name."""
        both = {"optimizer": self.optimizer, "lr_scheduler": self.lr_scheduler}
        return {name: given for name, given in both.items() if given is not None}

    def check_players(self, players: Collection[str]) -> None:
        """Raise ConfigError if a function is for a player that there is not."""
        for name, given in self.given().items():
            for player in given if isinstance(given, Mapping) else ():
                if player not in players:
                    raise ConfigError(f"{name}: no player {player!r}. {suggest(player, players)}")

    def check_config(self, config: TrainerConfig) -> None:
        """Raise ConfigError if the user's training values decide the same as a function."""
        both = [f"optimizers.{p}" for p in config.optimizers if self._of("optimizer", p)]
        if self.lr_scheduler is not None:
            both += [n for n in ("lr_scheduler", "warmup_steps") if getattr(config, n)]
        if both:
            raise ConfigError(
                f"The training values have {', '.join(both)}, which a function decides here. "
                "Leave one of them out."
            )

    def make_optimizer(
        self, player: str, named: Mapping[str, nn.Parameter]
    ) -> torch.optim.Optimizer | None:
        """Return the optimiser of a player; None if no function makes it.

        Raises:
            TrainingError: The function returns something else, an optimiser that the Trainer
                cannot use, or one of other parameters.
        """
        factory = self._of("optimizer", player)
        if factory is None:
            return None
        made = factory(list(named.values()))
        if not isinstance(made, torch.optim.Optimizer):
            raise _unusable("optimizer", player, made, "return a torch.optim.Optimizer")
        _check_steps(made, player)
        _check_parameters(made, player, named)
        _check_plain(made, player, values_of(made))
        return made

    def make_lr_scheduler(
        self, player: str, optimizer: torch.optim.Optimizer, max_steps: int
    ) -> LRScheduler | None:
        """Return the schedule of a player's optimiser; None if no function makes it.

        Raises:
            TrainingError: The function returns something else, a schedule that follows a figure,
                or one of another optimiser.
        """
        factory = self._of("lr_scheduler", player)
        if factory is None:
            return None
        made = factory(optimizer, max_steps)
        if not isinstance(made, LRScheduler) or isinstance(made, ReduceLROnPlateau):
            text = "return a schedule of torch.optim.lr_scheduler that steps without a figure"
            raise _unusable("lr_scheduler", player, made, text)
        if getattr(made, "optimizer", None) is not optimizer:
            raise TrainingError(
                f"lr_scheduler returned a {type(made).__name__} of another optimizer for the "
                f"player {player!r}. Make it of the one that it is given."
            )
        _check_plain(made, player, values_of(made))
        return made

    def _of(self, name: str, player: str) -> Any:
        given = getattr(self, name)
        return given.get(player) if isinstance(given, Mapping) else given


def values_of(made: torch.optim.Optimizer | LRScheduler) -> dict[str, Any]:
    """Return what an optimiser or a schedule is: its class and its values when it is new."""
    cls = f"{type(made).__module__}.{type(made).__qualname__}"
    if isinstance(made, torch.optim.Optimizer):
        groups = [{**g, "params": len(g["params"])} for g in made.param_groups]
        return {"class": cls, "values": groups}
    return {"class": cls, "values": [made.state_dict()]}


def in_words(stages: Iterable[Made]) -> dict[str, str]:
    """Return what functions made in the stages of a run as texts, for its recipe."""
    found: dict[str, dict[str, None]] = {}
    for made in stages:
        for player, of_player in made.items():
            for name, values in of_player.items():
                found.setdefault(name, {})[f"{player}: {_described(values)}"] = None
    return {name: textwrap.shorten("; ".join(texts), 2000) for name, texts in found.items()}


def _described(values: Mapping[str, Any]) -> str:
    groups = (
        ", ".join(f"{k}={v}" for k, v in group.items() if _tells(k, v))
        for group in values["values"]
    )
    return " and ".join(f"{values['class']}({group})" for group in groups)


def _tells(name: str, value: Any) -> bool:
    """Whether a value tells a reader something: not a switch that is off, or an inner counter."""
    return not (name.startswith("_") or value is None or value is False)


def _unusable(name: str, player: str, made: Any, what: str) -> TrainingError:
    return TrainingError(
        f"{name} returned a {type(made).__name__} for the player {player!r}. Let it {what}."
    )


def _check_steps(made: torch.optim.Optimizer, player: str) -> None:
    """Raise if an optimiser cannot make a step from the gradients alone."""
    who = f"{type(made).__name__}, the optimizer of the player {player!r},"
    needed = [
        name
        for name, parameter in inspect.signature(made.step).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        raise TrainingError(
            f"{who} needs a {needed[0]} in each step; the Trainer computes a gradient once per "
            "step. Choose another optimizer, or write a loop of your own."
        )
    # Its weights in eval mode are others than those that it trains, and nothing would switch.
    if all(callable(getattr(made, mode, None)) for mode in ("train", "eval")):
        raise TrainingError(
            f"{who} has train() and eval() modes, which the Trainer does not switch. Choose "
            "another optimizer; ema_decay averages weights."
        )


def _check_parameters(
    made: torch.optim.Optimizer, player: str, named: Mapping[str, nn.Parameter]
) -> None:
    """Raise unless an optimiser has exactly the parameters of a player."""
    groups = made.param_groups
    found = {id(p) for group in groups for p in group["params"]}
    own = {id(p): name for name, p in named.items()}
    if missing := [name for key, name in own.items() if key not in found]:
        raise TrainingError(
            f"optimizer left out {', '.join(missing[:5])} of the player {player!r}. Give all "
            "parameters to the optimizer; freeze what is not trained (requires_grad_(False))."
        )
    if others := len(found - own.keys()):
        raise TrainingError(
            f"optimizer returned a {type(made).__name__} with {others} parameters that do not "
            f"belong to the player {player!r}. Make it of the parameters that it is given."
        )


def _check_plain(made: Any, player: str, values: Mapping[str, Any]) -> None:
    """Raise if a value cannot be written into a checkpoint as it is."""
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TrainingError(
            f"{type(made).__name__} of the player {player!r} has a value that a checkpoint cannot "
            f"hold ({error}). Give plain numbers, such as lr=0.001."
        ) from error
