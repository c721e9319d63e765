"""Power functions of the update number, and an average by one as a sum of averages by others.

An average with the exponent γ after update t weights what was at τ by the profile

    p_{t,γ}(τ) = (γ + 1) τ^γ / t^{γ+1}   for 0 ≤ τ ≤ t.

Its length is the standard deviation of the profile divided by t,
σ_rel = (γ + 1)^{1/2} (γ + 2)^{-1} (γ + 3)^{-1/2}, whatever t is. Karras et al., "Analyzing and
Improving the Training Dynamics of Diffusion Models" (2024), section 3 and appendix C.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genzoo.config import Bounds, shown
from genzoo.errors import ConfigError


@dataclass(frozen=True)
class LengthBounds(Bounds):
    """Bounds of a length, whose error says what to do."""

    def check(self, value: Any, where: str) -> None:
        """Raise ConfigError if a length is out of bounds."""
        if not self.low <= value <= self.high:
            longer = "longer" if value < self.low else "shorter"
            raise ConfigError(
                f"{where} must be in [{self.low}, {self.high}], got {shown(value)}. Give a "
                f"{longer} length, such as 0.1: with {self.low} nearly only the last updates "
                f"count, with {self.high} nearly all alike."
            )


LENGTHS = LengthBounds(0.01, 0.28)
"""The lengths that are allowed: γ = 0, the mean of all updates, has 0.289."""
Array = NDArray[np.float64]


def sigma_rel_of(gamma: float) -> float:
    """Return the length of the profile with an exponent.

    >>> round(sigma_rel_of(6.94), 3), round(sigma_rel_of(16.97), 3)
    (0.1, 0.05)
    """
    return math.sqrt(gamma + 1) / ((gamma + 2) * math.sqrt(gamma + 3))


def gamma_of(sigma_rel: float) -> float:
    """Return the exponent of the profile with a length.

    It is the largest root of (γ + 2)² (γ + 3) = (γ + 1) / σ_rel².

    Raises:
        ConfigError: There is no such profile.
    """
    LENGTHS.check(sigma_rel, "sigma_rel")
    square = sigma_rel**-2
    return float(np.roots([1.0, 7.0, 16.0 - square, 12.0 - square]).real.max())


def kept_share(step: int, gamma: float) -> float:
    """Return β_t = (1 − 1/t)^{γ+1}, the share of the average that update ``step`` keeps.

    With it, update i has the weight (i^{γ+1} − (i−1)^{γ+1}) / t^{γ+1}: the integral of the profile
    from i − 1 to i.
    """
    return math.pow(1.0 - 1.0 / step, gamma + 1.0)


def inner_product(a: Any, gamma: Any, b: Any, delta: Any) -> Any:
    """Return ∫ p_{a,γ}(τ) p_{b,δ}(τ) dτ in closed form; arrays are broadcast.

    Arguments:
        a: The update of the first profile.
        gamma: Its exponent.
        b: The update of the second profile.
        delta: Its exponent.
    """
    # As a product of ratios: powers of the updates themselves are too large for a float.
    end, last = np.minimum(a, b), np.maximum(a, b)
    factor = (gamma + 1.0) * (delta + 1.0) / (gamma + delta + 1.0)
    return factor * (end / a) ** gamma * (end / b) ** delta / last


@dataclass(frozen=True)
class Fit:
    """A profile as a weighted sum of others.

    Arguments:
        weights: (N,), the weights.
        relative_error: ‖target − Σ w_i p_i‖ / ‖target‖.
    """

    weights: Array
    relative_error: float


class Profiles:
    """Profiles, of which sums are made by least squares.

    Arguments:
        steps: (N,), their updates.
        gammas: (N,), their exponents.
    """

    def __init__(self, steps: Array, gammas: Array) -> None:
        self.steps, self.gammas = steps, gammas
        gram = inner_product(steps[:, None], gammas[:, None], steps[None], gammas[None])
        # Normalised, because profiles of early updates have a much greater norm.
        self._norms = np.sqrt(np.diag(gram))
        self._gram = gram / self._norms[:, None] / self._norms
        self._inverse = np.linalg.pinv(self._gram, rcond=1e-13, hermitian=True)

    def fit(self, step: float, gamma: float) -> Fit:
        """Return the sum that is nearest to the profile of an update with an exponent."""
        target = inner_product(self.steps, self.gammas, step, gamma) / self._norms
        weights = self._inverse @ target
        square = inner_product(step, gamma, step, gamma)
        rest = square - 2.0 * weights @ target + weights @ self._gram @ weights
        return Fit(weights / self._norms, math.sqrt(max(float(rest / square), 0.0)))


def check_lengths(sigma_rels: tuple[float, ...], name: str) -> None:
    """Raise ConfigError if a length is there twice."""
    if len(set(sigma_rels)) < len(sigma_rels):
        raise ConfigError(f"{name} {sigma_rels} has a length twice. Leave one of them out.")
