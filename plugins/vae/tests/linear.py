"""The linear VAE, whose likelihood is that of probabilistic principal component analysis.

| Probabilistic Principal Component Analysis (Tipping, Bishop, 1999)
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from genzoo import Real, load_dataset
from genzoo_vae.vae import VAE, VAEConfig


@dataclass(frozen=True)
class PPCA:
    """The maximum-likelihood solution for rows (N, D): x ~ N(mean, W Wᵀ + variance I)."""

    mean: Tensor
    W: Tensor
    variance: Tensor

    @classmethod
    def fit(cls, x, latent_dim):
        mean = x.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(x.T, correction=0))
        values, vectors = values.flip(0), vectors.flip(1)
        variance = values[latent_dim:].mean()
        W = vectors[:, :latent_dim] * (values[:latent_dim] - variance).sqrt()
        return cls(mean, W, variance)

    def log_prob(self, x):
        covariance = self.W @ self.W.T + self.variance * torch.eye(len(self.W)).to(self.W)
        return MultivariateNormal(self.mean, covariance).log_prob(x)

    def vae(self):
        """The same model as a VAE whose encoder is the exact posterior.

        M = WᵀW + σ²I is diagonal here, so q(z | x) = N(M⁻¹Wᵀ(x − mean), σ²M⁻¹) factorises.
        """
        size, latent = self.W.shape
        model = linear_vae(size, latent)
        M = self.W.T @ self.W + self.variance * torch.eye(latent).to(self.W)
        A = torch.linalg.solve(M, self.W.T)
        with torch.no_grad():
            model.encoder.output.weight.copy_(torch.cat([A, torch.zeros_like(A)]))
            log_variance = (self.variance / M.diagonal()).log()
            model.encoder.output.bias.copy_(torch.cat([-A @ self.mean, log_variance]))
            model.decoder.output.weight.copy_(self.W)
            model.decoder.start_from(self.mean)
            model.observation.log_scale.copy_(0.5 * self.variance.log())
        return model


def linear_vae(size, latent_dim):
    torch.manual_seed(0)
    return VAE(
        VAEConfig(event=Real(shape=(size,)), latent_dim=latent_dim, hidden_dims=())
    ).double()


def digits(split):
    data = load_dataset("digits", split)
    return data.head(len(data))["x"].flatten(1).double()


def sigma_points(latent_dim, rows):
    """Noise (2L, B, L) whose mean is 0 and covariance I: quadratics are averaged exactly."""
    points = latent_dim**0.5 * torch.cat([torch.eye(latent_dim), -torch.eye(latent_dim)]).double()
    return points[:, None].expand(-1, rows, -1)
