"""Ascent on the evidence bound by the parameters of q of each example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.plugin import Step, make
from genzoo_vae import enumeration
from genzoo_vae.estimators.aggregates import Mean
from genzoo_vae.estimators.estimator import (
    GROUP,
    Estimator,
    Problem,
    Subject,
    default_estimator,
)
from genzoo_vae.families.discrete import DiscreteFamily
from genzoo_vae.latents import Integrand, LatentModel
from genzoo_vae.posteriors.proposal import Proposal, Rows

if TYPE_CHECKING:
    from genzoo_vae.posteriors.optimised import OptimisedConfig

ToProposal = Callable[[Sequence[Tensor]], Proposal]
_HALVINGS = 20


def ascend(
    config: OptimisedConfig,
    model: LatentModel[Any],
    rows: Rows,
    start: Sequence[Tensor],
    proposal: ToProposal,
    step: Step,
) -> Proposal:
    """Return q after the updates that a config asks for.

    Latents that can be summed over have the exact bound, which no update lowers.

    Arguments:
        config: The kind, number and size of the updates.
        model: The model.
        rows: The examples.
        start: The first parameters of each layer, (B, P).
        proposal: The function from parameters to q.
        step: The position in training, with the generator.
    """
    with torch.enable_grad():
        if enumeration.num_states(model) > enumeration.MAX_STATES:
            found = _stochastic(config, model, rows, start, proposal, step)
        elif config.ascent == "coordinate":
            found = _coordinates(config, model, rows, start)
        else:
            found = _line_search(config, model, rows, start, proposal)
    return proposal([parameters.detach() for parameters in found])


def _stochastic(
    config: OptimisedConfig,
    model: LatentModel[Any],
    rows: Rows,
    start: Sequence[Tensor],
    proposal: ToProposal,
    step: Step,
) -> Sequence[Tensor]:
    """Return parameters after steps of Adam along estimated gradients."""
    subject = Subject(model.families, config.num_samples)
    component = config.estimator or default_estimator(subject)
    estimator: Estimator[Any] = make(GROUP, component, subject)
    memory, num_rows = _Memory(), len(rows.x)
    found = [parameters.detach().clone().requires_grad_() for parameters in start]
    adam = torch.optim.Adam(found, lr=config.lr)
    for _ in range(config.num_steps):
        integrand = Integrand(model, rows, proposal(found))
        problem = Problem(integrand, config.num_samples, Mean(), step, memory)
        loss = estimator.estimate(problem).loss
        # The sum over rows, whose gradient in each row does not depend on the others.
        for parameters, grad in zip(
            found, torch.autograd.grad(loss * num_rows, found), strict=True
        ):
            parameters.grad = grad
        adam.step()
    return found


def _line_search(
    config: OptimisedConfig,
    model: LatentModel[Any],
    rows: Rows,
    start: Sequence[Tensor],
    proposal: ToProposal,
) -> Sequence[Tensor]:
    """Return parameters after steps along the exact gradient, halved until the bound rises."""
    z = enumeration.states(model, len(rows.x))
    with torch.no_grad():
        log_p = enumeration.log_joint(model, rows, z)
    found = [parameters.detach() for parameters in start]
    size = torch.full((len(rows.x), 1), config.lr, dtype=model.dtype, device=model.device)
    for _ in range(config.num_steps):
        at = [parameters.clone().requires_grad_() for parameters in found]
        bound = enumeration.elbo(proposal(at), log_p, z)
        grads = torch.autograd.grad(bound.sum(), at)
        with torch.no_grad():
            for _ in range(_HALVINGS):
                moved = [p + size * g for p, g in zip(found, grads, strict=True)]
                better = enumeration.elbo(proposal(moved), log_p, z) >= bound
                if bool(better.all()):
                    break
                size = torch.where(better[:, None], size, 0.5 * size)
            keep = better[:, None]
            found = [torch.where(keep, m, p) for m, p in zip(moved, found, strict=True)]
            size = 2 * size
    return found


@torch.no_grad()
def _coordinates(
    config: OptimisedConfig, model: LatentModel[Any], rows: Rows, start: Sequence[Tensor]
) -> Sequence[Tensor]:
    """Return parameters after passes of q(z_j) ∝ exp E_{q(z without j)}[log p(x, z)]."""
    z = enumeration.states(model, len(rows.x))
    log_p = enumeration.log_joint(model, rows, z)
    found = [parameters.clone() for parameters in start]
    families = [family for family in model.families if isinstance(family, DiscreteFamily)]
    for _ in range(config.num_steps):
        for level, family in enumerate(families):
            for place in range(family.size):
                _update(families, found, z, log_p, level, place)
    return found


def _update(
    families: Sequence[DiscreteFamily],
    found: list[Tensor],
    z: tuple[Tensor, ...],
    log_p: Tensor,
    level: int,
    place: int,
) -> None:
    """Set the parameters of one latent to their optimum given the others, in place."""
    triples = zip(families, found, z, strict=True)
    log_q = torch.stack([f.log_prob(p[None], value) for f, p, value in triples]).sum(0)
    family = families[level]
    own = family.indicators(z[level], place)
    log_q_own = (own * family.log_p_at(found[level], place)).sum(-1)
    # The other latents' q, whose sum over the states of one value of this latent is 1.
    expected = ((log_q - log_q_own).exp() * log_p)[..., None] * own
    family.set_at(found[level], place, expected.sum(0))


class _Memory:
    """What an estimator keeps during one ascent."""

    def __init__(self) -> None:
        self.kept: dict[str, Tensor] = {}

    def set_process_buffer(self, name: str, value: Tensor) -> None:
        """Keep a tensor under a name."""
        self.kept[name] = value

    def process_state(self) -> dict[str, Tensor]:
        """Return what is kept, by name."""
        return self.kept
