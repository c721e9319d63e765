"""Functions of the values of K draws: their mean, and the importance-weighted bound."""

from __future__ import annotations

import abc
import math

import torch
from torch import Tensor


class Aggregate(abc.ABC):
    """Abstract base class: F(f_1, …, f_K) of the values f (K, B) of K draws."""

    @abc.abstractmethod
    def value(self, f: Tensor) -> Tensor:
        """Return F, (B,)."""

    @abc.abstractmethod
    def path_weights(self, f: Tensor) -> Tensor:
        """Return by what DReG multiplies ∂F/∂z_k, (K, B); see `DoublyReparameterised`."""

    @abc.abstractmethod
    def signals(self, f: Tensor) -> Tensor:
        """Return the part of F that depends on each draw, (K, B): what its probability earns."""

    @abc.abstractmethod
    def leave_one_out(self, f: Tensor) -> Tensor:
        """Return what F would be without each draw, as a baseline of its signal, (K, B)."""


class Mean(Aggregate):
    """F = (1/K) Σ f_k: of log-weights, the evidence lower bound."""

    def value(self, f: Tensor) -> Tensor:
        """Return the mean."""
        return f[0] if len(f) == 1 else f.mean(0)

    def path_weights(self, f: Tensor) -> Tensor:
        """Return 1."""
        return torch.ones_like(f)

    def signals(self, f: Tensor) -> Tensor:
        """Return f_k / K: a draw does not change the terms of the others."""
        return f / len(f)

    def leave_one_out(self, f: Tensor) -> Tensor:
        """Return (1/K) mean of the other values (RLOO).

        | Buy 4 REINFORCE Samples, Get a Baseline for Free! (Kool, van Hoof, Welling, 2019)
        """
        return (f.sum(0) - f) / (len(f) - 1) / len(f)


class LogMeanExp(Aggregate):
    """F = log (1/K) Σ exp f_k: of log-weights, the importance-weighted bound L_K.

    | Importance Weighted Autoencoders (Burda, Grosse, Salakhutdinov, 2016)
    """

    def value(self, f: Tensor) -> Tensor:
        """Return log (1/K) Σ exp f_k."""
        return f.logsumexp(0) - math.log(len(f))

    def path_weights(self, f: Tensor) -> Tensor:
        """Return the normalised weights w̃_k = exp f_k / Σ exp f_j."""
        return f.softmax(0)

    def signals(self, f: Tensor) -> Tensor:
        """Return F for each draw, as each changes the whole sum."""
        return self.value(f).expand_as(f)

    def leave_one_out(self, f: Tensor) -> Tensor:
        """Return F with f_k replaced by the mean of the other values (VIMCO).

        | Variational Inference for Monte Carlo Objectives (Mnih, Rezende, 2016)
        """
        num = len(f)
        others = (f.sum(0) - f) / (num - 1)
        # Row k has f_1, …, f_K with the mean of the others in place k.
        eye = torch.eye(num, dtype=torch.bool, device=f.device)[..., None]
        replaced = torch.where(eye, others[:, None], f[None])
        return replaced.logsumexp(1) - math.log(num)
