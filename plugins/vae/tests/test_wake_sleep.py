"""Wake-sleep and its reweighted form: whose gradient each phase has, and who is refused."""

import pytest
import torch

from enumerable import X, exact_bound, made
from expectations import step
from genzoo import CapabilityError, Label, Trainer, TrainerConfig, create_model, load_dataset
from genzoo.plugin import Component, Stage
from genzoo_vae import enumeration
from genzoo_vae.estimators.aggregates import LogMeanExp
from genzoo_vae.posteriors.proposal import Recognised, Rows
from genzoo_vae.wake_sleep import (
    GENERATIVE,
    RECOGNITION,
    ReweightedWakeSleep,
    ReweightedWakeSleepConfig,
    WakeSleep,
)

ROWS = {"x": X[:1].expand(200, 1, 2, 2)}


def estimates(objective, player, num=100, rows=ROWS):
    """Return gradients of one player's loss by its parameters, (num, P)."""
    found = []
    for seed in range(num):
        losses = {loss.player: loss for loss in objective.losses(rows, step(seed))}
        parameters = objective.players()[player]
        grads = torch.autograd.grad(losses[player].value, parameters)
        found.append(torch.cat([g.flatten() for g in grads]))
    return torch.stack(found)


def assert_near(found, truth):
    """Within 4.5 standard errors in each of some 30 parameters."""
    error = found.std(0) / len(found) ** 0.5
    varied = error > 1e-12
    torch.testing.assert_close(found.mean(0)[~varied], truth[~varied])
    assert ((found.mean(0) - truth)[varied] / error[varied]).abs().max() < 4.5
    assert truth.norm() > 0.1


def gradient(value, parameters):
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, parameters)])


@pytest.mark.parametrize("name", ["deep sbn", "categories"])
def test_the_wake_phase_has_the_gradient_of_the_evidence_bound(name):
    objective = WakeSleep(made(name)).double()
    model, rows = objective.model, Rows(X[:1])
    z = enumeration.states(model, 1)
    bound = enumeration.elbo(Recognised(model, rows), enumeration.log_joint(model, rows, z), z)
    truth = gradient(-bound.sum(), objective.players()[GENERATIVE])
    assert_near(estimates(objective, GENERATIVE), truth)


@pytest.mark.parametrize("name", ["deep sbn", "categories"])
def test_the_sleep_phase_fits_q_to_the_models_own_posterior(name):
    """Its loss is E_p(x, z)[−log q(z | x)], summed here over all x and z."""
    objective = WakeSleep(made(name)).double()
    model = objective.model
    every = torch.cartesian_prod(*[torch.arange(2.0)] * 4).double().view(-1, 1, 2, 2)
    rows, z = Rows(every), enumeration.states(model, 16)
    p = enumeration.log_joint(model, rows, z).exp().detach()
    assert p.sum().item() == pytest.approx(1)
    value = -(p * enumeration.log_q(Recognised(model, rows), z)).sum()
    truth = gradient(value, objective.players()[RECOGNITION])
    assert_near(estimates(objective, RECOGNITION), truth)


@pytest.mark.parametrize("name", ["deep sbn", "bits"])
def test_dreams_have_the_condition_of_their_row(name):
    """The top layer of an sbn, and x of a discrete-vae, are drawn given the label 1."""
    objective = WakeSleep(made(name, conditions={"label": Label(num_classes=2)})).double()
    model = objective.model
    every = torch.cartesian_prod(*[torch.arange(2.0)] * 4).double().view(-1, 1, 2, 2)
    rows, z = Rows(every, model.checked(1, 16)), enumeration.states(model, 16)
    p = enumeration.log_joint(model, rows, z).exp().detach()
    value = -(p * enumeration.log_q(Recognised(model, rows), z)).sum()
    truth = gradient(value, objective.players()[RECOGNITION])
    batch = {**ROWS, "label": torch.ones(200).long()}
    assert_near(estimates(objective, RECOGNITION, rows=batch), truth)


def test_the_bound_that_is_shown_is_that_of_the_draws():
    objective = WakeSleep(made("deep sbn")).double()
    first, _ = objective.losses({"x": X.expand(1000, 3, 1, 2, 2).flatten(0, 1)}, step())
    model, rows = objective.model, Rows(X)
    z = enumeration.states(model, 3)
    bound = enumeration.elbo(Recognised(model, rows), enumeration.log_joint(model, rows, z), z)
    assert first.metrics["elbo"].item() == pytest.approx(bound.mean().item(), abs=0.2)


def test_reweighted_wake_sleep_follows_the_importance_weighted_bound_in_p():
    config = ReweightedWakeSleepConfig(num_samples=2)
    objective = ReweightedWakeSleep(made("deep sbn"), config).double()
    bound = exact_bound(objective.model, LogMeanExp(), 2, Rows(X[:1]))
    truth = gradient(-bound.sum(), objective.players()[GENERATIVE])
    assert_near(estimates(objective, GENERATIVE), truth)


def test_with_many_draws_q_follows_the_posterior_at_the_data():
    """The wake phase of q has a bias from −E_p(z | x)[log q(z | x)], which falls with K: with
    2,000 draws it is below a fifth of that with 2."""
    model, rows = made("sbn"), Rows(X[:1])
    z = enumeration.states(model, 1)
    p = enumeration.log_joint(model, rows, z).softmax(0).detach()
    value = -(p * enumeration.log_q(Recognised(model, rows), z)).sum()
    truth, errors = gradient(value, model.recognition_parameters()), {}
    for num, rows_of_each in ((2, 2000), (2000, 20)):
        config = ReweightedWakeSleepConfig(num_samples=num)
        objective = ReweightedWakeSleep(model, config).double()
        batch = {"x": X[:1].expand(rows_of_each, 1, 2, 2)}
        found = estimates(objective, RECOGNITION, 10, batch).mean(0)
        errors[num] = (found - truth).norm().item()
    assert errors[2000] < 0.2 * errors[2]


def test_q_can_learn_from_half_of_each():
    losses = {}
    for kind in ("wake", "sleep", "both"):
        config = ReweightedWakeSleepConfig(recognition=kind)
        objective = ReweightedWakeSleep(made("deep sbn"), config).double()
        *_, last = objective.losses({"x": X}, step(3))
        losses[kind] = last.value.item()
    assert losses["both"] == pytest.approx((losses["wake"] + losses["sleep"]) / 2)


@pytest.mark.parametrize("objective", [WakeSleep, ReweightedWakeSleep])
@pytest.mark.parametrize("posterior", ["semi-amortised", "mean-field"])
def test_posteriors_without_networks_that_learn_are_refused(objective, posterior):
    with pytest.raises(CapabilityError, match=f"posterior of this SBN is {posterior}"):
        objective(made("sbn", posterior=posterior))


@pytest.mark.parametrize("objective", ["wake-sleep", "reweighted-wake-sleep"])
def test_two_players_learn_digits(objective):
    """The bound on data rises in 300 updates of both, far above independent pixels' start."""
    data = load_dataset("digits", "train", binarize="threshold")
    model = create_model("sbn", data=data, hidden_dims=(20,))
    stage = Stage(
        objective=Component(name=objective, config={"lr": 0.01}),
        trainer={"max_steps": 300, "batch_size": 100},
    )
    config = TrainerConfig(seed=0, threads=1, progress=False, sample_steps=0)
    trained = Trainer(model, data, (stage,), config).fit()
    x = data.head(200)["x"]
    with torch.no_grad():
        found = trained.log_prob(x, generator=torch.Generator().manual_seed(0)).values.mean()
    p = x.mean(0).clamp(1e-3, 1 - 1e-3)
    independent = (x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1).mean()
    assert found > independent + 2
