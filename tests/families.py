"""A tiny model of every family of the design's table, through the public names alone.

They are here to show that the core needs no change for any of them, and to be trained, stopped,
resumed, saved and sampled by the tests. They are registered for this session only.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from genzoo import (
    Bounds,
    Config,
    GenerativeModel,
    Loss,
    Objective,
    OptimizerSpec,
    Sampler,
    Stage,
    create_model,
    register,
)

Shape = Annotated[tuple[Annotated[int, Bounds(1, 4096)], ...], Bounds(1, 4)]
Width = Annotated[int, Bounds(1, 4096)]


@dataclass(frozen=True, kw_only=True)
class None_(Config):
    """Nothing to choose."""


def stage(name, **config):
    return (Stage.from_dict({"objective": {"name": name, "config": config}}),)


def rows(*shape, seed=0, binary=False):
    x = torch.rand(*shape, generator=torch.Generator().manual_seed(seed))
    return x.round() if binary else x


@dataclass(frozen=True, kw_only=True)
class ToyConfig(Config):
    """A toy."""

    event_shape: Shape
    width: Width = 5


# Autoregressive: a mask that is rebuilt, one state per dimension.


@register("models", "toy-autoregressive")
class Autoregressive(GenerativeModel):
    Config = ToyConfig
    kind = frozenset({"binary"})

    def __init__(self, config):
        super().__init__(config)
        size = config.event_shape[0]
        self.logits = nn.Linear(size, size)
        self.register_buffer("mask", torch.ones(size, size).tril(-1), persistent=False)

    @classmethod
    def example(cls):
        return ToyConfig(event_shape=(4,)), {"x": rows(8, 4, binary=True)}

    @classmethod
    def default_stages(cls):
        return stage("toy-nll")

    def conditionals(self, x):
        return Bernoulli(logits=F.linear(x, self.logits.weight * self.mask, self.logits.bias))

    def sampler(self):
        return Ancestral()


@register("samplers", "toy-ancestral")
class Ancestral(Sampler):
    Config = None_

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        x = torch.zeros(num, *model.event_shape, dtype=model.dtype)
        for i in range(x.shape[1]):
            u = torch.rand(num, generator=generator)
            x[:, i] = (u < model.conditionals(x).probs[:, i]).to(x)
            yield x.clone()


@register("objectives", "toy-nll")
class NegativeLogLikelihood(Objective):
    Config = None_
    requires = (Autoregressive,)

    def losses(self, batch, step):
        x = batch["x"]
        yield Loss(-self.model.conditionals(x).log_prob(x).sum(1).mean())


# VAE, on labels: randomness from torch.distributions, annealing by the clock.


@dataclass(frozen=True, kw_only=True)
class LabelledConfig(ToyConfig):
    """A toy with labels."""

    num_classes: Annotated[int, Bounds(1, 1000)] = 3


@register("models", "toy-vae")
class VAE(GenerativeModel):
    Config = LabelledConfig
    kind = frozenset({"unit", "real"})
    condition_kind = "label"

    def __init__(self, config):
        super().__init__(config)
        size, width = config.event_shape[0], config.width
        self.encoder = nn.Sequential(nn.Linear(size, width), nn.Dropout(0.2), nn.Linear(width, 4))
        self.decoder = nn.Linear(2 + config.num_classes, size)

    @classmethod
    def example(cls):
        batch = {"x": rows(8, 4), "label": torch.arange(8) % 3}
        return LabelledConfig(event_shape=(4,)), batch

    @classmethod
    def default_stages(cls):
        return stage("toy-elbo")

    def posterior(self, x):
        mean, raw = self.encoder(x).chunk(2, dim=1)
        return Normal(mean, F.softplus(raw) + 1e-3)

    def decode(self, z, *, condition=None):
        one_hot = F.one_hot(condition, self.config.num_classes).to(z)
        return self.decoder(torch.cat([z, one_hot], dim=1))

    def sampler(self):
        return Latent()


@register("samplers", "toy-latent")
class Latent(Sampler):
    Config = None_

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        z = torch.randn(num, 2, generator=generator, device=model.device, dtype=model.dtype)
        yield model.decode(z, condition=condition)


@register("objectives", "toy-elbo")
class Elbo(Objective):
    Config = None_
    requires = (VAE,)

    def losses(self, batch, step):
        q = self.model.posterior(batch["x"])
        mean = self.model.decode(q.rsample(), condition=batch["label"])
        kl = kl_divergence(q, Normal(torch.zeros(2), torch.ones(2))).sum(1).mean()
        error = ((mean - batch["x"]) ** 2).sum(1).mean()
        weight = min(1.0, step.index / max(1, step.total))
        yield Loss(error + weight * kl, metrics={"kl": kl.detach()})


# GAN: two players, the critic owned by the objective, BatchNorm in the generator.


@register("models", "toy-gan")
class GAN(GenerativeModel):
    Config = ToyConfig
    kind = frozenset({"real"})

    def __init__(self, config):
        super().__init__(config)
        width = config.width
        self.generator = nn.Sequential(
            nn.Linear(2, width), nn.BatchNorm1d(width), nn.Linear(width, config.event_shape[0])
        )

    @classmethod
    def example(cls):
        return ToyConfig(event_shape=(4,)), {"x": rows(8, 4) + 2}

    @classmethod
    def default_stages(cls):
        return stage("toy-game")

    def decode(self, z, *, condition=None):
        return self.generator(z)

    def sampler(self):
        return Latent()


@dataclass(frozen=True, kw_only=True)
class GameConfig(Config):
    """A game."""

    critic_steps: Annotated[int, Bounds(1, 100)] = 2


@register("objectives", "toy-game")
class Game(Objective):
    Config = GameConfig
    requires = (GAN,)

    def __init__(self, model, config=None):
        super().__init__(model, config)
        self.critic = nn.Linear(model.event_shape[0], 1)

    def players(self):
        return {
            "generator": list(self.model.parameters()),
            "critic": list(self.critic.parameters()),
        }

    def optimizers(self):
        return {
            "generator": OptimizerSpec(lr=1e-3, betas=(0.5, 0.9)),
            "critic": OptimizerSpec(name="rmsprop", lr=1e-2),
        }

    def losses(self, batch, step):
        x = batch["x"]
        for _ in range(self.config.critic_steps):
            fake = self._fake(len(x), step).detach()
            loss = F.softplus(-self.critic(x)).mean() + F.softplus(self.critic(fake)).mean()
            yield Loss(loss, player="critic")
        yield Loss(F.softplus(-self.critic(self._fake(len(x), step))).mean(), player="generator")

    def _fake(self, num, step):
        return self.model.decode(
            torch.randn(num, 2, generator=step.generator, dtype=self.model.dtype)
        )


# CycleGAN: two domains, an image condition, a pool that belongs to the process.


@register("models", "toy-cycle")
class Cycle(GenerativeModel):
    Config = ToyConfig
    kind = frozenset({"unit"})
    condition_kind = "image"

    def __init__(self, config):
        super().__init__(config)
        self.to_y = nn.Conv2d(1, 1, 1)
        self.to_x = nn.Conv2d(1, 1, 1)

    @classmethod
    def example(cls):
        batch = {"x": rows(8, 1, 4, 4), "y": 1 - rows(8, 1, 4, 4, seed=1)}
        return ToyConfig(event_shape=(1, 4, 4)), batch

    @classmethod
    def default_stages(cls):
        return stage("toy-cycle")

    def translate(self, x, *, to):
        return self.to_y(x) if to == "y" else self.to_x(x)

    def sampler(self):
        return Translated()


@register("samplers", "toy-translated")
class Translated(Sampler):
    Config = None_

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        noise = torch.randn(condition.shape, generator=generator, dtype=model.dtype)
        yield model.translate(condition + 0.1 * noise, to="x")


@register("objectives", "toy-cycle")
class CycleLoss(Objective):
    Config = None_
    requires = (Cycle,)

    def __init__(self, model, config=None):
        super().__init__(model, config)
        self.critic = nn.Conv2d(1, 1, 4)

    def players(self):
        return {
            "translators": list(self.model.parameters()),
            "critics": list(self.critic.parameters()),
        }

    def losses(self, batch, step):
        x, y = batch["x"], batch["y"]
        fake = self.model.translate(x, to="y")
        back = self.model.translate(fake, to="x")
        other = self.model.translate(self.model.translate(y, to="x"), to="y")
        cycle = (back - x).abs().mean() + (other - y).abs().mean()
        yield Loss(cycle + ((self.critic(fake) - 1) ** 2).mean(), player="translators")
        pooled = self._pool(fake.detach(), step)
        loss = ((self.critic(y) - 1) ** 2).mean() + (self.critic(pooled) ** 2).mean()
        yield Loss(loss, player="critics")

    def _pool(self, fake, step):
        name = f"pool_{step.slot}"
        kept = self.process_state().get(name)
        self.set_process_buffer(name, fake)
        return fake if kept is None or kept.shape != fake.shape else kept


# Diffusion on labels: a schedule that is rebuilt, a wrapper that guides, nesting of a model.


@register("models", "toy-diffusion")
class Diffusion(GenerativeModel):
    Config = LabelledConfig
    kind = frozenset({"real"})
    condition_kind = "label"

    def __init__(self, config):
        super().__init__(config)
        size = config.event_shape[0]
        self.net = nn.Linear(size + 1 + config.num_classes + 1, size)
        self.register_buffer("alpha_bar", torch.linspace(0.99, 0.05, 10), persistent=False)

    @classmethod
    def example(cls):
        batch = {"x": rows(8, 4) - 0.5, "label": torch.arange(8) % 3}
        return LabelledConfig(event_shape=(4,)), batch

    @classmethod
    def default_stages(cls):
        return stage("toy-denoising")

    def epsilon(self, x_t, t, condition):
        one_hot = F.one_hot(condition, self.config.num_classes + 1).to(x_t)
        return self.net(torch.cat([x_t, self.alpha_bar[t][:, None], one_hot], dim=1))

    def sampler(self):
        return Denoise()


class Guided:
    """ε_∅ + s(ε_c − ε_∅): guidance wraps the model."""

    def __init__(self, model, scale):
        self.model, self.scale = model, scale

    def epsilon(self, x_t, t, condition):
        null = torch.full_like(condition, self.model.config.num_classes)
        nothing = self.model.epsilon(x_t, t, null)
        return nothing + self.scale * (self.model.epsilon(x_t, t, condition) - nothing)


@register("samplers", "toy-denoise")
class Denoise(Sampler):
    Config = None_

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        guided = Guided(model, 2.0)
        x = torch.randn(num, *model.event_shape, generator=generator, dtype=model.dtype)
        for i in reversed(range(10)):
            t = torch.full((num,), i)
            a = model.alpha_bar[i]
            x_0 = (x - (1 - a).sqrt() * guided.epsilon(x, t, condition)) / a.sqrt()
            noise = torch.randn_like(x, generator=generator)
            b = model.alpha_bar[i - 1] if i else torch.ones(())
            x = b.sqrt() * x_0 + (1 - b).sqrt() * noise
            yield x


@register("objectives", "toy-denoising")
class Denoising(Objective):
    Config = None_
    requires = (Diffusion,)

    def losses(self, batch, step):
        x, label = batch["x"], batch["label"]
        t = torch.randint(10, (len(x),), generator=step.generator)
        noise = torch.randn_like(x, generator=step.generator)
        dropped = torch.rand(len(x), generator=step.generator) < 0.1
        label = torch.where(dropped, torch.full_like(label, self.model.config.num_classes), label)
        a = self.model.alpha_bar[t][:, None]
        found = self.model.epsilon(a.sqrt() * x + (1 - a).sqrt() * noise, t, label)
        yield Loss(((found - noise) ** 2).sum(1).mean())


# A deep belief net: two stages that train one layer each; tied weights.


@register("models", "toy-belief-net")
class BeliefNet(GenerativeModel):
    Config = ToyConfig
    kind = frozenset({"unit"})

    def __init__(self, config):
        super().__init__(config)
        size, width = config.event_shape[0], config.width
        self.layers = nn.ModuleList([nn.Linear(size, width), nn.Linear(width, width)])
        self.up = nn.Linear(size, width)
        self.up.weight = self.layers[0].weight

    @classmethod
    def example(cls):
        return ToyConfig(event_shape=(4,)), {"x": rows(8, 4)}

    @classmethod
    def default_stages(cls):
        made = [
            {"objective": {"name": "toy-layer", "config": {"depth": d}}, "part": f"layers.{d}"}
            for d in range(2)
        ]
        return tuple(Stage.from_dict(values) for values in made)

    def sampler(self):
        return Noise()


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
    kind = frozenset({"real", "unit"})

    def __init__(self, config):
        super().__init__(config)
        self.net = nn.Linear(config.event_shape[0], config.event_shape[0])

    @classmethod
    def example(cls):
        return ToyConfig(event_shape=(3,)), {"x": rows(8, 3)}

    @classmethod
    def default_stages(cls):
        return stage("toy-least-squares")

    def sampler(self):
        return Fixed()


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
        return create_model("toy-linear", event_shape=(size,))
