"""The terms of the bounds on log p(x), for training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from genzoo_vae.vae import VAE


@dataclass(frozen=True)
class Terms:
    """The terms of the bounds, for K codes of each of B examples.

    Arguments:
        reconstruction: log p(x | z), (K, B).
        eps: ε, standard normal noise, (K, B, L).
        z: μ + σ ε, the codes, (K, B, L).
        mean: μ, the mean of q(z | x), (B, L).
        log_variance: log σ², (B, L).
    """

    reconstruction: Tensor
    eps: Tensor
    z: Tensor
    mean: Tensor
    log_variance: Tensor

    # Properties, because each bound needs one of the two only.

    @property
    def log_ratio(self) -> Tensor:
        """The log-ratio log p(z) − log q(z | x), (K, B); the normalising constants cancel."""
        return 0.5 * (self.eps.square() - self.z.square() + self.log_variance).sum(2)

    @property
    def kl(self) -> Tensor:
        """KL(q(z_j | x) ‖ p(z_j)) = ½ (μ² + σ² − 1 − log σ²)_j, (B, L)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)

    @property
    def log_weights(self) -> Tensor:
        """The logarithms of w = p(x, z) / q(z | x), (K, B); their mean is the bound, too."""
        return self.reconstruction + self.log_ratio


def terms(
    model: VAE,
    x: Tensor,
    eps: Tensor,
    y: Tensor | None = None,
    moments: tuple[Tensor, Tensor] | None = None,
) -> Terms:
    """Return the terms at z = μ(x) + σ(x) ε.

    Arguments:
        model: The model.
        x: Examples (B, *event_shape).
        eps: Standard normal noise (K, B, L).
        y: Vectors of the conditions (B, C), if there are any.
        moments: μ(x) and log σ²(x), (B, L) each, if they are known.
    """
    mean, log_variance = moments or model.moments(x, y)
    z = mean + (0.5 * log_variance).exp() * eps
    return Terms(_log_reconstruction(model, x, z, y), eps, z, mean, log_variance)


def _log_reconstruction(model: VAE, x: Tensor, z: Tensor, y: Tensor | None) -> Tensor:
    """Return log p(x | z), (K, B), for codes (K, B, L)."""
    num, rows, latent = z.shape
    y = None if y is None else y.expand(num, *y.shape).flatten(0, 1)
    outputs = model.outputs(z.reshape(-1, latent), y).view(num, rows, *model.event_shape)
    return model.observation.log_prob(outputs, x)
