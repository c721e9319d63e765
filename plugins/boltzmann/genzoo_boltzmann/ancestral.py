"""Ancestral sampling of a deep belief net."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from genzoo.plugin import NO_CONDITIONS, Bounds, Conditions, Config, Model, Sampler
from genzoo_boltzmann.dbn import DBN


@dataclass(frozen=True, kw_only=True)
class AncestralConfig(Config):
    """A chain in the top machine, and the layers below."""

    num_steps: Annotated[int, Bounds(1, 10**8)] = 1000
    """The number of sweeps of the top machine."""


class Ancestral(Sampler[AncestralConfig]):
    """Block Gibbs sampling in the top machine, and one draw of each layer below after each sweep.

    A state has the visible units (num, V). Each is drawn given h_{L−1} of the chain, so the next
    sweep does not depend on it. Chains start from the top machine's base rates, or from codes of
    given examples.

    | A Fast Learning Algorithm for Deep Belief Nets (Hinton, Osindero, Teh, 2006)
    """

    Config = AncestralConfig
    requires = (DBN,)
    is_markov_chain = True

    def num_states(self, model: Model) -> int:
        """Return the number of sweeps."""
        return self.config.num_steps

    def trajectory(
        self,
        model: Model,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NO_CONDITIONS,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield the visible units after each sweep, (num, V)."""
        net: DBN = self.checked(model)
        net.check_sums()
        with torch.no_grad():
            path, h = net.top.path(), _first(net, num, start, generator)
        for _ in range(self.config.num_steps):
            with torch.no_grad():
                h = path.sweep(h, generator)
                v = net.draw_down(h, generator)[0]
            yield v


def _first(net: DBN, num: int, start: Tensor | None, generator: torch.Generator) -> Tensor:
    """Return the first h_{L−1} of each chain, (num, D_{L−1})."""
    if start is None:
        return net.top.start(num, generator)
    v = start.flatten(1).to(net.device, net.dtype)
    return net.draw_up(v, generator)[-1]
