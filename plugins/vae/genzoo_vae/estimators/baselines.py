"""Baselines of the score-function estimator: what a reward is compared with."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from genzoo_vae.estimators.estimator import Problem, Subject

if TYPE_CHECKING:
    from genzoo_vae.estimators.score_function import ScoreFunctionConfig


class Baseline(nn.Module, abc.ABC):
    """Abstract base class: b, which may depend on the row and on the other draws.

    Arguments:
        config: The values of the estimator.
        subject: What the estimator is made for.
    """

    def __init__(self, config: ScoreFunctionConfig, subject: Subject) -> None:
        super().__init__()

    @abc.abstractmethod
    def forward(self, signals: Tensor, f: Tensor, problem: Problem) -> tuple[Tensor, Tensor]:
        """Return b, which broadcasts to (K, B), and the baseline's own loss, a scalar.

        Arguments:
            signals: The rewards, (K, B).
            f: The values that they are made of, (K, B).
            problem: What is estimated.
        """


class NoBaseline(Baseline):
    """b = 0."""

    def forward(self, signals: Tensor, f: Tensor, problem: Problem) -> tuple[Tensor, Tensor]:
        """Return 0."""
        return signals.new_zeros(()), signals.new_zeros(())


class LeaveOneOut(Baseline):
    """b_k = what F would be without draw k; see `Aggregate.leave_one_out`."""

    def forward(self, signals: Tensor, f: Tensor, problem: Problem) -> tuple[Tensor, Tensor]:
        """Return the value of the other draws."""
        return problem.aggregate.leave_one_out(f), signals.new_zeros(())


class RunningMean(Baseline):
    """b = the running mean of the rewards of earlier updates, 0 at the first one.

    Arguments:
        config: The values of the estimator.
        subject: What the estimator is made for.
    """

    def __init__(self, config: ScoreFunctionConfig, subject: Subject) -> None:
        super().__init__(config, subject)
        self.decay = config.decay

    def forward(self, signals: Tensor, f: Tensor, problem: Problem) -> tuple[Tensor, Tensor]:
        """Return the mean of the earlier rewards of this slot, and take in these."""
        return self.running(signals, problem), signals.new_zeros(())

    def running(self, signals: Tensor, problem: Problem) -> Tensor:
        """Return the mean of the earlier rewards of this slot, and take in these."""
        name, memory = f"baseline_{problem.step.slot}", problem.memory
        # The total weight is kept with the sum, so that the mean of few updates is not too small.
        kept = memory.process_state().get(name, signals.new_zeros(2))
        new = torch.stack([signals.mean(), signals.new_ones(())])
        memory.set_process_buffer(name, self.decay * kept + (1 - self.decay) * new)
        return kept[0] / kept[1].clamp_min(torch.finfo(kept.dtype).tiny)


class InputDependent(RunningMean):
    """b = the running mean, and a function of x with one hidden layer that learns along.

    It minimises ½ (R − b)². The running mean saves it from learning hundreds of nats first.

    | Neural Variational Inference and Learning in Belief Networks (Mnih, Gregor, 2014)

    Arguments:
        config: The values of the estimator.
        subject: What the estimator is made for.
    """

    def __init__(self, config: ScoreFunctionConfig, subject: Subject) -> None:
        super().__init__(config, subject)
        self.network = nn.Sequential(
            nn.Linear(subject.num_inputs or 0, config.hidden_dim),
            nn.Tanh(),
            nn.Linear(config.hidden_dim, 1),
        )

    def forward(self, signals: Tensor, f: Tensor, problem: Problem) -> tuple[Tensor, Tensor]:
        """Return the value of both, and the loss of the function."""
        b = self.running(signals, problem) + self.network(problem.expectation.inputs)[:, 0]
        return b.detach(), 0.5 * (signals - b).square().mean()


BASELINES: dict[str, type[Baseline]] = {
    "none": NoBaseline,
    "running-mean": RunningMean,
    "input-dependent": InputDependent,
    "leave-one-out": LeaveOneOut,
}
"""The baselines by their names in a config."""
