"""Before the first update: checks, initialisation from data, the number of threads."""

from __future__ import annotations

import copy
import dataclasses
import functools
import logging
from collections.abc import Callable

from genzoo.objective import Objective
from genzoo.training import minutes, threads
from genzoo.training.batches import batches
from genzoo.training.best import figure_of, is_loss, unknown_figure
from genzoo.training.checkpoint import Checkpoint
from genzoo.training.evaluations import check_figure
from genzoo.training.factories import Made, in_words
from genzoo.training.held_out import HeldOut
from genzoo.training.initialization import init_from_data, ready_objective
from genzoo.training.inputs import Inputs
from genzoo.training.loop import Start
from genzoo.training.plan import Plan
from genzoo.training.players import make_players
from genzoo.training.resume_check import demand_same, demand_same_factories, identity
from genzoo.training.session import Session
from genzoo.training.updater import Updater

logger = logging.getLogger("genzoo")


def start(plan: Plan, session: Session, *, resume: bool) -> Start:
    """Prepare the model, and look for what is wrong, before anything is written or replaced.

    Raises:
        GenzooError: Whatever `Trainer.fit` says of values, the folder and the checkpoints.
    """
    plan.model.to(session.device)
    for config in plan.configs:
        session.partition(config)
    if not resume:
        session.demand_free()  # Before the model is initialised: a refusal changes nothing.
    plan, checkpoint = _resumed(plan, session) if resume else (plan, None)
    if checkpoint is None:
        init_from_data(plan, session, 0)
    number = 0 if checkpoint is None else checkpoint.stage
    objective, made = _check_stages(plan, session, number)
    plan = dataclasses.replace(plan, made=in_words(made))
    if checkpoint is not None:
        demand_same_factories(checkpoint, made[number], changed=bool(session.changed))
    else:
        _check_figure(plan, session, number, objective)
    if not resume:
        session.claim()
    if checkpoint is None:
        make_step = functools.partial(_make_trial, plan, session, objective, 0)
        session.threads = threads.choose(plan.configs[0], make_step)
        if plan.config.minutes is not None:
            later = range(1, len(plan.stages))
            others = [functools.partial(_make_later_trial, plan, session, n) for n in later]
            plan = minutes.estimated(plan, session, [make_step, *others])
        session.write_recipe(plan)
    else:
        session.threads = checkpoint.values["threads"]
        if session.changed:
            session.write_recipe(plan)
    session.write_environment()
    if session.accelerator.scaler is not None:
        session.accelerator.free_memory()  # It keeps the optimisers that were prepared for it.
    return Start(plan, number, objective, checkpoint)


def _resumed(plan: Plan, session: Session) -> tuple[Plan, Checkpoint | None]:
    """Return the checkpoint that is resumed from, after checking that the run is the same one.

    The plan that is returned with it has the number of updates that was estimated at the start.
    """
    checkpoint = session.newest(lazily=plan.config.shard != "none")
    plan = minutes.resumed(plan, session, checkpoint)
    if checkpoint is None:
        return plan, None
    before = demand_same(checkpoint, identity(plan, session.accelerator.num_processes))
    logger.info("Going on from %s.", session.last_good)
    if before is not None:
        session.changed = _changed_total(checkpoint, before, plan)
    return plan, checkpoint


def _changed_total(checkpoint: Checkpoint, before: int, plan: Plan) -> str:
    """Return, after logging it, that the resumed run gets another number of updates."""
    said = (
        f"The run has made {checkpoint.step} of {before} updates and now gets "
        f"{plan.configs[checkpoint.stage].max_steps}. Learning-rate schedules and annealing "
        "follow the new total from here on, so a run that starts with it gives other weights."
    )
    logger.info(said)
    return said


def _check_stages(plan: Plan, session: Session, first: int) -> tuple[Objective, list[Made]]:
    """Raise what is wrong with any stage's objective and players.

    Returns the first stage's objective, and what functions of the user's made for each stage.
    """
    found: list[Objective] = []
    made: list[Made] = []
    for number, config in enumerate(plan.configs):
        with plan.only_part(number):
            # The first stage trains what is built here. The others build theirs when they begin,
            # because an objective may look at the model, which is not trained yet.
            objective = (
                ready_objective(plan, session, number)
                if number == first
                else plan.make_objective(number)
            )
            players = make_players(objective, config, session.accelerator, plan.factories)
            made.append({name: player.made for name, player in players.items()})
            check_figure(config, objective.players())
        found.append(objective)
    if plan.config.shard != "none":
        from genzoo.training.sharding import applying

        applying.check(plan, session, first, found)
    return found[first], made


def _check_figure(plan: Plan, session: Session, number: int, objective: Objective) -> None:
    """Evaluate once if a metric decides which weights are the best: only so its figures are known.

    Raises:
        ConfigError: The metrics have no such figure.
    """
    name = figure_of(plan.configs[number])
    if name is None or is_loss(name):
        return
    held_out = HeldOut(plan, session, number, Inputs(plan.stages[number], plan.model))
    figures = held_out.figures(objective, None)
    if name not in figures:
        raise unknown_figure(name, figures)


def _make_later_trial(plan: Plan, session: Session, number: int) -> Callable[[], None]:
    """Return a function that trains a copy of a later stage for one step."""
    # Its initialisation from data belongs to the stage's start, so a copy is initialised.
    plan = dataclasses.replace(plan, model=copy.deepcopy(plan.model))
    init_from_data(plan, session, number)
    with plan.only_part(number):
        objective = ready_objective(plan, session, number)
    return _make_trial(plan, session, objective, number)


def _make_trial(
    plan: Plan, session: Session, objective: Objective, number: int
) -> Callable[[], None]:
    """Return a function that trains a copy of a stage for one step."""
    config = plan.configs[number]
    with plan.only_part(number):
        model, objective = copy.deepcopy((plan.model, objective))
        # Without the user's functions: they may name parameters of the model instead of the copy.
        players = make_players(objective, config, session.accelerator)
    partition, inputs = session.partition(config), Inputs(plan.stages[number], model)
    slots = partition.slots()
    updater = Updater(objective, players, session.accelerator, slots, config.seed)
    feed = batches(plan.rows, partition, seed=config.seed, first=0, last=10**6)

    def step() -> None:
        on_device = [plan.to_device(batch, session.device) for batch in next(feed)]
        updater.run(inputs.feed(on_device, slots, config.seed, 0), 0, config.max_steps or 1)

    return step
