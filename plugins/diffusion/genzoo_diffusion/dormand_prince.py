"""Dormand and Prince's pair of Runge-Kutta methods, with steps that follow the error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from genzoo.plugin import ConfigError

Slope = Callable[[float, Tensor], Tensor]
"""f(τ, y), of the equation dy/dτ = f(τ, y)."""
_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
"""The weights of the slopes so far in each stage; those of the last are the method of order 5."""
_FOURTH = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
"""The weights of the method of order 4."""
_ERROR = tuple(a - b for a, b in zip((*_STAGES[-1], 0.0), _FOURTH, strict=True))
_SAFETY, _LEAST_FACTOR, _MOST_FACTOR = 0.9, 0.2, 10.0


@dataclass(frozen=True)
class DormandPrince:
    """A solver of dy/dτ = f(τ, y) by steps of order 5, whose error a method of order 4 estimates.

    A step of size h is kept if its estimated error E is at most 1, and the next one has the size
    0.9 h E^(−1/5), between h / 5 and 10 h. E is the largest over rows of the root mean square over
    values of |error| / (atol + rtol max(|y|, |y'|)).

    | A Family of Embedded Runge-Kutta Formulae (Dormand, Prince, 1980)
    | Solving Ordinary Differential Equations I (Hairer, Nørsett, Wanner, 1993), section II.4

    Arguments:
        slope: f. A step calls it six times.
        rtol: The relative tolerance.
        atol: The absolute tolerance.
        max_num_steps: The maximum number of steps, with those that are not kept.
    """

    slope: Slope
    rtol: float
    atol: float
    max_num_steps: int

    def run(self, y: Tensor, start: float, end: float) -> Iterator[Tensor]:
        """Yield y after each step that is kept, from y at ``start`` to that at ``end``.

        If a state is not finite, it is the last one.

        Raises:
            ConfigError: There are more steps than the maximum.
        """
        tau, slope = start, self.slope(start, y)
        h = self._first(y, slope, end - start)
        for _ in range(self.max_num_steps):
            is_last = abs(h) >= abs(end - tau)
            h = end - tau if is_last else h
            after, slope_after, error = self._step(tau, y, slope, h)
            if not error > 1:  # NaN, too: smaller steps would not be finite either.
                tau, y, slope = tau + h, after, slope_after
                yield y
                if is_last or math.isnan(error):
                    return
            h *= _factor(error)
        raise ConfigError(
            f"The solver has made max_num_steps = {self.max_num_steps} steps with rtol = "
            f"{self.rtol:g} and atol = {self.atol:g}, and has come from {start:g} to {tau:.3g} "
            f"instead of {end:g}. Raise rtol and atol, or max_num_steps; or use --sampler heun."
        )

    def _step(
        self, tau: float, y: Tensor, slope: Tensor, h: float
    ) -> tuple[Tensor, Tensor, float]:
        """Return y after a step, its slope and E."""
        slopes, after = [slope], y
        for node, weights in zip(_NODES, _STAGES, strict=True):
            after = y + h * _weighted(weights, slopes)
            slopes.append(self.slope(tau + node * h, after))
        # The last stage is the result, so its slope is the first one of the next step.
        return after, slopes[-1], self._size(h * _weighted(_ERROR, slopes), y, after)

    def _size(self, change: Tensor, y: Tensor, after: Tensor) -> float:
        """Return the largest norm of a row of a change, in units of the tolerance."""
        allowed = self.atol + self.rtol * y.abs().maximum(after.abs())
        rows = (change / allowed).flatten(1)
        largest: float = rows.square().mean(1).sqrt().max().item()
        return largest

    def _first(self, y: Tensor, slope: Tensor, whole: float) -> float:
        """Return a first step of a hundredth of y / y', at most a tenth of the whole."""
        size, rate = self._size(y, y, y), self._size(slope, y, y)
        share = 0.01 * size / rate / abs(whole) if rate > 0 else 0.1
        return whole * (min(max(share, 1e-4), 0.1) if math.isfinite(share) else 0.1)


def _weighted(weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    """Return the sum of slopes by their weights."""
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        if weight:
            total = total + weight * slope
    return total


def _factor(error: float) -> float:
    """Return the factor of the next step's size."""
    if error == 0:
        return _MOST_FACTOR
    return min(_MOST_FACTOR, max(_LEAST_FACTOR, _SAFETY * math.pow(error, -0.2)))
