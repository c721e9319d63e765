"""The Trainer's flags: its fields, and those of the schedule and of the optimisers.

``--trainer.lr-scheduler NAME`` chooses a schedule and ``--trainer.lr-scheduler.FIELD`` sets one
of its values; likewise ``--trainer.optimizers.PLAYER NAME`` and
``--trainer.optimizers.PLAYER.FIELD``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from genzoo.cli.components import Held, Place, resolved
from genzoo.cli.fields import changed, components_section, section
from genzoo.component import Component
from genzoo.config import differences
from genzoo.stage import Stage
from genzoo.training.config import TrainerConfig, resolve

_OPTIMIZER = "The optimiser of the player {}."
_SPECIAL = ("lr_scheduler", "optimizers")


def trainer_section(
    stage: Stage, optimizers: Mapping[str, Component], named: Mapping[str, str]
) -> Any:
    """Return the section of the Trainer's flags.

    Arguments:
        stage: The first stage, whose values are the defaults.
        optimizers: The optimisers of its objective.
        named: The texts of the flags of sections.
    """
    plain, place = TrainerConfig(), Place("trainer", named)
    values = resolve(plain, stage.trainer, optimizers)
    shown = {name: v for name, v in differences(values, plain).items() if name not in _SPECIAL}
    players = {
        player: Held("optimizers", Component.from_dict(own.to_dict()), _OPTIMIZER.format(player))
        for player, own in values.optimizers.items()
    }
    title, inside = "The optimiser of each player.", Place("trainer.optimizers", named)
    return section(
        TrainerConfig,
        {"lr_scheduler": values.lr_scheduler},
        place,
        shown={name: value for name, value in shown.items() if getattr(plain, name) is None},
        parts={"optimizers": components_section(players, inside, title)},
    )


def trainer_values(values: Any, stage: Stage, typed: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields of `TrainerConfig` that were set or typed.

    Arguments:
        values: The section of the Trainer's flags.
        stage: The first stage.
        typed: The flags that were typed.
    """
    own = {"lr_scheduler": resolve(TrainerConfig(), stage.trainer).lr_scheduler}
    return resolved(TrainerConfig, own, changed(values, typed, "trainer"))
