"""Samplers of Boltzmann machines."""

from __future__ import annotations

import abc
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import NO_CONDITIONS, Bounds, Conditions, Config, Model, Sampler
from genzoo_boltzmann.machine import Machine
from genzoo_boltzmann.path import Path
from genzoo_boltzmann.precision import full_precision


@dataclass(frozen=True, kw_only=True)
class ChainsConfig(Config):
    """Markov chains of a machine."""

    num_steps: Annotated[int, Bounds(1, 10**8)] = 1000
    """The number of sweeps; each draws all hidden units, then all visible units. In parallel
    tempering, those of every replica, each followed by proposed exchanges."""


C = TypeVar("C", bound=ChainsConfig)

logger = logging.getLogger("genzoo")

# Below this rate a state takes hundreds of proposals to pass from one end to the other.
_FEWEST_SWAPS = 0.1


class Chains(Sampler[C]):
    """Abstract base class: Markov chains over the visible units, with one state per sweep."""

    requires = (Machine,)
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
        machine: Machine[Any] = self.checked(model)
        machine.check_sums()
        with torch.no_grad():
            states = None if start is None else machine.states(start, generator)
        yield from self.sweeps(machine, num, states, generator)

    @abc.abstractmethod
    def sweeps(
        self, model: Machine[Any], num: int, start: Tensor | None, generator: torch.Generator
    ) -> Iterator[Tensor]:
        """Yield the visible units after each sweep, (num, V), from a start (num, V) if given."""


@dataclass(frozen=True, kw_only=True)
class GibbsConfig(ChainsConfig):
    """Block Gibbs sampling."""


class Gibbs(Chains[GibbsConfig]):
    """Block Gibbs sampling from the base rates, or from given states.

    A trajectory has one state of visible units (num, V) per sweep. The chains are independent; the
    distance of the last state from the model depends on how well they mix.
    """

    Config = GibbsConfig

    def sweeps(
        self, model: Machine[Any], num: int, start: Tensor | None, generator: torch.Generator
    ) -> Iterator[Tensor]:
        """Yield the visible units after each sweep, (num, V)."""
        path = model.path()
        state = model.start(num, generator) if start is None else start
        for _ in range(self.config.num_steps):
            state = path.sweep(state, generator)
            yield state


@dataclass(frozen=True, kw_only=True)
class TemperedGibbsConfig(ChainsConfig):
    """Parallel tempering."""

    num_temperatures: Annotated[int, Bounds(2, 10**4)] = 20
    """The number of replicas per chain, at β equally spaced from 0 (base rates) to 1 (model)."""


class TemperedGibbs(Chains[TemperedGibbsConfig]):
    """Parallel tempering: replicas at many temperatures that exchange their states.

    After each sweep neighbours i, i + 1 exchange v with probability min(1, p_i(v_{i+1})
    p_{i+1}(v_i) / (p_i(v_i) p_{i+1}(v_{i+1}))), which leaves every p_β invariant. A chain that is
    stuck in one mode leaves it through the flat distributions.

    | Parallel Tempering for Training of Restricted Boltzmann Machines (Desjardins et al., 2010)
    """

    Config = TemperedGibbsConfig

    def sweeps(
        self, model: Machine[Any], num: int, start: Tensor | None, generator: torch.Generator
    ) -> Iterator[Tensor]:
        """Yield the visible units of the replicas at β = 1 after each sweep, (num, V)."""
        swaps = Swaps(self.config.num_temperatures)
        yield from self.counted(model, num, start, generator, swaps)
        logger.info("%s", swaps)

    def counted(
        self,
        model: Machine[Any],
        num: int,
        start: Tensor | None,
        generator: torch.Generator,
        swaps: Swaps,
    ) -> Iterator[Tensor]:
        """Yield what `sweeps` yields, and count the exchanges."""
        path, levels = model.path(), self.config.num_temperatures
        beta = torch.linspace(0, 1, levels, device=model.device, dtype=model.dtype)
        betas = beta.repeat_interleave(num)
        v = path.start(levels * num, generator)
        if start is not None:
            v = start.repeat(levels, 1)
        for step in range(self.config.num_steps):
            v = path.sweep(v, generator, betas)
            with full_precision(v.device):
                v, swapped = _exchange(path, v.view(levels, num, -1), beta, step % 2, generator)
            swaps.add(step % 2, swapped)
            yield v[-num:]


class Swaps:
    """The share of proposed exchanges between neighbouring temperatures that are accepted.

    Arguments:
        num_temperatures: The number K of temperatures, equally spaced from 0 to 1.
    """

    def __init__(self, num_temperatures: int) -> None:
        self.beta = [float(beta) for beta in torch.linspace(0, 1, num_temperatures)]
        self._accepted = torch.zeros(num_temperatures - 1, dtype=torch.float64)
        self._proposed = [0] * (num_temperatures - 1)

    def add(self, parity: int, swapped: Tensor) -> None:
        """Count the exchanges of every second pair, (pairs, num), from the pair ``parity`` on."""
        self._accepted = self._accepted.to(swapped.device)  # Reading them would wait for it.
        self._accepted[parity::2] += swapped.sum(1)
        for pair in range(parity, len(self._proposed), 2):
            self._proposed[pair] += swapped.shape[1]

    @property
    def rates(self) -> Tensor:
        """The rate of each pair of neighbours, (K − 1,); NaN if none was proposed."""
        proposed = torch.tensor(self._proposed, dtype=torch.float64)
        return self._accepted.cpu() / proposed

    def __str__(self) -> str:
        """Say the rates in a sentence, with the remedy if they are too low."""
        rates = self.rates
        if rates.isnan().all():
            return "Parallel tempering proposed no exchanges: it needs more than one sweep."
        known = rates.nan_to_num(2.0)
        low, high = int(known.argmin()), float(rates.nan_to_num(-1.0).max())
        text = (
            f"Parallel tempering: neighbours exchanged states in {float(rates[low]):.0%} "
            f"(β = {self.beta[low]:.3g} and {self.beta[low + 1]:.3g}) to {high:.0%} "
            "of the proposals."
        )
        few = float(rates[low]) < _FEWEST_SWAPS
        return text + " Take more temperatures (num_temperatures)." * few


def _exchange(
    path: Path, v: Tensor, beta: Tensor, parity: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Exchange neighbours (0, 1), (2, 3), … or (1, 2), (3, 4), …; v is (levels, num, V).

    Returns the states (levels × num, V), and which pairs were exchanged, (pairs, num).
    """
    levels, num, _ = v.shape
    flat = v.reshape(levels * num, -1)
    # log p*_β depends only on β and these two, so the swap needs no product.
    field = path.field(flat)
    low = torch.arange(parity, levels - 1, 2, device=v.device)
    high = low + 1

    def log_p(at: Tensor, of: Tensor) -> Tensor:
        rows = (of[:, None] * num + torch.arange(num, device=v.device)).reshape(-1)
        betas = beta[at].repeat_interleave(num)
        return path.log_unnormalized(flat[rows], field[rows], betas).view(len(at), num)

    gain = log_p(low, high) + log_p(high, low) - log_p(low, low) - log_p(high, high)
    u = torch.rand(gain.shape, generator=generator, device=v.device, dtype=gain.dtype)
    swapped = u.log() < gain
    swap = swapped[:, :, None]
    lower, upper = v[low], v[high]
    v = v.clone()
    v[low], v[high] = torch.where(swap, upper, lower), torch.where(swap, lower, upper)
    return v.reshape(levels * num, -1), swapped
