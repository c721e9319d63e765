"""Three ways in which a game goes wrong: seen, and said."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from genzoo.plugin import Step

logger = logging.getLogger("genzoo")
MIN_STEPS = 500
"""Before so many updates a game has not begun, and has not failed."""
_LOOKS = 10
_ROWS = 256
_NEIGHBOURS = 5
_VARIETY = 0.1
_COVERAGE, _FIDELITY = 0.5, 0.5
_FLAT = 1e-3


@dataclass(frozen=True, eq=False)
class Look:
    """What is known of a game after the generator's move.

    Arguments:
        real: Examples of the data (B, *event_shape).
        fake: Examples of the model.
        critic_loss: The critic's loss at its last move.
        pull: The norm of the loss's gradient by the scores of the fakes, times their number: 1
            for a critic whose scores are passed on as they are, 0 where they no longer matter.
    """

    real: Tensor
    fake: Tensor
    critic_loss: Tensor
    pull: Tensor


class Watch:
    """Looks at a game ten times, and says each fault once.

    A fault is one that two looks in a row have seen: players go to and fro, and a single batch may
    be told from the fakes by luck.

    Arguments:
        settled: A critic's loss below which it tells every example; None where there is none.
    """

    def __init__(self, settled: float | None) -> None:
        self.settled = settled
        self._before: set[str] = set()
        self._said: set[str] = set()

    def is_due(self, step: Step) -> bool:
        """Whether the game is looked at after this step."""
        made = step.index + 1
        every = max(step.total // _LOOKS, 1)
        return step.slot == 0 and made >= MIN_STEPS and made % every == 0

    def look(self, seen: Look, step: Step) -> None:
        """Say what has gone wrong, and was wrong at the last look."""
        faults = self._faults(seen)
        for text, value in faults.items():
            if text in self._before - self._said:
                self._said.add(text)
                logger.warning(text, step.index + 1, step.total, value)
        self._before = set(faults)

    def _faults(self, seen: Look) -> dict[str, float]:
        """Return what is wrong now, each text with the number that it names."""
        faults: dict[str, float] = {}
        if self.settled is not None and seen.critic_loss.item() < self.settled:
            faults[_ZERO_LOSS] = seen.critic_loss.item()
        if seen.pull.item() < _FLAT:
            faults[_VANISHING] = seen.pull.item()
        ratio = variety(seen.real[:_ROWS], seen.fake[:_ROWS])
        if ratio < _VARIETY:
            return {**faults, _ALIKE: 100 * ratio}
        fidelity, coverage = neighbourhood(seen.real[:_ROWS], seen.fake[:_ROWS])
        if fidelity > _FIDELITY and coverage < _COVERAGE:
            faults[_MISSING] = 100 * coverage
        return faults


@torch.no_grad()
def variety(real: Tensor, fake: Tensor) -> float:
    """Return how far the fakes lie from their mean, as a share of what the data do.

    It is the ratio of the roots of the summed variances.
    """
    spreads = [x.flatten(1).var(dim=0, correction=0).sum() for x in (fake, real)]
    if spreads[1] == 0:
        return 1.0
    return float((spreads[0] / spreads[1]).sqrt())


@torch.no_grad()
def neighbourhood(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """Return which share of the fakes lies near data, and which share of the data has fakes.

    Near is within the distance from a real example to its fifth neighbour among the real ones. A
    real example has fakes where one is near, or where it or one of its five neighbours is the real
    example nearest to some fake. The second counts kinds of examples whose fakes are not precise
    yet: without it they would pass for missing.

    | Reliable Fidelity and Diversity Metrics for Generative Models
    | (Naeem, Oh, Uh, Choi, Yoo, 2020), for nearness and fidelity
    """
    x, g = real.flatten(1).float(), fake.flatten(1).float()
    if len(x) <= _NEIGHBOURS:
        return 0.0, 1.0
    distance, around = torch.cdist(x, x).topk(_NEIGHBOURS + 1, largest=False)
    between = torch.cdist(x, g)
    near = between <= distance[:, -1:]
    nearest = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    nearest[between.argmin(0)] = True
    # A row that stands many times is nearest in one of its places, and near in all.
    has_fakes = near.any(1) | nearest[around].any(1)
    return float(near.any(0).float().mean()), float(has_fakes.float().mean())


_ZERO_LOSS = (
    "The critic's loss is at zero: after step %d of %d it is %.2g, so the critic tells every real "
    "example from every fake, and learns nothing more. Remedies: a penalty on its slope "
    "(--objective.r1 1), a smaller or slower critic (--objective.critic-hidden-dims, "
    "--objective.critic-lr), or --objective wasserstein-gp."
)
_VANISHING = (
    "Vanishing gradients: after step %d of %d a change of the critic's scores changes the "
    "generator's loss by %.2g of it, so the generator stands still. Remedies: --objective "
    "non-saturating, a penalty on the critic's slope (--objective.r1 1), or a slower critic "
    "(--objective.critic-lr)."
)
_ALIKE = (
    "Mode collapse: after step %d of %d the samples are nearly all alike; they vary by %.2g %% of "
    "what the data do. Remedies: judge them in packs (--objective.packing 4), --objective "
    "unrolled, or --objective wasserstein-gp."
)
_MISSING = (
    "Mode collapse: after step %d of %d the samples look like data but stand for only %.0f %% of "
    "the rows: kinds of examples are missing, or each has too little variety. Remedies: judge "
    "them in packs (--objective.packing 4), --objective unrolled, or --objective wasserstein-gp."
)
