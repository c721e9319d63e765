"""Models that predict EDM's F, from denoisers in closed form."""

import torch
from torch import nn

from genzoo import Real
from genzoo_diffusion.ddpm import DDPM, DDPMConfig

KARRAS = {"prediction_type": "edm", "schedule": "karras"}


class BestF(nn.Module):
    """F of the paper's equations for data N(μ, v): (D(x) − c_skip x) / c_out at x = x_0 + σ ε."""

    def __init__(self, mean, variance, sigma_data):
        super().__init__()
        self.mean, self.variance, self.sigma_data = mean, variance, sigma_data
        self.unused = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, scaled, c_noise, signal):
        sigma = (4 * c_noise.double()).exp().view(-1, *[1] * (scaled.ndim - 1))
        c_skip, c_out, c_in = coefficients(sigma, self.sigma_data)
        x = scaled.double() / c_in
        D = self.mean + self.variance / (self.variance + sigma**2) * (x - self.mean)
        return (D - c_skip * x) / c_out


def coefficients(sigma, sigma_data):
    """c_skip, c_out and c_in, table 1 of the paper."""
    total = sigma**2 + sigma_data**2
    return sigma_data**2 / total, sigma * sigma_data / total**0.5, 1 / total**0.5


def gaussian_edm(mean=1.0, variance=0.25, **config):
    given = {"event": Real(shape=(1,)), "hidden_dim": 2, "num_blocks": 1, **KARRAS, **config}
    model = DDPM(DDPMConfig(**given)).double()
    model.network = BestF(mean, variance, model.config.sigma_data)
    return model


def karras(num, sigma_min=0.002, sigma_max=80.0, rho=7.0):
    """The σ of ``num`` steps, decreasing, without the 0 at the end: equation 5 of the paper."""
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return [(high + i / (num - 1) * (low - high)) ** rho for i in range(num)]
