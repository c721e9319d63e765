"""Explicit Runge-Kutta methods with fixed steps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Method = Literal["euler", "midpoint", "heun", "rk4"]
State = tuple[Tensor, ...]
Slopes = Callable[[State, float], State]
"""f(y, t): the derivative of each tensor of a state."""


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method: k_i = f(y + h Σ_j a_ij k_j, t + c_i h), y ← y + h Σ b_i k_i.

    Arguments:
        a: a_ij, a row for each stage.
        b: The weights of the stages.
        c: The share of the step at which each stage is evaluated.
    """

    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]


METHODS: Mapping[Method, Tableau] = {
    "euler": Tableau(a=((),), b=(1,), c=(0,)),
    "midpoint": Tableau(a=((), (1 / 2,)), b=(0, 1), c=(0, 1 / 2)),
    "heun": Tableau(a=((), (1,)), b=(1 / 2, 1 / 2), c=(0, 1)),
    "rk4": Tableau(
        a=((), (1 / 2,), (0, 1 / 2), (0, 0, 1)),
        b=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
        c=(0, 1 / 2, 1 / 2, 1),
    ),
}


def solved(f: Slopes, y: State, method: Tableau, times: Sequence[float]) -> State:
    """Return the solution of dy/dt = f(y, t) at the last of the times.

    Arguments:
        f: The derivative.
        y: The state at the first time.
        method: The method.
        times: The ends of the steps, increasing or decreasing.
    """
    for before, after in itertools.pairwise(times):
        h, slopes = after - before, list[State]()
        for row, c in zip(method.a, method.c, strict=True):
            slopes.append(f(_moved(y, h, row, slopes), before + c * h))
        y = _moved(y, h, method.b, slopes)
    return y


def equal_times(first: float, last: float, num_steps: int) -> list[float]:
    """Return the ends of equal steps, which include both ends.

    >>> equal_times(1.0, 0.0, 4)
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    return [first + (last - first) * i / num_steps for i in range(num_steps + 1)]


def _moved(y: State, h: float, weights: Sequence[float], slopes: Sequence[State]) -> State:
    """Return y + h Σ_j w_j k_j."""
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            y = tuple(v + h * weight * k for v, k in zip(y, slope, strict=True))
    return y
