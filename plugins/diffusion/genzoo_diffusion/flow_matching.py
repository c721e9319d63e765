"""The objectives of flows: matching the velocity of lines, of data or of an earlier flow."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from genzoo.plugin import (
    Batch,
    Bounds,
    CapabilityError,
    Component,
    Config,
    ConfigError,
    Goal,
    Group,
    Loss,
    Meaning,
    Model,
    Objective,
    Step,
    evaluating,
    make,
)
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.couplings import GROUP
from genzoo_diffusion.flow import Flow
from genzoo_diffusion.runge_kutta import METHODS, Method, State, equal_times, solved

_Rate = Annotated[float, Bounds(0.0, 1e3)]
_LOSS = Meaning(
    "squared error of the velocity at random times, a mean over values",
    goal=Goal("lower"),
    healthy="it falls fast, then is noisy and nearly flat while samples still improve; it does "
    "not approach 0, because the lines through a state differ",
)


def _independent() -> Component:
    return Component(name="independent")


@dataclass(frozen=True, kw_only=True)
class FlowMatchingConfig(Config):
    """Flow matching."""

    lr: _Rate = 1e-3
    """The learning rate of Adam."""
    times: Literal["uniform", "logit-normal"] = "uniform"
    """The law of the times: uniform, or the logistic function of a normal variable, which prefers
    the middle."""
    logit_mean: Annotated[float, Bounds(-10.0, 10.0)] = 0.0
    """The mean of that variable; above 0 it prefers noise."""
    logit_std: Annotated[float, Bounds(1e-3, 10.0)] = 1.0
    """Its standard deviation."""
    coupling: Annotated[Component, Group(GROUP)] = field(default_factory=_independent)
    """Which noise each row is joined to: "independent" or "optimal-transport"."""


class FlowMatching(Objective[FlowMatchingConfig]):
    """Flow matching: minimises E ‖u(x_t, t) − (ε − x_0)‖² / D with x_t = (1 − t) x_0 + t ε.

    The minimum is the mean velocity of the lines through x_t, whose differential equation carries
    N(0, I) to the data.

    | Flow Matching for Generative Modeling (Lipman, Chen, Ben-Hamu, Nickel, Le, 2023)
    | Scaling Rectified Flow Transformers for High-Resolution Image Synthesis (Esser et al., 2024),
    | for logit-normal times

    Arguments:
        model: The flow.
        config: Times and coupling.

    Raises:
        CapabilityError: The coupling ignores conditions, and the model has some.
        ConfigError: While training, the coupling does not return a permutation of the noise.
    """

    Config = FlowMatchingConfig
    requires: ClassVar[tuple[type, ...]] = (Flow,)
    meanings: ClassVar[Mapping[str, Meaning]] = {"loss": _LOSS}
    model: Flow

    def __init__(self, model: Model, config: FlowMatchingConfig | None = None) -> None:
        super().__init__(model, config)
        self.coupling: Any = make(GROUP, self.config.coupling)
        if model.conditions and not self.coupling.keeps_conditions:
            raise CapabilityError(
                f"The coupling {self.config.coupling.name} ignores conditions, and this model has "
                f"{' and '.join(model.conditions)}: the noise of a condition would differ from "
                "that of its samples. Use independent or optimal-transport."
            )

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the mean over the examples."""
        generator = step.generator
        x_0 = self.model.training_state(batch["x"], generator)
        drawn = self.model.standard_normal(len(x_0), generator)
        epsilon = self._coupled(x_0, drawn, batch, check=step.logged)
        t = self._times(x_0, generator)
        signal = self.model.training_signal(batch, generator)
        yield Loss(velocity_error(self.model, x_0, epsilon, t, signal))

    def _coupled(self, x_0: Tensor, drawn: Tensor, batch: Batch, *, check: bool) -> Tensor:
        """Return the noise of each row, after a check of what another package's coupling returns.

        Its values are compared only if ``check``, because that waits for the device.
        """
        found: Tensor = self.coupling.couple(x_0, drawn, self.model.conditions_of(batch))
        same = isinstance(found, Tensor) and found.shape == drawn.shape
        if same and check and found is not drawn:
            # The columns of a permutation of rows have the same values.
            columns = (each.detach().flatten(1).sort(0).values for each in (found, drawn))
            same = torch.equal(*columns)
        if not same:
            raise ConfigError(
                f"The coupling {self.config.coupling.name} must return a permutation of the "
                f"{len(drawn)} rows of noise that it is given; it returned something else. "
                "Correct its method couple."
            )
        return found

    def _times(self, x_0: Tensor, generator: torch.Generator) -> Tensor:
        shape = (len(x_0),)
        if self.config.times == "uniform":
            return torch.rand(shape, generator=generator, device=x_0.device, dtype=x_0.dtype)
        normal = torch.randn(shape, generator=generator, device=x_0.device, dtype=x_0.dtype)
        return torch.sigmoid(self.config.logit_mean + self.config.logit_std * normal)


@dataclass(frozen=True, kw_only=True)
class ReflowConfig(Config):
    """Reflow."""

    lr: _Rate = 1e-3
    """The learning rate of Adam."""
    method: Method = "midpoint"
    """The method that solves the first flow's differential equation. Heun's and Runge-Kutta's ask
    the network where no noise is left, where it is not trained."""
    num_inference_steps: Annotated[int, Bounds(1, 10**5)] = 20
    """Its number of steps."""


class Reflow(Objective[ReflowConfig]):
    """Reflow: flow matching of the pairs (x_0, ε) that a first flow joins.

    The first flow is the model as it is when training begins, so it should be trained: by
    ``genzoo train --from RUN``. It carries ε to x_0 without crossings, so lines between them cross
    less, the new flow is straighter, and a sample needs fewer steps. The batch gives only
    conditions. A step costs as many runs of the first network as its method takes.

    | Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow
    | (Liu, Gong, Liu, 2023), algorithm 1

    Arguments:
        model: The flow, which is trained further.
        config: How the first flow is solved.
    """

    Config = ReflowConfig
    needs_trained_model = True
    requires: ClassVar[tuple[type, ...]] = (Flow,)
    meanings: ClassVar[Mapping[str, Meaning]] = {"loss": _LOSS}
    model: Flow

    def __init__(self, model: Model, config: ReflowConfig | None = None) -> None:
        super().__init__(model, config)
        # Its weights are in checkpoints, so that a resumed run has the same first flow.
        self.first: Any = copy.deepcopy(model).requires_grad_(False)

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the mean over the examples."""
        generator, num = step.generator, batch["x"].shape[0]
        epsilon = self.model.standard_normal(num, generator)
        with torch.no_grad(), evaluating(self.first):
            told: Signal = self.first.embedder(self.model.conditions_of(batch), self.model.device)
            x_0 = self._carried(epsilon, told)
        t = torch.rand((num,), generator=generator, device=epsilon.device, dtype=epsilon.dtype)
        signal = self.model.training_signal(batch, generator)
        yield Loss(velocity_error(self.model, x_0, epsilon, t, signal))

    def _carried(self, epsilon: Tensor, signal: Signal) -> Tensor:
        """Return the data to which the first flow carries noise."""

        def slopes(y: State, t: float) -> State:
            times = epsilon.new_full((len(epsilon),), t)
            return (self.first.predict(y[0], times, signal),)

        c = self.config
        times = equal_times(1.0, 0.0, c.num_inference_steps)
        (x_0,) = solved(slopes, (epsilon,), METHODS[c.method], times)
        return x_0


def velocity_error(model: Flow, x_0: Tensor, epsilon: Tensor, t: Tensor, signal: Signal) -> Tensor:
    """Return the mean of ‖u(x_t, t) − (ε − x_0)‖² / D over rows."""
    velocity = model.predict(model.diffuse(x_0, t, epsilon), t, signal)
    return (velocity - (epsilon - x_0)).square().mean()
