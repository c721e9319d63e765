"""The pseudo-likelihood of binary machines: an objective without chains, and a metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.plugin import (
    Batch,
    Binary,
    Bounds,
    CapabilityError,
    Case,
    Component,
    Config,
    Estimate,
    Goal,
    Loss,
    Meaning,
    Metric,
    Objective,
    Step,
    mean_of,
)
from genzoo_boltzmann import health
from genzoo_boltzmann.binary_machine import BinaryMachine
from genzoo_boltzmann.machine import Machine

_ROWS = 4096


def log_conditionals(model: Machine[Any], v: Tensor, units: Tensor) -> Tensor:
    """Return log p(v_i | all other visible units) of some units i of each row, (B, K).

    With v' the row with v_i flipped it is −log(1 + exp(F(v) − F(v'))), since both have the same Z.

    Arguments:
        model: The machine.
        v: Rows of zeros and ones, (B, V).
        units: Units of each row, (B, K).
    """
    num, count = units.shape
    flipped = v.repeat_interleave(count, 0)
    place = units.reshape(-1, 1)
    flipped.scatter_(1, place, 1 - flipped.gather(1, place))
    gain = model.row_energies(v)[:, None] - model.row_energies(flipped).view(num, count)
    return -F.softplus(gain)


def why_not(model: BinaryMachine) -> str:
    """Return why a machine has no pseudo-likelihood; empty if it has one."""
    return "" if model.sums_hidden else "its hidden units cannot be summed out"


@dataclass(frozen=True, kw_only=True)
class PseudoLikelihoodConfig(Config):
    """Maximum pseudo-likelihood."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 1e-3
    """The learning rate of Adam."""
    num_units: Annotated[int, Bounds(1, 2**20)] = 1
    """The number of units that are drawn for each row and update, at most all of them."""


class PseudoLikelihood(Objective[PseudoLikelihoodConfig]):
    """Maximum pseudo-likelihood: minimises −Σ_i log p(v_i | v_−i), without chains.

    Each update takes some units of each row, drawn without replacement, and multiplies their mean
    by the number of all. The gradient is unbiased, and its cost does not grow with the time that
    chains need. The estimate is consistent, but less efficient than maximum likelihood, and a
    machine that learned by it need not sample well: it knows only how one unit follows from the
    others. Hidden units are summed out.

    | Statistical Analysis of Non-Lattice Data (Besag, 1975)
    | Inductive Principles for Restricted Boltzmann Machine Learning
    | (Marlin, Swersky, Chen, de Freitas, 2010)

    Raises:
        CapabilityError: The machine's units are not binary, or hidden ones cannot be summed out.
    """

    Config = PseudoLikelihoodConfig
    requires = (Machine, BinaryMachine)
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "loss": Meaning(
            "negative pseudo-log-likelihood, estimated from some units of each row",
            unit="nats",
            goal=Goal("lower"),
            healthy="it falls, then is steady; it is not a likelihood, so look at samples too",
        ),
        **{name: health.MEANINGS[name] for name in health.WEIGHTS},
    }
    model: Machine[Any]

    def __init__(self, model: Any, config: PseudoLikelihoodConfig | None = None) -> None:
        super().__init__(model, config)
        if reason := why_not(model):
            raise CapabilityError(
                f"{type(model).__name__} has no pseudo-likelihood: {reason}. Train it with pcd."
            )

    @classmethod
    def optimizers(cls, config: PseudoLikelihoodConfig) -> Mapping[str, Component]:
        """Return Adam."""
        return {"model": Component(name="adam", config={"lr": config.lr})}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield −V times the mean of log p(v_i | v_−i) over the rows and the units drawn."""
        model = self.model
        v = batch["x"].flatten(1).to(model.device, model.dtype)
        order = torch.rand(v.shape, generator=step.generator, device=v.device).argsort(1)
        found = log_conditionals(model, v, order[:, : self.config.num_units])
        metrics = health.of_weights(model) if step.logged and self.training else {}
        yield Loss(-v.shape[1] * found.mean(), metrics=metrics)


@dataclass(frozen=True, kw_only=True)
class PseudoLogLikelihoodConfig(Config):
    """The pseudo-log-likelihood."""


class PseudoLogLikelihood(Metric[PseudoLogLikelihoodConfig]):
    """Mean over rows of Σ_i log p(v_i | v_−i), exact, of a machine with binary units.

    It needs no log Z, and it does not rank machines as the log-likelihood does.

    | Statistical Analysis of Non-Lattice Data (Besag, 1975)
    """

    Config = PseudoLogLikelihoodConfig
    requires = (Machine, BinaryMachine)
    spaces = (Binary,)
    is_default = False
    uses_conditions = False
    goals: ClassVar = {"pseudo-log-likelihood": Goal("higher", 0.0)}

    def inapplicable_reason(self, model: Any, data: Any) -> str:
        return super().inapplicable_reason(model, data) or why_not(model)

    @torch.no_grad()
    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the mean over rows; each takes as many free energies as it has units."""
        model: Any = case.model
        model.check_sums()
        rows = case.batch["x"].flatten(1).to(model.device, torch.float64)
        every = torch.arange(rows.shape[1], device=rows.device)
        values = [
            log_conditionals(model, v, every.expand(len(v), -1)).sum(1).cpu()
            for v in rows.split(max(1, _ROWS // len(every)))
        ]
        return {"pseudo-log-likelihood": mean_of(torch.cat(values), "exact", unit="nats")}
