"""The toys of two players: a GAN, and a CycleGAN."""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import nn

from families_common import None_, ToyConfig, learned_by, rows, sampled_by
from genzoo import Component, Real, Unit, register
from genzoo.plugin import (
    Bounds,
    ConditionSpaces,
    Config,
    GenerativeModel,
    Loss,
    Objective,
    Sampler,
)

# GAN: two players, the critic owned by the objective, BatchNorm in the generator.


@register("models", "toy-gan")
class GAN(GenerativeModel):
    Config = ToyConfig
    event_spaces = (Real,)

    def __init__(self, config):
        super().__init__(config)
        width = config.width
        self.generator = nn.Sequential(
            nn.Linear(2, width), nn.BatchNorm1d(width), nn.Linear(width, config.event.shape[0])
        )

    @classmethod
    def example(cls):
        return ToyConfig(event=Real(shape=(4,))), {"x": rows(8, 4) + 2}

    default_stages = learned_by("toy-game")

    def decode(self, z, *, condition=None):
        self.checked_condition(condition, len(z))
        return self.generator(self.checked_codes(z, (2,)))

    default_sampler = sampled_by("toy-latent")


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

    @classmethod
    def optimizers(cls, config):
        return {
            "generator": Component(name="adam", config={"lr": 1e-3, "betas": (0.5, 0.9)}),
            "critic": Component(name="rmsprop", config={"lr": 1e-2}),
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


@dataclass(frozen=True, kw_only=True)
class PairConfig(ToyConfig):
    """A toy of two domains."""

    conditions: ConditionSpaces


@register("models", "toy-cycle")
class Cycle(GenerativeModel):
    Config = PairConfig
    event_spaces = (Unit,)
    condition_spaces = (Unit,)
    needs = ("y",)

    def __init__(self, config):
        super().__init__(config)
        self.to_y = nn.Conv2d(1, 1, 1)
        self.to_x = nn.Conv2d(1, 1, 1)

    @classmethod
    def example(cls):
        batch = {"x": rows(8, 1, 4, 4), "y": 1 - rows(8, 1, 4, 4, seed=1)}
        images = Unit(shape=(1, 4, 4))
        return PairConfig(event=images, conditions={"y": images}), batch

    default_stages = learned_by("toy-cycle")

    def translate(self, x, *, to):
        x = self.checked_rows(x)
        return self.to_y(x) if to == "y" else self.to_x(x)

    default_sampler = sampled_by("toy-translated")


@register("samplers", "toy-translated")
class Translated(Sampler):
    Config = None_

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        y = condition["y"]
        noise = torch.randn(y.shape, generator=generator, dtype=model.dtype)
        yield model.translate((y + 0.1 * noise).clamp(0, 1), to="x")


@register("objectives", "toy-cycle")
class CycleLoss(Objective):
    Config = None_
    requires = (Cycle,)

    def __init__(self, model, config=None):
        super().__init__(model, config)
        self.critic = nn.Conv2d(1, 1, 4)

    @classmethod
    def optimizers(cls, config):
        return dict.fromkeys(("translators", "critics"), Component(name="adam"))

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
