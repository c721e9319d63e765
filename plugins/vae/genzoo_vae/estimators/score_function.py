"""The score-function estimator, with a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from genzoo.plugin import Bounds, CapabilityError, Config
from genzoo_vae.estimators.baselines import BASELINES, Baseline
from genzoo_vae.estimators.estimator import Estimated, Estimator, Problem, Subject, showing


@dataclass(frozen=True, kw_only=True)
class ScoreFunctionConfig(Config):
    """The score-function estimator."""

    baseline: Literal["none", "running-mean", "input-dependent", "leave-one-out"] = "running-mean"
    """What is subtracted from the reward of a draw: nothing, its running mean, a function of x
    that learns along, or the reward of the other draws (RLOO; VIMCO for importance weights)."""
    decay: Annotated[float, Bounds(0.0, 1.0)] = 0.9
    """The decay of the running mean at each update."""
    hidden_dim: Annotated[int, Bounds(1, 2**16)] = 100
    """The number of hidden units of the function of x."""


class ScoreFunction(Estimator[ScoreFunctionConfig]):
    """∇_φ E_q[R] = E_q[(R − b) ∇_φ log q_φ(z)], with the reward R and a baseline b.

    It serves every family, as z is not differentiated. R is F, or the part of F that a draw
    changes. E_q[∇ log q] = 0, so any b that does not depend on the draw leaves the expectation as
    it is, and a b near R takes most of the variance. For a mean of values f = log p(x, z) − log q,
    the direct gradient of log q is left out, as its expectation is 0 too.

    | Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning
    | (Williams, 1992)
    | Neural Variational Inference and Learning in Belief Networks (Mnih, Gregor, 2014)
    | Variational Inference for Monte Carlo Objectives (Mnih, Rezende, 2016)
    """

    Config = ScoreFunctionConfig
    title = "score-function"

    def __init__(self, subject: Subject, config: ScoreFunctionConfig | None = None) -> None:
        super().__init__(subject, config)
        self.baseline: Baseline = BASELINES[self.config.baseline](self.config, subject)

    def check(self, subject: Subject) -> None:
        """Raise CapabilityError where the baseline lacks what it needs."""
        baseline, name = self.config.baseline, f"The baseline {self.config.baseline}"
        if baseline == "input-dependent" and subject.num_inputs is None:
            raise CapabilityError(
                f"{name} is a function of an input, and this expectation has none. Use the "
                "baseline running-mean."
            )
        if baseline == "leave-one-out" and subject.num_samples < 2:
            raise CapabilityError(
                f"{name} needs at least 2 draws of each row, got num_samples = "
                f"{subject.num_samples}. Give num_samples=2 or more, or another baseline."
            )

    def estimate(self, problem: Problem) -> Estimated:
        """Return −F − Σ_k (R_k − b_k) log q(z_k), shown as −F."""
        num, generator = problem.num_samples, problem.step.generator
        draws = problem.expectation.draw(
            lambda layer: layer.family.draw(layer.parameters.detach(), num, generator)
        )
        f = problem.value_for_score(draws)
        signals = problem.aggregate.signals(f.detach())
        b, extra = self.baseline(signals, f.detach(), problem)
        score = ((signals - b) * draws.log_q).sum(0)
        bound = problem.aggregate.value(f)
        return Estimated(showing(extra - (bound + score).mean(), -bound), draws, f.detach())
