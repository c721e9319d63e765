"""The auxiliary decoder: what it adds to the loss and to nothing else."""

import dataclasses

import pytest
import torch

from enumerable import X, made
from expectations import step
from genzoo.plugin import Component
from genzoo_vae.objectives import ELBO, ELBOConfig

# Draws that do not depend on the loss: the first term of z is the same with each weight.
ESTIMATOR = Component(name="straight-through")


def objective_of(model, weight):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return ELBO(model, ELBOConfig(auxiliary_weight=weight, estimator=ESTIMATOR)).double()


@pytest.mark.parametrize("name", ["categories", "deep sbn"])
def test_the_loss_has_the_auxiliary_term_with_its_weight_and_the_figures_do_not(name):
    model = made(name)
    objectives = {weight: objective_of(model, weight) for weight in (0.0, 0.5)}
    losses = {w: next(o.losses({"x": X}, step(2))) for w, o in objectives.items()}
    auxiliary = objectives[0.5].auxiliary
    seen = []
    hook = auxiliary.register_forward_hook(lambda _m, given, out: seen.append((*given, out)))
    next(objectives[0.5].losses({"x": X}, step(2)))
    hook.remove()
    _, z, out = seen[0]
    logits = auxiliary.network(z.flatten(0, 1).flatten(1)).view(1, 3, 1, 2, 2)
    p = torch.distributions.Bernoulli(logits=logits)
    log_p = p.log_prob(X[None]).flatten(2).sum(-1)
    torch.testing.assert_close(out, 0.5 * log_p)
    wanted = losses[0.0].value - 0.5 * log_p.mean()
    torch.testing.assert_close(losses[0.5].value, wanted)
    for figure in ("reconstruction", "kl", "elbo"):
        torch.testing.assert_close(losses[0.5].metrics[figure], losses[0.0].metrics[figure])


def test_it_learns_with_the_objective_and_is_no_part_of_the_model():
    model = made("categories")
    objective = objective_of(model, 2.0)
    (parameters,) = objective.players().values()
    own = {id(p) for p in objective.auxiliary.parameters()}
    assert own <= {id(p) for p in parameters}
    assert not own & {id(p) for p in model.parameters()}
    (loss,) = objective.losses({"x": X}, dataclasses.replace(step(), logged=False))
    loss.value.backward()
    assert all(p.grad.abs().sum() > 0 for p in objective.auxiliary.parameters())
