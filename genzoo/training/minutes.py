"""The number of updates for a number of minutes, estimated once before training."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable

from genzoo.model_files import RECIPE
from genzoo.stage import Recipe
from genzoo.threads import limited
from genzoo.training.accelerating import from_main
from genzoo.training.checkpoint import Checkpoint
from genzoo.training.config import TrainerConfig
from genzoo.training.plan import Plan
from genzoo.training.session import Session

logger = logging.getLogger("genzoo")

_UNTIMED, _TIMED = 5, 15
"""The first updates are slower, because memory is allocated."""
_MOST = 10**9


def with_total(plan: Plan, total: int) -> Plan:
    """Return a plan with a number of updates for each stage in place of the minutes."""

    def changed(config: TrainerConfig) -> TrainerConfig:
        return dataclasses.replace(config, minutes=None, max_steps=total)

    configs = tuple(changed(config) for config in plan.configs)
    return dataclasses.replace(plan, config=changed(plan.config), configs=configs)


def resumed(plan: Plan, session: Session, checkpoint: Checkpoint | None) -> Plan:
    """Return the plan of a resumed run: with the total that was estimated when it began.

    Arguments:
        plan: The plan.
        session: The session.
        checkpoint: The checkpoint; without one, the recipe has the total.
    """
    if plan.config.minutes is None or session.folder is None:
        return plan
    if checkpoint is not None:
        return with_total(plan, checkpoint.values["identity"]["trainer"][-1]["max_steps"])
    total = Recipe.read(session.folder.path / RECIPE.name).trainer.max_steps
    return plan if total is None else with_total(plan, total)


def estimated(
    plan: Plan, session: Session, make_steps: Iterable[Callable[[], Callable[[], None]]]
) -> Plan:
    """Return the plan with the number of updates that take its minutes.

    Arguments:
        plan: The plan. Its stages share the time: each gets the same number of updates.
        session: The session.
        make_steps: For each stage, makes a function that trains a copy for one update.
    """
    with limited(session.threads):
        own = sum(_seconds(make()) for make in make_steps)
    # Processes must agree: an estimate of their own would let one wait for the others.
    seconds = from_main(session.accelerator, lambda: own)
    minutes = plan.config.minutes or 0.0
    total = min(max(1, int(60 * minutes / seconds)), _MOST)
    logger.info(
        "%g minutes are about %d updates of %.3g ms: max_steps %d. From here on nothing depends "
        "on the clock.",
        *(minutes, total, 1e3 * seconds, total),
    )
    return with_total(plan, total)


def _seconds(step: Callable[[], None]) -> float:
    """Return the mean seconds of an update."""
    for _ in range(_UNTIMED):
        step()
    began = time.perf_counter()
    for _ in range(_TIMED):
        step()
    return max((time.perf_counter() - began) / _TIMED, 1e-9)
