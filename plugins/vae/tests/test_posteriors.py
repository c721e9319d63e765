"""Posteriors: which models and estimators they refuse, and the prior as a posterior."""

import itertools

import pytest
import torch

from enumerable import EVENT, X, exact_bound, made
from expectations import step, z_scores
from genzoo import Binary, CapabilityError, ConfigError, Label, create_model
from genzoo_vae import enumeration
from genzoo_vae.estimators.aggregates import Mean
from genzoo_vae.latents import Integrand
from genzoo_vae.objectives import ELBO, IWAE, ELBOConfig, IWAEConfig
from genzoo_vae.posteriors import ascent
from genzoo_vae.posteriors.optimised import MeanField, OptimisedConfig
from genzoo_vae.posteriors.proposal import Rows

LABELS = {"conditions": {"label": Label(num_classes=3)}}
MADE = {"name": "made"}


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        ("reparameterised", "does not serve Bernoulli latents"),
        ("rebar", "is for one layer of latents"),
        (
            {"name": "score-function", "config": {"baseline": "input-dependent"}},
            "is a function of an input",
        ),
    ],
)
@pytest.mark.parametrize("posterior", ["mean-field", "semi-amortised"])
def test_an_estimator_that_does_not_serve_the_ascent_is_refused_with_the_model(
    posterior, estimator, said
):
    """Not at the first update, nor never, if the latents can be summed over."""
    given = {"name": posterior, "config": {"estimator": estimator}}
    with pytest.raises(CapabilityError, match=said):
        create_model("sbn", event=EVENT, hidden_dims=(2, 2), posterior=given)


def test_an_ascent_with_relaxed_codes_needs_a_prior_that_is_defined_for_them():
    given = {"name": "mean-field", "config": {"estimator": "gumbel-softmax"}}
    create_model("discrete-vae", event=EVENT, latent_dim=3, posterior=given)
    with pytest.raises(CapabilityError, match=r"needs log p\(x, z\) at relaxed codes"):
        create_model("discrete-vae", event=EVENT, latent_dim=3, posterior=given, prior=MADE)


@pytest.mark.parametrize(("num", "said"), [(40, r"about 10\^12,"), (20_000, r"about 10\^6021,")])
def test_a_number_of_states_of_any_size_can_be_said(num, said):
    posterior = {"name": "mean-field", "config": {"ascent": "coordinate"}}
    with pytest.raises(ConfigError, match=said):
        create_model("sbn", event=EVENT, hidden_dims=(num,), posterior=posterior)


@pytest.mark.parametrize(
    ("name", "config"),
    [("sbn", {"autoregressive": True}), ("discrete-vae", {"prior": MADE, "latent_dim": 3})],
)
def test_the_prior_as_posterior_refuses_latents_that_depend_on_each_other(name, config):
    """Its layers would be drawn independently, which are then not draws of p(z)."""
    with pytest.raises(ConfigError, match=r"depend on each other in p\(z\)"):
        create_model(name, event=EVENT, posterior="prior", **LABELS, **config)


@pytest.mark.parametrize("name", ["bits", "categories", "sbn"])
def test_the_prior_as_posterior_has_draws_of_each_row(name, caplog):
    """log (1/K) Σ p(x | z_k, y), z_k ~ p(z), reaches log p(x | y) with K, and trains."""
    model = made(name, posterior="prior", **LABELS)
    labels = torch.tensor([0, 1, 2])
    with torch.no_grad():
        evidence = enumeration.log_evidence(model, Rows(X, model.checked(labels, 3)))
        found = model.log_prob(
            X, condition=labels, num_samples=20_000, generator=torch.Generator().manual_seed(0)
        )
    assert bool(((found.values - evidence).abs() < 4 * found.std_errors).all())
    objective = IWAE(model, IWAEConfig(num_samples=2)).double()
    (loss,) = objective.losses({"x": X, "label": labels}, step(199, 199, 200))
    assert loss.metrics["kl"].item() == 0
    assert model.encode(X, condition=labels).shape[0] == 3
    assert caplog.records == []  # It is as intended that z does not depend on x.


def test_a_continuous_prior_as_posterior_has_nothing_to_warn_of(caplog):
    event = Binary(shape=(1, 2, 2))
    model = create_model("vae", event=event, latent_dim=2, posterior="prior", **LABELS)
    batch = {"x": X.float(), "label": torch.arange(3)}
    # Free bits of a KL term that is 0 would only be a constant.
    (loss,) = ELBO(model, ELBOConfig(free_bits=1.0)).losses(batch, step(0, 199, 200))
    assert loss.metrics["kl"].item() == 0
    assert loss.value.item() == pytest.approx(-loss.metrics["reconstruction"].item())
    assert caplog.records == []


def test_a_line_search_tries_its_rate_first_and_twice_as_much_after_each_update():
    """Along a gradient of 1 of a bound that always rises, steps are lr, 2 lr, 4 lr, …"""
    model, rows = made("sbn"), Rows(X[:1])
    seen = []

    def proposal(parameters):
        seen.append(parameters[0].detach().clone())
        return MeanField().start(model, rows, step())[1](parameters)

    start = [torch.zeros(1, 3).double()]
    config = OptimisedConfig(num_steps=1, lr=1e-4)
    ascent.ascend(config, model, rows, start, proposal, step())
    at = [start[0].clone().requires_grad_()]
    z = enumeration.states(model, 1)
    bound = enumeration.elbo(
        MeanField().start(model, rows, step())[1](at), enumeration.log_joint(model, rows, z), z
    )
    (grad,) = torch.autograd.grad(bound.sum(), at)
    torch.testing.assert_close(seen[1], 1e-4 * grad)
    seen.clear()
    ascent.ascend(OptimisedConfig(num_steps=3, lr=1e-4), model, rows, start, proposal, step())
    found = [b - a for a, b in itertools.pairwise(seen[i] for i in (0, 2, 4, 6))]
    sizes = [move.norm().item() for move in found]
    assert sizes[1] / sizes[0] == pytest.approx(2, rel=0.01)
    assert sizes[2] / sizes[1] == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("name", ["mean-field", "semi-amortised"])
@pytest.mark.parametrize("hidden_dims", [(3,), (2, 2), (13,)])
def test_an_optimised_q_carries_no_gradient(name, hidden_dims):
    """Also where it starts from networks, and of 13 units, whose ascent is by draws."""
    given = {"name": name, "config": {"num_steps": 2}}
    model, rows = made("sbn", posterior=given, hidden_dims=hidden_dims), Rows(X)
    proposal = model.inference.proposal(model, rows, step())
    draws = Integrand(model, rows, proposal).drawn(2, step().generator)
    assert not draws.log_q.requires_grad


@pytest.mark.parametrize("name", ["sbn", "deep sbn"])
def test_networks_that_start_an_ascent_learn_by_the_bound_at_their_own_q(name):
    """100 estimates, each of 200 draws, have the enumerated gradient as their mean: 4.5 standard
    errors in each parameter."""
    model = made(name, posterior={"name": "semi-amortised", "config": {"num_steps": 2}})
    objective, parameters = ELBO(model).double(), model.recognition_parameters()
    truth = torch.autograd.grad(-exact_bound(model, Mean(), 1, Rows(X[:1])).sum(), parameters)
    batch, found = {"x": X[:1].expand(200, 1, 2, 2)}, []
    for seed in range(100):
        (loss,) = objective.losses(batch, step(seed))
        found.append(torch.cat([loss.gradients[p].flatten() for p in parameters]))
    wanted = torch.cat([grad.flatten() for grad in truth])
    assert z_scores(torch.stack(found), wanted).abs().max() < 4.5
    assert wanted.norm() > 0.1
