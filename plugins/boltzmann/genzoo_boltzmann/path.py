"""The tempered distributions of a machine, from an independent base to the machine itself."""

from __future__ import annotations

import abc

import torch
from torch import Tensor

from genzoo_boltzmann.couplings import Coupling
from genzoo_boltzmann.units import HiddenUnits, VisibleUnits


class Path(abc.ABC):
    """Abstract base class: distributions p_β over the states of a chain, for β from 0 to 1.

    At β = 0 the units are independent and log Z₀ is known; at β = 1 it is the machine. A state has
    the units that are not summed out, (B, D), visible units first. Gibbs sampling, tempering,
    annealing in both directions and learning need nothing else of a machine.

    Values are detached, so nothing that is computed with a path has a gradient.

    Arguments:
        dtype: The dtype of its values and states.
        device: Their device.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device

    @property
    @abc.abstractmethod
    def log_z0(self) -> float:
        """Log Z at β = 0, in nats."""

    @abc.abstractmethod
    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw states from p_0, (num, D)."""

    @abc.abstractmethod
    def field(self, state: Tensor) -> Tensor:
        """Return the fields at β = 1 of the units that are summed out, (B, H)."""

    @abc.abstractmethod
    def log_unnormalized(self, state: Tensor, field: Tensor, beta: float | Tensor) -> Tensor:
        """Return log p*_β(state), (B,), in float64; ``beta`` may differ by row, (B,)."""

    @abc.abstractmethod
    def sweep(
        self, state: Tensor, generator: torch.Generator, beta: float | Tensor = 1.0
    ) -> Tensor:
        """Draw every unit once given the others, which leaves p_β invariant, (B, D).

        ``beta`` may differ by row, (B,).
        """

    def sweep_after(self, state: Tensor, p: Tensor, generator: torch.Generator) -> Tensor:
        """Return a sweep at β = 1, given the probabilities of the units that are summed out."""
        return self.sweep(state, generator)

    @abc.abstractmethod
    def clamped_sweep(self, state: Tensor, free: Tensor, generator: torch.Generator) -> Tensor:
        """Return a sweep at β = 1 that leaves units as they are where ``free`` (B, D) is false."""

    def step(
        self, state: Tensor, old: float, new: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return log p*_new − log p*_old of the state, (B,) float64, and a sweep at ``new``."""
        return self.change(state, old, new), self.sweep(state, generator, new)

    def change(self, state: Tensor, old: float, new: float) -> Tensor:
        """Return log p*_new − log p*_old of the state, (B,), in float64."""
        field = self.field(state)
        after = self.log_unnormalized(state, field, new)
        return after - self.log_unnormalized(state, field, old)


class TwoBlockPath(Path):
    """The geometric path of a machine whose units are in two blocks.

    p*_β(v, h) = exp((1 − β) g₀(v) + β(g₁(v) + c(v)ᵀh)) for allowed states of both blocks. The
    hidden units are summed out, so a state has the visible ones.

    | On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov, Murray, 2008)

    Arguments:
        visible: The visible units, with their distribution at β = 0.
        hidden: The hidden units.
        coupling: The weights between them, with the biases of the hidden units.
    """

    def __init__(self, visible: VisibleUnits, hidden: HiddenUnits, coupling: Coupling) -> None:
        super().__init__(coupling.dtype, coupling.device)
        self.visible, self.hidden, self.coupling = visible, hidden, coupling

    @property
    def log_z0(self) -> float:
        """Log Z at β = 0, in nats."""
        return self.visible.log_z0 + self.hidden.log_num_states

    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw v ~ p_0, (num, V)."""
        return self.visible.start(num, generator)

    def field(self, state: Tensor) -> Tensor:
        """Return the fields of the hidden units at β = 1, (B, H)."""
        return self.coupling.hidden(state)

    def given(self, h: Tensor, generator: torch.Generator, beta: float | Tensor = 1.0) -> Tensor:
        """Draw v ~ p_β(v | h), (B, V)."""
        return self.visible.draw(self.coupling, h, beta, generator)

    def log_unnormalized(self, state: Tensor, field: Tensor, beta: float | Tensor) -> Tensor:
        """Return log p*_β(v), (B,), in float64."""
        own = self.visible.log_weight(state, beta).double()
        return own + self.hidden.log_sum(_scaled(field, beta))

    def sweep(
        self, state: Tensor, generator: torch.Generator, beta: float | Tensor = 1.0
    ) -> Tensor:
        """Draw h ~ p_β(h | v), then v ~ p_β(v | h)."""
        p = self.hidden.probabilities(_scaled(self.field(state), beta))
        return self.given(self.hidden.draw(p, generator), generator, beta)

    def sweep_after(self, state: Tensor, p: Tensor, generator: torch.Generator) -> Tensor:
        """Draw h from its probabilities, then v ~ p(v | h)."""
        return self.given(self.hidden.draw(p, generator), generator)

    def clamped_sweep(self, state: Tensor, free: Tensor, generator: torch.Generator) -> Tensor:
        """Draw h ~ p(h | v), then the free units of v given h."""
        return torch.where(free, self.sweep(state, generator), state)

    def step(
        self, state: Tensor, old: float, new: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return log p*_new(v) − log p*_old(v), (B,) float64, and v after a sweep at ``new``."""
        field = self.field(state)
        p = self.hidden.probabilities(field * new)
        change = self._change(state, field, p, old, new)
        return change, self.given(self.hidden.draw(p, generator), generator, new)

    def change(self, state: Tensor, old: float, new: float) -> Tensor:
        """Return log p*_new(v) − log p*_old(v), (B,), in float64."""
        field = self.field(state)
        return self._change(state, field, self.hidden.probabilities(field * new), old, new)

    def _change(self, v: Tensor, field: Tensor, p: Tensor, old: float, new: float) -> Tensor:
        own = self.visible.change(v, old, new)
        # An exponent this large is the reason for the slower, more accurate way.
        exponent = abs(new - old) * self.coupling.largest_field
        return own.add_(self.hidden.change(field, p, old, new, exponent))


def _scaled(field: Tensor, beta: float | Tensor) -> Tensor:
    """Return β times the fields (B, H) of rows whose temperature is β, or each row's own, (B,)."""
    if isinstance(beta, Tensor):
        return field * beta[:, None]
    return field if beta == 1 else field * beta
