"""Codes to visualise: interpolations, traversals along an axis, and a plane."""

from __future__ import annotations

import torch
from torch import Tensor

from genzoo.errors import ConfigError
from genzoo.spaces import Space


def code_vectors(z: Tensor, space: Space) -> Tensor:
    """Return codes (N, ...) as rows of numbers, (N, D): categories as one-hot vectors.

    Arguments:
        z: What ``encode`` returns: codes, or the mean of codes.
        space: The space of codes.
    """
    vectors = None if z.is_floating_point() else space.vectors(z)
    return z.flatten(1) if vectors is None else vectors


def interpolation(z_from: Tensor, z_to: Tensor, num: int) -> Tensor:
    """Return codes (N, num, L) on the straight lines from ``z_from`` to ``z_to``, (N, L) each.

    >>> interpolation(torch.zeros(1, 2), torch.ones(1, 2), 3)[0, :, 0].tolist()
    [0.0, 0.5, 1.0]
    """
    t = torch.linspace(0, 1, num).to(z_from)[None, :, None]
    return torch.lerp(z_from[:, None], z_to[:, None], t.expand(len(z_from), -1, z_from.shape[1]))


def traversal(z: Tensor, num: int, span: float = 3.0) -> Tensor:
    """Return copies of one code (L,) with each value in turn from −span to span, (L, num, L).

    Arguments:
        z: The code.
        num: How many values.
        span: In units of the codes; three standard deviations of a standard normal prior.
    """
    values = torch.linspace(-span, span, num).to(z)
    codes = z.repeat(len(z), num, 1)
    index = torch.arange(len(z))
    codes[index, :, index] = values
    return codes


def manifold(num: int, latent_dim: int, dimensions: tuple[int, int] = (0, 1)) -> Tensor:
    """Return a num × num grid of codes, (num², L), equally spaced in the prior's probability.

    The values of the two dimensions are quantiles of a standard normal distribution, the second
    from top to bottom; the other dimensions are 0. Decoded, the grid shows what was learned.

    | Auto-Encoding Variational Bayes (Kingma, Welling, 2014), figure 4

    Raises:
        ConfigError: There are no such dimensions.
    """
    if not all(0 <= dimension < latent_dim for dimension in dimensions):
        raise ConfigError(
            f"Codes have dimensions 0 to {latent_dim - 1}; {dimensions} are not two."
        )
    quantiles = torch.special.ndtri((torch.arange(num) + 0.5) / num)
    codes = torch.zeros(num, num, latent_dim)
    codes[..., dimensions[0]] = quantiles[None, :]
    codes[..., dimensions[1]] = quantiles.flip(0)[:, None]
    return codes.flatten(0, 1)
