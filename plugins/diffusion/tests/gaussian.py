"""Gaussian data, whose best denoiser, and with it all that a sampler does, is in closed form."""

from dataclasses import dataclass

import torch
from torch import nn

from genzoo import Real
from genzoo_diffusion.ddpm import DDPM, DDPMConfig
from genzoo_diffusion.parameterization import PARAMETERIZATIONS


class BestDenoiser(nn.Module):
    """E[ε | x_t] = √(1 − ᾱ) (x_t − √ᾱ μ) / (ᾱ s² + 1 − ᾱ) of data N(μ, s²), as any prediction."""

    def __init__(self, schedule, mean, variance, kind):
        super().__init__()
        self.alpha_bar, self.kind = schedule.alpha_bar, PARAMETERIZATIONS[kind]
        self.mean, self.variance = mean, variance
        self.unused = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x_t, t, signal):
        alpha_bar = self.alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
        a, s = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        total = alpha_bar * self.variance + 1 - alpha_bar
        x = x_t.double()
        epsilon = s * (x - a * self.mean) / total
        x_0 = self.mean + a * self.variance / total * (x - a * self.mean)
        return self.kind.target(x_0, epsilon, a, s)


def gaussian_model(mean=1.0, variance=0.25, **config):
    given = {"event": Real(shape=(1,)), "hidden_dim": 2, "num_blocks": 1, **config}
    model = DDPM(DDPMConfig(**given)).double()
    kind = model.config.prediction_type
    model.network = BestDenoiser(model.schedule, mean, variance, kind)
    return model


@dataclass
class Affine:
    """A sampler's result A x_T + Σ n_i z_i + B, from its runs on unit vectors."""

    A: float
    B: float
    n: torch.Tensor

    @property
    def mean(self):
        return self.B

    @property
    def variance(self):
        return self.A**2 + self.n.square().sum().item()


def run_affinely(sampler, model, num_inference_steps):
    """Draw S + 2 samples at once: of x_T = 0, of x_T = 1, and of each noise alone.

    All of the sampler is run, but in place of the model's noise stand unit vectors.
    """
    num, calls = num_inference_steps + 2, []

    def unit(rows, generator):
        calls.append(len(calls))
        noise = torch.zeros(rows, 1, dtype=torch.float64)
        noise[2 + calls[-1]] = 1
        return noise

    start = torch.zeros(num, 1, dtype=torch.float64)
    start[1] = 1
    own, model.standard_normal = model.standard_normal, unit
    with torch.no_grad():
        x = sampler.sample_state(model, num, start=start, generator=torch.Generator())
    model.standard_normal = own
    B = x[0].item()
    return Affine(A=x[1].item() - B, B=B, n=x[2:, 0] - B)


def ddpm_recursion(model, grid, mean, variance, large):
    """Mean and variance after ancestral steps over falling times, no noise at the last."""
    m, v = 0.0, 1.0
    for ab, prev in levels(model, grid):
        beta = 1 - ab / prev
        total = ab * variance + 1 - ab
        slope, level = ab**0.5 * variance / total, mean - ab * variance * mean / total
        of_0 = prev**0.5 * beta / (1 - ab)
        of_t = (1 - beta) ** 0.5 * (1 - prev) / (1 - ab)
        noise = 0.0 if prev == 1 else beta * (1 if large else (1 - prev) / (1 - ab))
        m = (of_0 * slope + of_t) * m + of_0 * level
        v = (of_0 * slope + of_t) ** 2 * v + noise
    return m, v


def ddim_recursion(model, grid, mean, variance, eta):
    """Mean and variance after DDIM's steps over falling times."""
    m, v = 0.0, 1.0
    for ab, prev in levels(model, grid):
        total = ab * variance + 1 - ab
        sigma2 = eta**2 * (1 - prev) / (1 - ab) * (1 - ab / prev)
        eps = (1 - ab) ** 0.5 / total
        x_0 = ab**0.5 * variance / total
        direction = (1 - prev - sigma2) ** 0.5
        slope = prev**0.5 * x_0 + direction * eps
        level = prev**0.5 * (mean - x_0 * ab**0.5 * mean) - direction * eps * ab**0.5 * mean
        m, v = slope * m + level, slope**2 * v + sigma2
    return m, v


def levels(model, grid):
    """Pairs of ᾱ at a time and at the next lower one, 1 at the end."""
    found = [model.schedule.alpha_bar[t].item() for t in grid]
    return list(zip(found, [*found[1:], 1.0], strict=True))
