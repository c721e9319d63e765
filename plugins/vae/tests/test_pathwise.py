"""Estimators with paths of less variance, by their formulas and where their variance is 0."""

import torch

from expectations import Kept, OneLayer, gradients, step, z_scores
from genzoo import Component
from genzoo_vae.estimators.aggregates import LogMeanExp, Mean
from genzoo_vae.estimators.estimator import Problem, Subject
from genzoo_vae.estimators.pathwise import (
    DoublyReparameterised,
    Reparameterised,
    StickingTheLanding,
)
from genzoo_vae.families.continuous import NormalFamily
from genzoo_vae.objectives import ELBO, ELBOConfig
from linear import PPCA, digits

FAMILY = NormalFamily(2)
PARAMETERS = torch.tensor([0.3, -0.5, 0.4, -0.6]).double()
PRIOR = torch.zeros(4).double()


def log_weight(draws):
    """Return log p(x, z) − log q(z), with a p(x | z) that is not normal."""
    (z,) = draws.z
    log_p = FAMILY.log_prob(PRIOR, z) - torch.nn.functional.softplus(3 * z).sum(-1)
    return log_p - draws.log_q


def expectation(rows):
    return OneLayer(FAMILY, PARAMETERS, log_weight, rows)


def made(cls):
    return cls(Subject((FAMILY,), 3))


def test_doubly_reparameterised_gradients_by_their_formula():
    """Σ_k w̃_k² ∂ log w_k/∂z_k · ∂z_k/∂φ, with ∂z/∂μ = 1 and ∂z/∂log σ² = ½ (z − μ)."""
    found = gradients(made(DoublyReparameterised), expectation(4), LogMeanExp(), 3)
    layer = expectation(4).layer(())
    z = FAMILY.draw(layer.parameters, 3, step().generator)
    z = z.detach().requires_grad_()
    mean, log_variance = PARAMETERS.chunk(2)
    log_q = -0.5 * (((z - mean).square() / log_variance.exp()) + log_variance).sum(-1)
    log_w = FAMILY.log_prob(PRIOR, z) - torch.nn.functional.softplus(3 * z).sum(-1) - log_q
    (slope,) = torch.autograd.grad(log_w.sum(), z)
    weights = log_w.detach().softmax(0)[..., None]
    path = torch.cat([slope, slope * 0.5 * (z.detach() - mean)], -1)
    torch.testing.assert_close(found, (weights.square() * path).sum(0))


def test_doubly_reparameterised_gradients_have_the_expectation_of_paths_and_less_variance():
    """Of L_3, in each parameter: 3.5 standard errors of the difference."""
    path = gradients(made(Reparameterised), expectation(100_000), LogMeanExp(), 3, seed=1)
    double = gradients(made(DoublyReparameterised), expectation(100_000), LogMeanExp(), 3, seed=2)
    assert bool((z_scores(path - double, 0).abs() < 3.5).all())
    assert double.var(0).sum() < path.var(0).sum()


def test_sticking_the_landing_has_the_expectation_of_paths():
    """Of the mean of 3, in each parameter: 3.5 standard errors of the difference. For one value
    it is also the doubly reparameterised estimate."""
    path = gradients(made(Reparameterised), expectation(100_000), Mean(), 3, seed=1)
    stuck = gradients(made(StickingTheLanding), expectation(100_000), Mean(), 3, seed=2)
    assert bool((z_scores(path - stuck, 0).abs() < 3.5).all())
    double = gradients(made(DoublyReparameterised), expectation(50), Mean(), 3, seed=2)
    same = gradients(made(StickingTheLanding), expectation(50), Mean(), 3, seed=2)
    torch.testing.assert_close(double, same)


def test_at_the_posterior_the_estimate_of_sticking_the_landing_is_zero():
    """q of the closed-form linear model is its posterior: every draw has the gradient 0 by its
    parameters, where that of plain paths is not 0."""
    x = digits("train")[:20]
    model = PPCA.fit(digits("train"), 3).vae()
    sizes = {}
    for name in ("sticking-the-landing", "doubly-reparameterised", "reparameterised"):
        objective = ELBO(model, ELBOConfig(estimator=Component(name=name)))
        (loss,) = objective.losses({"x": x}, step())
        grads = torch.autograd.grad(loss.value, model.recognition_parameters())
        sizes[name] = max(grad.abs().max().item() for grad in grads)
    assert sizes["sticking-the-landing"] < 1e-9
    assert sizes["doubly-reparameterised"] < 1e-9
    assert sizes["reparameterised"] > 1e-3


def test_the_gradient_by_other_parameters_has_the_weights_of_the_bound():
    """θ in log p_θ: Σ_k w̃_k ∂ log p/∂θ, as without a second weight."""
    theta = torch.tensor(0.7).double().requires_grad_()
    found = {}
    for cls in (DoublyReparameterised, Reparameterised):
        given = OneLayer(FAMILY, PARAMETERS, lambda d: log_weight(d) - theta * d.z[0].sum(-1), 5)
        loss = made(cls).estimate(Problem(given, 3, LogMeanExp(), step(), Kept())).loss
        (found[cls],) = torch.autograd.grad(loss, theta)
    torch.testing.assert_close(found[DoublyReparameterised], found[Reparameterised])
