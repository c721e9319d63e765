"""Warnings about three ways in which a game fails."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from genzoo.plugin import Step

logger = logging.getLogger("genzoo")
MIN_STEPS = 500
"""Games are not checked before this number of updates."""
_LOOKS = 10
_ROWS = 256
_NEIGHBOURS = 5
_VARIETY = 0.1
_COVERAGE, _FIDELITY = 0.5, 0.5
_FLAT = 1e-3


@dataclass(frozen=True, eq=False)
class Look:
    """The state of a game after a step of the generator.

    Arguments:
        real: Examples of the data (B, *event_shape).
        fake: Examples of the model.
        critic_loss: The critic's loss at its last step.
        pull: The norm of the gradient of the loss with respect to the scores of the fakes, times
            their number: 1 if the loss is linear in the scores, 0 if they no longer matter.
    """

    real: Tensor
    fake: Tensor
    critic_loss: Tensor
    pull: Tensor


class Watch:
    """Checks a game ten times, and warns of each failure once.

    A failure is reported if two checks in a row find it: players oscillate, and a critic may
    distinguish a single batch by chance.

    Arguments:
        settled: A critic's loss below which it distinguishes every example; None if there is none.
    """

    def __init__(self, settled: float | None) -> None:
        self.settled = settled
        self._before: set[str] = set()
        self._said: set[str] = set()

    def is_due(self, step: Step) -> bool:
        """Whether the game is checked after this step."""
        made = step.index + 1
        every = max(step.total // _LOOKS, 1)
        return step.slot == 0 and made >= MIN_STEPS and made % every == 0

    def look(self, seen: Look, step: Step) -> None:
        """Warn of failures that this check and the last one find."""
        faults = self._faults(seen)
        for text, value in faults.items():
            if text in self._before - self._said:
                self._said.add(text)
                logger.warning(text, step.index + 1, step.total, value)
        self._before = set(faults)

    def _faults(self, seen: Look) -> dict[str, float]:
        """Return the failures now, each message with its number."""
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
    """Return the spread of the fakes around their mean, as a share of the data's spread.

    It is the ratio of the square roots of the summed variances.
    """
    spreads = [x.flatten(1).var(dim=0, correction=0).sum() for x in (fake, real)]
    if spreads[1] == 0:
        return 1.0
    return float((spreads[0] / spreads[1]).sqrt())


@torch.no_grad()
def neighbourhood(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """Return the share of fakes near the data, and the share of data that fakes cover.

    Near means within the distance from a real example to its fifth real neighbour. A real example
    is covered if a fake is near, or if it or one of its five neighbours is the nearest real
    example of some fake. The second counts kinds of examples whose fakes are not precise
    yet: without it they would pass for missing.

    | Reliable Fidelity and Diversity Metrics for Generative Models
    | (Naeem, Oh, Uh, Choi, Yoo, 2020), for nearness and fidelity
    """
    x, g = real.flatten(1).float(), fake.flatten(1).float()
    if len(x) <= _NEIGHBOURS:
        return 0.0, 1.0
    # Not by matrix products, whose rounding gives equal rows a distance above 0.
    exactly = "donot_use_mm_for_euclid_dist"
    distances = torch.cdist(x, x, compute_mode=exactly)
    distance, around = distances.topk(_NEIGHBOURS + 1, largest=False)
    between = torch.cdist(x, g, compute_mode=exactly)
    near = between <= distance[:, -1:]
    nearest = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    nearest[between.argmin(0)] = True
    # Of a repeated row only one copy is the nearest, but all copies are near.
    has_fakes = near.any(1) | nearest[around].any(1)
    return float(near.any(0).float().mean()), float(has_fakes.float().mean())


_ZERO_LOSS = (
    "The critic's loss is zero: after step %d of %d it is %.2g, so the critic separates every "
    "real example from every fake, and learns nothing more. Remedies: a gradient penalty "
    "(--objective.r1 1), a smaller or slower critic (--objective.critic-hidden-dims, "
    "--objective.critic-lr), or --objective wasserstein-gp."
)
_VANISHING = (
    "Vanishing gradients: after step %d of %d a change of the critic's scores changes the "
    "generator's loss by %.2g of it, so the generator does not learn. Remedies: --objective "
    "non-saturating, a gradient penalty (--objective.r1 1), or a slower critic "
    "(--objective.critic-lr)."
)
_ALIKE = (
    "Mode collapse: after step %d of %d nearly all samples are equal; they vary by %.2g %% of "
    "the data's variation. Remedies: score them in packs (--objective.packing 4), --objective "
    "unrolled, or --objective wasserstein-gp."
)
_MISSING = (
    "Mode collapse: after step %d of %d the samples look like data but cover only %.0f %% of "
    "the rows: modes are missing, or lack variety. Remedies: score "
    "them in packs (--objective.packing 4), --objective unrolled, or --objective wasserstein-gp."
)
