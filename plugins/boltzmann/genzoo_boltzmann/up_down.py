"""Up-down fine-tuning of a deep belief net."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from genzoo.plugin import (
    Batch,
    Bounds,
    Component,
    Config,
    Goal,
    Loss,
    Meaning,
    Objective,
    Step,
)
from genzoo_boltzmann.belief_bound import log_bernoulli
from genzoo_boltzmann.dbn import DBN
from genzoo_boltzmann.objectives import advanced


@dataclass(frozen=True, kw_only=True)
class UpDownConfig(Config):
    """Up-down fine-tuning."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 0.01
    """The learning rate."""
    momentum: Annotated[float, Bounds(0.0, 1.0)] = 0.0
    """The momentum."""
    weight_decay: Annotated[float, Bounds(0.0, 1e3)] = 0.0
    """The weight decay, for weights and not for biases."""
    centred: bool = True
    """Whether the top machine's gradient is centred."""
    num_steps: Annotated[int, Bounds(1, 10**6)] = 5
    """The number of sweeps of the top machine's chains per update."""


class UpDown(Objective[UpDownConfig]):
    """The up-down algorithm: wake-sleep, with persistent chains in the machine at the top.

    Up: h₁, …, h_{L−1} are drawn from q given the data. They teach the directed layers, −log
    p(h_l | h_{l+1}), and are the data of the top machine. Its chains go on from update to update;
    the first ones start at these draws. Down: each layer below is drawn given the chains, and
    teaches the recognition weights, −log q(h_{l+1} | h_l).

    The first two are the gradient of the variational bound with respect to the generative weights.
    The last one is that of KL(p(h | v) ‖ q(h | v)) over v of the model, and not that of the bound.

    Hinton, Osindero and Teh start the chains at the up-draws of every batch; then the top machine
    learns by contrastive divergence.

    | A Fast Learning Algorithm for Deep Belief Nets (Hinton, Osindero, Teh, 2006)
    """

    Config = UpDownConfig
    requires = (DBN,)
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "loss": Meaning(
            "sum of wake, top and sleep: not a likelihood",
            unit="nats",
            goal=Goal("none"),
            healthy="it falls a little and is noisy",
        ),
        "wake": Meaning(
            "−log probability of each layer given the one above it, drawn from the data up",
            unit="nats",
            goal=Goal("lower"),
            healthy="it falls a little",
        ),
        "top": Meaning(
            "free energy of the data's codes minus that of the top machine's chains",
            unit="nats",
            goal=Goal("none"),
            healthy="it is noisy around 0; if its size grows steadily, the chains do not mix",
        ),
        "sleep": Meaning(
            "−log probability of each layer given the one below it, drawn from the model down",
            unit="nats",
            goal=Goal("lower"),
            healthy="it falls a little",
        ),
    }
    model: DBN
    _untied: bool | None = None

    @classmethod
    def optimizers(cls, config: UpDownConfig) -> Mapping[str, Component]:
        """Return stochastic gradient descent with the config's values."""
        values = {
            "lr": config.lr,
            "momentum": config.momentum,
            "weight_decay": config.weight_decay,
        }
        return {"model": Component(name="sgd", config=values)}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the sum of the three losses."""
        model, generator = self.model, step.generator
        if self._untied is None:
            self._untied = bool(model.untied)  # Once, because a read waits for the device.
        with torch.no_grad():
            v = batch["x"].flatten(1).to(model.device, model.dtype)
            up = model.draw_up(v, generator, untied=self._untied)
            chain = advanced(self, model.top, lambda: up[-1], self.config.num_steps, step)
            down = model.draw_down(chain, generator)
        yield self.loss(up, down, logged=step.logged)

    def loss(self, up: list[Tensor], down: list[Tensor], *, logged: bool = True) -> Loss:
        """Return the loss of layers drawn from the data up and from the model down.

        Arguments:
            up: v, h₁, …, h_{L−1}, each (B, D_l).
            down: The same of the model.
            logged: Whether the metrics are looked at.
        """
        model = self.model
        wake, sleep = torch.zeros_like(model.top.c[0]), torch.zeros_like(model.top.c[0])
        for level, rbm in enumerate(model.machines[:-1]):
            below, above = rbm.visible_logits(up[level + 1]), down[level + 1]
            wake = wake - log_bernoulli(up[level], below).mean()
            q = model.recognition_logits(level, down[level], untied=self._untied)
            sleep = sleep - log_bernoulli(above, q).mean()
        data, chain = model.top.phase(up[-1]), model.top.phase(down[-1])
        found = model.top.contrast(data, chain, centred=self.config.centred)
        gradients = {p: g for p, g in found.items() if p.requires_grad}
        # Its gradient is known, so the value is for those who look.
        top = model.top.difference(data, chain) if logged else torch.zeros_like(wake)
        metrics = {"wake": wake.detach(), "top": top, "sleep": sleep.detach()}
        return Loss(wake + top + sleep, metrics=metrics if logged else {}, gradients=gradients)
