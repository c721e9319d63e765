"""A deep belief net of two Boltzmann machines of the zoo: codes of the first feed the second."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from families_common import None_, Width, rows, sampled_by
from genzoo import (
    Binary,
    Component,
    Stage,
    Trainer,
    TrainerConfig,
    create_model,
    register,
    registry,
)
from genzoo.plugin import (
    Bounds,
    Config,
    GenerativeModel,
    Loss,
    ModelSpec,
    Objective,
    Sampler,
    Space,
)
from genzoo.sampler import bernoulli, last_of


@dataclass(frozen=True, kw_only=True)
class StackConfig(Config):
    """Two machines."""

    event: Space
    hidden: Annotated[tuple[Width, ...], Bounds(2, 2)] = (5, 3)


def machine(event, num_hidden):
    config = {"event": event.to_dict(), "num_hidden": num_hidden}
    return ModelSpec(name="rbm", config=config).build()


@register("models", "toy-stack")
class Stack(GenerativeModel):
    Config = StackConfig
    event_spaces = (Binary,)

    def __init__(self, config):
        super().__init__(config)
        self.first = machine(config.event, config.hidden[0])
        self.second = machine(self.first.codes, config.hidden[1])

    @classmethod
    def example(cls):
        return StackConfig(event=Binary(shape=(4,))), {"x": rows(8, 4, binary=True)}

    @classmethod
    def default_stages(cls, config):
        pcd = Component(name="pcd", config={"num_chains": 4})
        trainer = {"max_steps": 6, "batch_size": 4}
        return (
            Stage(objective=pcd, model="first", trainer=trainer),
            Stage(objective=pcd, model="second", inputs=("first",), trainer=trainer),
        )

    default_sampler = sampled_by("toy-down")


@register("samplers", "toy-down")
class Down(Sampler):
    """Hidden units of the second machine's chains, and what the first one makes of them."""

    Config = None_

    @torch.no_grad()
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        gibbs = registry.make("samplers", Component(name="gibbs", config={"num_steps": 3}))
        states = gibbs.trajectory(model.second, num, condition={}, generator=generator)
        h = last_of(states, "gibbs")
        yield bernoulli(logits=model.first.visible_logits(h), generator=generator)


FIRST, SECOND = Stack.default_stages(None)
X = rows(32, 4, seed=1, binary=True)
GREYS = rows(32, 4, seed=2)
VALUES = {
    "max_steps": 4,
    "batch_size": 8,
    "save_steps": 2,
    "save_total_limit": 9,
    "ema_decay": 0.5,
}


def stack(seed=0):
    torch.manual_seed(seed)
    return create_model("toy-stack", event=Binary(shape=(4,)))


def trained(model, stages=None, folder=None, *, data=X, resume=False, **values):
    config = TrainerConfig(**{"threads": 1, "progress": False, **VALUES, **values})
    return Trainer(model, data, stages, config, output_dir=folder).fit(resume=resume)


class Seen(Objective):
    """Keeps what it is shown; its loss is of the parameters alone."""

    Config = None_
    shown: ClassVar = []

    def losses(self, batch, step):
        Seen.shown.append((step.index, step.slot, batch["x"]))
        yield Loss(sum(p.square().sum() for p in self.model.parameters()))


register("objectives", "toy-seen")(Seen)


def shown(model, inputs, learning="second", **values):
    """Return what an objective is shown of the codes of a model, by update and slot."""
    stage = Stage(objective=Component(name="toy-seen"), model=learning, inputs=inputs)
    Seen.shown.clear()
    trained(model, stage, **values)
    return {(index, slot): x for index, slot, x in Seen.shown}
