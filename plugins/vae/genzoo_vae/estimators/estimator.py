"""Estimator: how the gradient of an expectation over latents is estimated."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from torch import Tensor, nn

from genzoo.plugin import CapabilityError, Component, Config, Step, register_group
from genzoo_vae.estimators.aggregates import Aggregate, Mean
from genzoo_vae.estimators.expectation import Draws, Expectation
from genzoo_vae.families.continuous import ContinuousFamily
from genzoo_vae.families.family import Family

GROUP = "genzoo_vae.estimators"
"""The entry-point group of estimators."""
C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Subject:
    """What an estimator is made for.

    Arguments:
        families: The families of the layers.
        num_samples: K, the number of draws of each row.
        num_inputs: The number of values that a baseline can depend on; None without any.
    """

    families: tuple[Family, ...]
    num_samples: int = 1
    num_inputs: int | None = None


class Memory(Protocol):
    """Where an estimator keeps tensors from step to step; an `Objective` is one."""

    def set_process_buffer(self, name: str, value: Tensor) -> None:
        """Keep a tensor under a name."""

    def process_state(self) -> dict[str, Tensor]:
        """Return what is kept, by name."""


@dataclass(frozen=True)
class Estimated:
    """An estimate.

    Arguments:
        loss: A scalar, whose gradient is the estimate of the gradient of −E[F], a mean over rows.
            Its value is a draw of −F.
        draws: The draws, without their gradients where the estimator does not use them.
        values: f at these draws, (K, B), detached.
    """

    loss: Tensor
    draws: Draws
    values: Tensor


@dataclass(frozen=True)
class Problem:
    """What is to be estimated: ∇ E_q[F(f(z⁽¹⁾), …, f(z⁽ᴷ⁾))], at a step of training.

    Arguments:
        expectation: q and f.
        num_samples: K.
        aggregate: F.
        step: The position in training, with the generator of all noise.
        memory: Where to keep tensors from step to step, under names of the step's slot.
    """

    expectation: Expectation
    num_samples: int
    aggregate: Aggregate
    step: Step
    memory: Memory

    def drawn(self) -> Draws:
        """Return K draws of all layers, differentiable where their families are."""
        return self.expectation.drawn(self.num_samples, self.step.generator)

    def value_for_score(self, draws: Draws) -> Tensor:
        """Return f, (K, B), without the direct gradient of log q where its expectation is 0."""
        fixed = isinstance(self.aggregate, Mean)
        return self.expectation.value(draws.stopped() if fixed else draws)

    def estimated(self, f: Tensor, draws: Draws) -> Estimated:
        """Return −F of values (K, B) as the loss, a mean over rows."""
        return Estimated(-self.aggregate.value(f).mean(), draws, f.detach())


class Estimator(nn.Module, abc.ABC, Generic[C]):
    """Abstract base class: an estimator of ∇ E_q[F(f(z⁽¹⁾), …, f(z⁽ᴷ⁾))] by all parameters.

    It is a submodule of an objective, so its parameters learn with it. What it keeps from step to
    step is in the objective's process buffers, for each slot, so that training resumes exactly.

    Class attributes:
        Config: A frozen, keyword-only dataclass with bounds, whose fields all have defaults.
        title: What it is called in messages.
        is_unbiased: Whether the expectation of the estimate is the gradient.
        is_relaxed: Whether it takes f at relaxed values of discrete latents, or differentiates it.
        draws_codes: Whether its draws are codes; if not, figures are computed at other draws.
        samples_kl: Whether it needs log q at the draws, also where the KL term has a closed form.

    Arguments:
        subject: What it is made for.
        config: An instance of ``Config``; its defaults if it is left out.

    Raises:
        CapabilityError: It does not serve these families or this number of draws.
    """

    Config: ClassVar[type[Config]]
    title: ClassVar[str]
    is_unbiased: ClassVar[bool] = True
    is_relaxed: ClassVar[bool] = False
    draws_codes: ClassVar[bool] = True
    samples_kl: ClassVar[bool] = False

    def __init__(self, subject: Subject, config: C | None = None) -> None:
        super().__init__()
        given: Any = self.Config() if config is None else config
        self.config: C = given
        self.check(subject)

    def check(self, subject: Subject) -> None:
        """Raise CapabilityError unless the estimator serves the subject; by default it does."""
        return

    @abc.abstractmethod
    def estimate(self, problem: Problem) -> Estimated:
        """Return an estimate from K draws of each row."""


def require(
    estimator: Estimator[Any], families: Sequence[Family], kind: type, remedy: str
) -> None:
    """Raise CapabilityError unless all layers are of a kind of family.

    Arguments:
        estimator: The estimator.
        families: The families of the layers.
        kind: The class of family that it serves.
        remedy: Which other estimators to choose.
    """
    other = next((family for family in families if not isinstance(family, kind)), None)
    if other is not None:
        raise CapabilityError(
            f"The estimator {estimator.title} does not serve {other.title} latents. {remedy}"
        )


def default_estimator(subject: Subject) -> Component:
    """Return an estimator that serves a subject: pathwise if it can be, else by the score."""
    if all(isinstance(family, ContinuousFamily) for family in subject.families):
        return Component(name="reparameterised")
    baseline = "leave-one-out" if subject.num_samples > 1 else "running-mean"
    return Component(name="score-function", config={"baseline": baseline})


def showing(loss: Tensor, value: Tensor) -> Tensor:
    """Return a scalar with the gradient of ``loss`` and the mean of ``value``."""
    return loss + (value.mean() - loss).detach()


register_group(GROUP, Estimator)
