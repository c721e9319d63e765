"""Flows of Gaussian data, whose velocity is known."""

import torch
from torch import nn

from genzoo import Real
from genzoo_diffusion.rectified_flow import RectifiedFlow, RectifiedFlowConfig

MEAN, VARIANCE = 1.0, 0.25


class BestVelocity(nn.Module):
    """E[ε − x_0 | x_t] of data N(μ, s²): the regression of ε − x_0 on x_t = (1 − t) x_0 + t ε."""

    def __init__(self, mean=MEAN, variance=VARIANCE):
        super().__init__()
        self.mean, self.variance = mean, variance
        self.unused = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x_t, t, signal):
        t = (t / 1000).view(-1, *[1] * (x_t.ndim - 1))
        slope, level = velocity(t, self.mean, self.variance)
        return slope * x_t + level


def velocity(t, mean=MEAN, variance=VARIANCE):
    """The slope and the level of the affine map x_t ↦ E[ε − x_0 | x_t]."""
    slope = (t - (1 - t) * variance) / ((1 - t) ** 2 * variance + t**2)
    return slope, -mean - slope * (1 - t) * mean


def gaussian_flow(shape=(1,), mean=MEAN, variance=VARIANCE, **config):
    given = {"event": Real(shape=shape), "hidden_dim": 2, "num_blocks": 1, **config}
    model = RectifiedFlow(RectifiedFlowConfig(**given)).double()
    model.network = BestVelocity(mean, variance)
    return model


class JointVelocity(nn.Module):
    """E[ε − x_0 | x_t] of data N(0, Σ): (s I − a Σ) (a² Σ + s² I)⁻¹ x_t."""

    def __init__(self, covariance):
        super().__init__()
        self.covariance, self.calls = covariance, 0
        self.unused = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x_t, t, signal):
        self.calls += 1
        s, eye = t[0] / 1000, torch.eye(x_t.shape[1], dtype=x_t.dtype)
        a = 1 - s
        total = a**2 * self.covariance + s**2 * eye
        return torch.linalg.solve(total, (s * eye - a * self.covariance) @ x_t.T).T


def joint_flow(covariance):
    covariance = torch.as_tensor(covariance, dtype=torch.float64)
    shape = {"event": Real(shape=(len(covariance),)), "hidden_dim": 2, "num_blocks": 1}
    model = RectifiedFlow(RectifiedFlowConfig(**shape)).double()
    model.network = JointVelocity(covariance)
    return model
