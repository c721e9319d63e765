"""The Trainer's flags: its fields, and those of the schedule and of the optimisers.

``--trainer.lr-scheduler NAME`` chooses a schedule and ``--trainer.lr-scheduler.FIELD`` sets one
of its values; likewise ``--trainer.optimizers.PLAYER NAME`` and
``--trainer.optimizers.PLAYER.FIELD``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from genzoo import registry
from genzoo.cli.fields import changed, choice, section
from genzoo.component import Component, ComponentOverride
from genzoo.config import Config, differences
from genzoo.stage import Stage
from genzoo.training.config import TrainerConfig, resolve

_SCHEDULE = "The learning-rate schedule after warm-up (see genzoo list lr_schedulers)"
_OPTIMIZER = "The optimiser of the player {} (see genzoo list optimizers)"
_SPECIAL = ("lr_scheduler", "lr_scheduler_name", "optimizers")


@dataclass(frozen=True)
class TrainerFlags:
    """The section of the Trainer's flags, with its parser.

    Arguments:
        schedule: The schedule of the section's fields.
        players: The players with optimisers.
        section: The section, with the defaults.
    """

    schedule: Component
    players: tuple[str, ...]
    section: Any

    def given(self, values: Any, typed: Collection[str] = ()) -> dict[str, Any]:
        """Return the fields of `TrainerConfig` that were set or typed."""
        found = changed(values, self.section, typed, "trainer")
        found = {name: value for name, value in found.items() if name not in _SPECIAL}
        schedule = _change(values, self.section, "lr_scheduler", typed, "trainer.lr_scheduler")
        if schedule != ComponentOverride():
            found["lr_scheduler"] = schedule.over(self.schedule).to_dict()
        own, now = self.section.optimizers, values.optimizers
        pairs = {
            player: _change(now, own, player, typed, f"trainer.optimizers.{player}")
            for player in self.players
        }
        given = {player: c for player, c in pairs.items() if c != ComponentOverride()}
        return {**found, "optimizers": given} if given else found


def trainer_flags(
    stage: Stage, optimizers: Mapping[str, Component], named: Mapping[str, str]
) -> TrainerFlags:
    """Return the flags of the Trainer.

    Arguments:
        stage: The first stage, whose values are the defaults.
        optimizers: The optimisers of its objective.
        named: The choices of flags: a schedule under "lr_scheduler", an optimiser under
            "optimizers.PLAYER".
    """
    plain = TrainerConfig()
    values = resolve(plain, stage.trainer, optimizers)
    own = values.lr_scheduler or Component(name="constant")
    schedule = _chosen(own, named.get("lr_scheduler"))
    shown = {name: v for name, v in differences(values, plain).items() if name not in _SPECIAL}
    made = section(
        TrainerConfig,
        replaced={
            "lr_scheduler": _fields("lr_schedulers", schedule),
            "optimizers": _players(values.optimizers, named),
        },
        shown={name: value for name, value in shown.items() if getattr(plain, name) is None},
        choices={"lr_scheduler": choice("lr-scheduler", _SCHEDULE, own.name, "lr_schedulers")},
    )
    return TrainerFlags(schedule, tuple(values.optimizers), made)


def named_by(values: Any) -> dict[str, str]:
    """Return the choices of the flags of a section, for `trainer_flags`."""
    found = {"lr_scheduler": values.lr_scheduler_name}
    for field in dataclasses.fields(values.optimizers):
        if field.name.endswith("_name"):
            player = field.name.removesuffix("_name")
            found[f"optimizers.{player}"] = getattr(values.optimizers, field.name)
    return {key: name for key, name in found.items() if name is not None}


def _players(own: Mapping[str, ComponentOverride], named: Mapping[str, str]) -> Any:
    """Return the section of the optimisers: a choice for each player, and the fields."""
    fields: list[Any] = []
    for player, prescribed in own.items():
        chosen = _fields("optimizers", _chosen(prescribed, named.get(f"optimizers.{player}")))
        about = _OPTIMIZER.format(player)
        kind = choice(player, about, str(prescribed.name), "optimizers")
        fields.append((f"{player}_name", kind, None))
        fields.append((player, type(chosen), dataclasses.field(default=chosen)))
    doc = {"__doc__": "The optimiser of each player."}
    return dataclasses.make_dataclass(
        "Optimizers", fields, kw_only=True, frozen=True, namespace=doc
    )()


def _chosen(own: Component | ComponentOverride, name: str | None) -> Component:
    """Return the prescribed component, or the one that a flag names, without values."""
    return Component.from_dict(ComponentOverride(name=name).over(own).to_dict())


def _fields(group: str, component: Component) -> Config:
    """Return the section of a component's fields, with its values."""
    config = registry.config_of(group, component)
    return section(type(config), {name: getattr(config, name) for name in component.config})


def _change(
    values: Any, default: Any, name: str, typed: Collection[str], prefix: str
) -> ComponentOverride:
    """Return the changes of a component by the flags under a name."""
    fields = changed(getattr(values, name), getattr(default, name), typed, prefix)
    return ComponentOverride(name=getattr(values, f"{name}_name"), config=fields)
