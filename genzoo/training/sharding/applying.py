"""The networks of a stage are sharded as its config says.

`torch.distributed.fsdp.fully_shard` does it. Child networks of the model and the objective above a
size are sharded, each with its gradients, the state of its optimiser and its averages. Everything
else stays on each process, and its gradients are averaged as ever, so one objective may mix both.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence

import torch
from torch import nn

from genzoo import seeds
from genzoo.errors import ConfigError, counted
from genzoo.objective import Objective, Step
from genzoo.training.accelerating import autocast, from_main
from genzoo.training.batches import batches
from genzoo.training.config import TrainerConfig
from genzoo.training.ema import Average
from genzoo.training.inputs import Inputs
from genzoo.training.plan import Plan
from genzoo.training.session import Session
from genzoo.training.sharding import units
from genzoo.training.sharding.networks import Sharding
from genzoo.training.sharding.reading import read_while
from genzoo.training.sharding.tensors import mesh_of
from genzoo.training.sharding.units import Choice, choose, count, networks_of
from genzoo.training.sharding.wrapping import ShardedNetwork, Way
from genzoo.values import trusted

logger = logging.getLogger("genzoo")


def shard(
    plan: Plan, session: Session, number: int, objective: Objective, average: Average | None
) -> Sharding:
    """Shard the networks of a stage as its config says; before optimisers are made.

    Arguments:
        plan: What is trained.
        session: The session.
        number: The number of the stage.
        objective: Its objective.
        average: The average of the model, which is sharded alike.
    """
    config, num = plan.configs[number], session.accelerator.num_processes
    choice, keeps = _agreed_choice(plan, session, number, objective)
    for name, why in choice.refused.items():
        logger.info("%s is not sharded: %s.", name, why)
    if not choice.networks:
        return Sharding()
    way = Way(mesh_of(session.device.type), config.mixed_precision, config.cpu_offload, keeps)
    places = {id(module): name for name, module in plan.model.named_modules()}
    trained, averaged = [], []
    for name, names in choice.networks.items():
        blocks = [objective.get_submodule(block) for block in names]
        network, found = blocks[-1], [places.get(id(block)) for block in blocks]
        logger.info(
            "%s is sharded over %d processes: %s parameters, in %s.",
            *(name, num, f"{count(network):,}", counted(len(blocks), "block")),
        )
        copies: list[nn.Module] = []
        if average is not None and None not in found:
            copies = [average.model.get_submodule(place) for place in found]
        trained.append(ShardedNetwork(network, blocks, way))
        if copies:
            averaged.append(ShardedNetwork(copies[-1], copies, way))
    return Sharding(trained, averaged)


def check(plan: Plan, session: Session, first: int, objectives: Sequence[Objective]) -> None:
    """Check, before training, that there is something to shard.

    Arguments:
        plan: What is trained.
        session: The session.
        first: The number of the first stage that is trained.
        objectives: The objectives of all stages.

    Raises:
        ConfigError: A number of parameters is given, and no stage has a network of that size, or
            those of the first stage cannot be sharded.
    """
    config = plan.configs[first]
    if config.shard == "none":
        return
    if session.accelerator.num_processes == 1:
        logger.info("shard %s: nothing is sharded in one process.", config.shard)
        return
    sizes = [
        {name: count(network) for name, network in networks_of(objective).items()}
        for objective in objectives
    ]
    least = _least(config)
    if max(sizes[first].values(), default=0) >= least:
        with plan.only_part(first):
            choice, _ = _agreed_choice(plan, session, first, objectives[first])
        _demand_any(config, choice)
    every = {name: size for stage in sizes for name, size in stage.items()}
    largest = max(every, key=lambda name: every[name], default=None)
    if config.shard != "auto" and (largest is None or every[largest] < least):
        has = f"the largest, {largest}, has {every[largest]:,}" if largest else "it has none"
        raise ConfigError(
            f"shard {config.shard}: the model has no network of that size ({has}). Give a "
            "smaller number, or leave shard out."
        )


def _least(config: TrainerConfig) -> int:
    return config.shard if isinstance(config.shard, int) else units.AUTO


def _agreed_choice(
    plan: Plan, session: Session, number: int, objective: Objective
) -> tuple[Choice, bool]:
    """Return what is sharded, and whether the losses take second derivatives."""
    least = _least(plan.configs[number])
    if not any(count(network) >= least for network in networks_of(objective).values()):
        return Choice(), False
    # One process decides for all: what is read may depend on the rows.
    return from_main(session.accelerator, lambda: _choice(plan, session, number, objective, least))


def _choice(
    plan: Plan, session: Session, number: int, objective: Objective, least: int
) -> tuple[Choice, bool]:
    # The copy shares the numbers of parameters; its buffers are its own.
    shared = {id(p): _alias(p) for p in objective.parameters()}
    watched: Objective = copy.deepcopy(objective, shared)
    readings = read_while(watched, lambda: _play(plan, session, number, watched))
    return choose(watched, readings, least), readings.takes_second_derivatives


def _play(plan: Plan, session: Session, number: int, objective: Objective) -> None:
    """Compute all losses of the first update's first micro-batch."""
    config = plan.configs[number]
    seed = seeds.derive_seed(config.seed, number)
    partition = session.partition(config)
    rows = next(batches(plan.rows, partition, seed=seed, first=0, last=1))
    inputs, slots = Inputs(plan.stages[number], plan.model), partition.slots()
    on_device = [plan.to_device(batch, session.device) for batch in rows]
    batch = inputs.feed(on_device, slots, seed, 0)[0]
    generator = torch.Generator(session.device).manual_seed(seed)
    seeds.seed_defaults(seed, session.device)
    game = objective.losses(batch, Step(0, config.max_steps or 1, slots[0], generator))
    with trusted():
        while True:
            with autocast(session.accelerator):
                if next(game, None) is None:
                    return


def _demand_any(config: TrainerConfig, choice: Choice) -> None:
    """Raise ConfigError if a number of parameters is given and no such network can be sharded."""
    if choice.networks or config.shard == "auto":
        return
    why = "; ".join(f"{name}: {reason}" for name, reason in choice.refused.items())
    raise ConfigError(
        f"shard {config.shard}: no network of at least that many parameters can be sharded "
        f"({why}). Leave shard out."
    )


def _alias(parameter: nn.Parameter) -> nn.Parameter:
    """Return another parameter with the same storage."""
    return nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad)
