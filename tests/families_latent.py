"""The toys that start from noise and labels: a VAE, and a diffusion model."""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal, kl_divergence

from families_common import LabelledConfig, None_, learned_by, rows, sampled_by
from genzoo import Label, Real, Unit, register
from genzoo.conditions import drop_conditions, null_conditions
from genzoo.plugin import Bounds, GenerativeModel, Loss, Objective, Sampler

# VAE, on labels: randomness from torch.distributions, annealing by the clock.


@register("models", "toy-vae")
class VAE(GenerativeModel):
    Config = LabelledConfig
    event_spaces = (Unit, Real)
    condition_spaces = (Label,)
    needs = ("label",)

    def __init__(self, config):
        super().__init__(config)
        size, width = config.event.shape[0], config.width
        self.encoder = nn.Sequential(nn.Linear(size, width), nn.Dropout(0.2), nn.Linear(width, 4))
        self.decoder = nn.Linear(2 + self.conditions["label"].num_classes, size)

    @classmethod
    def example(cls):
        batch = {"x": rows(8, 4), "label": torch.arange(8) % 3}
        return LabelledConfig(event=Unit(shape=(4,))), batch

    default_stages = learned_by("toy-elbo")

    def posterior(self, x):
        mean, raw = self.encoder(x).chunk(2, dim=1)
        return Normal(mean, F.softplus(raw) + 1e-3)

    def decode(self, z, *, condition=None):
        z, given = self.checked_codes(z, (2,)), self.checked_condition(condition, len(z))
        one_hot = self.conditions["label"].vectors(given["label"]).to(z)
        return self.decoder(torch.cat([z, one_hot], dim=1))

    default_sampler = sampled_by("toy-latent")


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
        mean = self.model.decode(q.rsample(), condition=self.model.conditions_of(batch))
        kl = kl_divergence(q, Normal(torch.zeros(2), torch.ones(2))).sum(1).mean()
        error = ((mean - batch["x"]) ** 2).sum(1).mean()
        weight = min(1.0, step.index / max(1, step.total))
        yield Loss(error + weight * kl, metrics={"kl": kl.detach()})


# Diffusion on labels: a schedule that is rebuilt, a wrapper that guides, nesting of a model.


@dataclass(frozen=True, kw_only=True)
class DroppingConfig(LabelledConfig):
    """A toy that learns with and without labels."""

    condition_dropout: Annotated[float, Bounds(0.0, 1.0)] = 0.1


@register("models", "toy-diffusion")
class Diffusion(GenerativeModel):
    Config = DroppingConfig
    event_spaces = (Real,)
    condition_spaces = (Label,)
    needs = ("label",)

    def __init__(self, config):
        super().__init__(config)
        size = config.event.shape[0]
        self.num_classes = self.conditions["label"].num_classes
        self.net = nn.Linear(size + 1 + self.num_classes + 1, size)
        self.register_buffer("alpha_bar", torch.linspace(0.99, 0.05, 10), persistent=False)

    @classmethod
    def example(cls):
        batch = {"x": rows(8, 4) - 0.5, "label": torch.arange(8) % 3}
        return DroppingConfig(event=Real(shape=(4,))), batch

    default_stages = learned_by("toy-denoising")

    def epsilon(self, x_t, t, condition):
        label = condition["label"]
        known = label.where(label >= 0, self.num_classes)  # A class more for no label.
        one_hot = F.one_hot(known, self.num_classes + 1).to(x_t)
        return self.net(torch.cat([x_t, self.alpha_bar[t][:, None], one_hot], dim=1))

    default_sampler = sampled_by("toy-denoise")


class Guided:
    """ε_∅ + s(ε_c − ε_∅): guidance wraps the model."""

    def __init__(self, model, scale):
        self.model, self.scale = model, scale

    def epsilon(self, x_t, t, condition):
        nothing = self.model.epsilon(x_t, t, null_conditions(self.model, len(x_t)))
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
        x, model = batch["x"], self.model
        t = torch.randint(10, (len(x),), generator=step.generator)
        noise = torch.randn_like(x, generator=step.generator)
        share = model.config.condition_dropout
        given = drop_conditions(
            model.conditions_of(batch), model.conditions, step.generator, together=share
        )
        a = model.alpha_bar[t][:, None]
        found = model.epsilon(a.sqrt() * x + (1 - a).sqrt() * noise, t, given)
        yield Loss(((found - noise) ** 2).sum(1).mean())
