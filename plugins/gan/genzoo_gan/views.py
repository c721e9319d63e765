"""The inputs of a critic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class View:
    """Examples with their codes and labels, all real or all fake.

    Arguments:
        x: Examples (B, *event_shape).
        z: Their codes (B, L), if the critic scores pairs.
        y: Their one-hot labels (B, C), if any.
    """

    x: Tensor
    z: Tensor | None = None
    y: Tensor | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> View:
        """Return the view with a function applied to every tensor."""
        z, y = (None if t is None else change(t) for t in (self.z, self.y))
        return View(change(self.x), z, y)

    def detach(self) -> View:
        """Return the detached view."""
        return self.map(Tensor.detach)

    def continuous(self) -> list[Tensor]:
        """Return the tensors for the gradient of a score: examples and codes."""
        return [t for t in (self.x, self.z) if t is not None]

    def with_gradient(self) -> View:
        """Return a copy whose examples and codes require gradients."""
        x = self.x.detach().requires_grad_()
        z = None if self.z is None else self.z.detach().requires_grad_()
        return dataclasses.replace(self, x=x, z=z)


def between(real: View, fake: View, t: Tensor) -> View:
    """Return points on the straight lines from fake to real, with the labels of real.

    Arguments:
        real: At t = 1.
        fake: At t = 0.
        t: Numbers in [0, 1], (B,).
    """

    def mixed(a: Tensor, b: Tensor) -> Tensor:
        weight = t.view(-1, *(1 for _ in a.shape[1:]))
        return weight * a + (1 - weight) * b

    z = None if real.z is None or fake.z is None else mixed(real.z, fake.z)
    return View(mixed(real.x, fake.x), z, real.y)
