"""Layers of belief networks: zeros and ones given the values of another layer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import bernoulli


class BeliefLayer(nn.Module):
    """p(u | v) = ∏_i Bernoulli(u_i; σ(a_i)), a = b + W f(2v − 1), and + V u with strictly lower V.

    f is the identity, or layers of tanh units. Inputs of −1 and 1 make W and b less dependent on
    each other than zeros and ones. Without inputs, a = b.

    Arguments:
        num_inputs: The number of values v; 0 for a layer without inputs.
        num_units: The number of units u.
        mlp_dims: The widths of layers of tanh units.
        autoregressive: Whether a unit also depends on those before it.
    """

    def __init__(
        self,
        num_inputs: int,
        num_units: int,
        mlp_dims: Sequence[int] = (),
        autoregressive: bool = False,
    ) -> None:
        super().__init__()
        self.num_inputs = num_inputs
        sizes = [num_inputs, *mlp_dims] if num_inputs else []
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.Tanh()]
        self.hidden = nn.Sequential(*layers)
        # One offset for each unit, also for a layer without inputs.
        self.offset = nn.Parameter(torch.zeros(num_units))
        self.linear = nn.Linear(sizes[-1], num_units, bias=False) if num_inputs else None
        self.among = nn.Parameter(torch.zeros(num_units, num_units)) if autoregressive else None

    def logits(self, v: Tensor | None, u: Tensor | None = None) -> Tensor:
        """Return a, (..., num_units).

        Arguments:
            v: The inputs, (..., num_inputs); None for a layer without any.
            u: The units, (..., num_units), which an autoregressive layer needs; without them, the
                logits are those of units that are all 0.
        """
        found = self._above(v)
        if self.among is None or u is None:
            return found
        return found + F.linear(u, self.among.tril(-1))

    def mean(self, v: Tensor | None) -> Tensor:
        """Return probabilities of 1, (B, num_units), for inputs (B, num_inputs).

        Units of an autoregressive layer depend on the probabilities of those before them.
        """
        a = self._above(v).flatten(0, -2)
        return a.sigmoid() if self.among is None else self._in_turn(a, torch.sigmoid)

    def draw(self, v: Tensor | None, num: int, generator: torch.Generator) -> Tensor:
        """Draw u, (num, num_units), given inputs (num, num_inputs)."""
        a = self._above(v).detach().flatten(0, -2)
        a = a.expand(num, a.shape[-1])
        if self.among is None:
            return bernoulli(logits=a, generator=generator)
        return self._in_turn(a, lambda logits: bernoulli(logits=logits, generator=generator))

    @torch.no_grad()
    def start_from(self, logits: Tensor) -> None:
        """Initialise the offsets, (num_units,)."""
        self.offset.copy_(logits)

    def _above(self, v: Tensor | None) -> Tensor:
        """Return b + W f(2v − 1), (..., num_units); (1, 1, num_units) without inputs."""
        if self.linear is None or v is None:
            return self.offset[None, None]
        return F.linear(self.hidden(2 * v - 1), self.linear.weight, self.offset)

    def _in_turn(self, a: Tensor, value: Callable[[Tensor], Tensor]) -> Tensor:
        """Return units, (B, num_units), each a function of its logit given those before it."""
        u = torch.zeros_like(a)
        if self.among is None:
            return u
        weights = self.among.tril(-1)
        for i in range(a.shape[-1]):
            u[..., i] = value(a[..., i] + u @ weights[i])
        return u
