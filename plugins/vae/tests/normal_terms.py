"""The terms of the bounds of a VAE with normal codes, at noise that is given."""

from dataclasses import dataclass

from torch import Tensor

from genzoo_vae.posteriors.proposal import Rows


@dataclass(frozen=True)
class Terms:
    """log p(x | z), (K, B), at z = μ + σ ε, (K, B, L), with μ and log σ², (B, L) each."""

    reconstruction: Tensor
    eps: Tensor
    z: Tensor
    mean: Tensor
    log_variance: Tensor

    @property
    def kl(self):
        return 0.5 * (self.mean**2 + self.log_variance.exp() - 1 - self.log_variance)

    @property
    def log_ratio(self):
        """log p(z) − log q(z | x), (K, B): the constants of both normals cancel."""
        return 0.5 * (self.eps**2 - self.z**2 + self.log_variance).sum(2)

    @property
    def log_weights(self):
        return self.reconstruction + self.log_ratio


def terms(model, x, eps, y=None):
    mean, log_variance = model.moments(x, y)
    z = mean + (0.5 * log_variance).exp() * eps
    return Terms(model.log_likelihood(Rows(x, y), z), eps, z, mean, log_variance)
