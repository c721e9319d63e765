"""A tiny model of every family of the design's table, through the public names alone.

They are here to show that the core needs no change for any of them, and to be trained, stopped,
resumed, saved and sampled by the tests. They are registered for this session only.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Bernoulli

from families_common import (
    LabelledConfig,
    None_,
    ToyConfig,
    Width,
    learned_by,
    rows,
    sampled_by,
    stage,
)
from families_games import GAN, Cycle, CycleLoss, Game, GameConfig, Translated
from families_latent import VAE, Denoise, Denoising, Diffusion, Elbo, Guided, Latent
from genzoo import Binary, Real, Stage, Unit, create_model, register
from genzoo.plugin import Bounds, Config, GenerativeModel, Loss, Objective, Sampler
from genzoo.sampler import bernoulli

__all__ = [
    "GAN",
    "VAE",
    "Ancestral",
    "Autoregressive",
    "BeliefNet",
    "Cycle",
    "CycleLoss",
    "Denoise",
    "Denoising",
    "Diffusion",
    "Elbo",
    "Fixed",
    "Game",
    "GameConfig",
    "Guided",
    "LabelledConfig",
    "Latent",
    "LayerConfig",
    "LayerLoss",
    "LeastSquares",
    "Linear",
    "NegativeLogLikelihood",
    "Noise",
    "None_",
    "ToyConfig",
    "Translated",
    "Width",
    "linear",
    "rows",
    "stage",
]


# Autoregressive: a mask that is rebuilt, one state per dimension.


@register("models", "toy-autoregressive")
class Autoregressive(GenerativeModel):
    Config = ToyConfig
    event_spaces = (Binary,)

    def __init__(self, config):
        super().__init__(config)
        size = config.event.shape[0]
        self.logits = nn.Linear(size, size)
        self.register_buffer("mask", torch.ones(size, size).tril(-1), persistent=False)

    @classmethod
    def example(cls):
        return ToyConfig(event=Binary(shape=(4,))), {"x": rows(8, 4, binary=True)}

    default_stages = learned_by("toy-nll")

    def conditionals(self, x):
        logits = F.linear(x, self.logits.weight * self.mask, self.logits.bias)
        return Bernoulli(logits=logits, validate_args=False)

    default_sampler = sampled_by("toy-ancestral")


@register("samplers", "toy-ancestral")
class Ancestral(Sampler):
    Config = None_

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        x = torch.zeros(num, *model.event_shape, dtype=model.dtype)
        for i in range(x.shape[1]):
            logits = model.conditionals(x).logits[:, i]
            x[:, i] = bernoulli(logits=logits, generator=generator)
            yield x.clone()


@register("objectives", "toy-nll")
class NegativeLogLikelihood(Objective):
    Config = None_
    requires = (Autoregressive,)

    def losses(self, batch, step):
        x = batch["x"]
        yield Loss(-self.model.conditionals(x).log_prob(x).sum(1).mean())


# A deep belief net: two stages that train one layer each; tied weights.


@register("models", "toy-belief-net")
class BeliefNet(GenerativeModel):
    Config = ToyConfig
    event_spaces = (Unit,)

    def __init__(self, config):
        super().__init__(config)
        size, width = config.event.shape[0], config.width
        self.layers = nn.ModuleList([nn.Linear(size, width), nn.Linear(width, width)])
        self.up = nn.Linear(size, width)
        self.up.weight = self.layers[0].weight

    @classmethod
    def example(cls):
        return ToyConfig(event=Unit(shape=(4,))), {"x": rows(8, 4)}

    @classmethod
    def default_stages(cls, config):
        made = [
            {"objective": {"name": "toy-layer", "config": {"depth": d}}, "part": f"layers.{d}"}
            for d in range(2)
        ]
        return tuple(Stage.from_dict(values) for values in made)

    default_sampler = sampled_by("toy-noise")


@register("samplers", "toy-noise")
class Noise(Sampler):
    Config = None_

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        h = torch.rand(num, model.config.width, generator=generator, dtype=model.dtype)
        h = torch.sigmoid(model.layers[1](h))
        yield h
        yield torch.sigmoid(h @ model.layers[0].weight)


@dataclass(frozen=True, kw_only=True)
class LayerConfig(Config):
    """Which layer."""

    depth: Annotated[int, Bounds(0, 1)] = 0


@register("objectives", "toy-layer")
class LayerLoss(Objective):
    Config = LayerConfig
    requires = (BeliefNet,)

    def losses(self, batch, step):
        h = batch["x"]
        for layer in self.model.layers[: self.config.depth]:
            h = torch.sigmoid(layer(h)).detach()
        layer = self.model.layers[self.config.depth]
        again = torch.sigmoid(layer(h)) @ layer.weight
        yield Loss(((again - h) ** 2).sum(1).mean())


# A least-squares model whose every update can be written down, for the Trainer's tests.


@register("models", "toy-linear")
class Linear(GenerativeModel):
    Config = ToyConfig
    event_spaces = (Real, Unit)

    def __init__(self, config):
        super().__init__(config)
        self.net = nn.Linear(config.event.shape[0], config.event.shape[0])

    @classmethod
    def example(cls):
        return ToyConfig(event=Unit(shape=(3,))), {"x": rows(8, 3)}

    default_stages = learned_by("toy-least-squares")

    default_sampler = sampled_by("toy-fixed")


@register("samplers", "toy-fixed")
class Fixed(Sampler):
    Config = None_

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield model.net(
            torch.randn(num, *model.event_shape, generator=generator, dtype=model.dtype)
        )


@register("objectives", "toy-least-squares")
class LeastSquares(Objective):
    Config = None_
    requires = (Linear,)

    def losses(self, batch, step):
        yield Loss(((self.model.net(batch["x"]) - 1) ** 2).sum(1).mean())


def linear(seed=0, size=3):
    """Return a seeded `toy-linear`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_model("toy-linear", event=Unit(shape=(size,)))
