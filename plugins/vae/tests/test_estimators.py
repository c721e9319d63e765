"""Estimators of gradients: closed forms, sums over all values, and what each one refuses."""

from dataclasses import dataclass, replace

import pytest
import torch

from expectations import Kept, OneLayer, enumerated, gradients, step, z_scores
from genzoo import CapabilityError, ConfigError
from genzoo_vae.estimators.aggregates import LogMeanExp, Mean
from genzoo_vae.estimators.estimator import Problem, Subject
from genzoo_vae.estimators.pathwise import (
    DoublyReparameterised,
    Reparameterised,
    StickingTheLanding,
)
from genzoo_vae.estimators.rebar import REBAR, REBARConfig
from genzoo_vae.estimators.relaxed import (
    GumbelSoftmax,
    RelaxedConfig,
    StraightThrough,
    StraightThroughGumbel,
    temperature_at,
)
from genzoo_vae.estimators.score_function import ScoreFunction, ScoreFunctionConfig
from genzoo_vae.families.continuous import CONTINUOUS, NormalFamily
from genzoo_vae.families.discrete import BernoulliFamily, CategoricalFamily

ROWS = 100_000
DISCRETE = {"bernoulli": BernoulliFamily(3), "categorical": CategoricalFamily(2, 3)}
MANY = {"mean": (Mean(), 1), "mean of 2": (Mean(), 2), "L_2": (LogMeanExp(), 2)}


def squared(draws):
    return draws.z[0].square().sum(-1)


def score(baseline="none", **subject):
    """Return a score-function estimator for one Bernoulli layer, or for a subject."""
    given = {"families": (BernoulliFamily(3),), "num_samples": 2, "num_inputs": 5, **subject}
    return ScoreFunction(Subject(**given), ScoreFunctionConfig(baseline=baseline))


def quadratic(family):
    """Return E[a·z + zᵀMz − log q(z)], in which no value of z is like another."""
    size = family.num_parameters
    a, m = torch.linspace(-1, 1, size).double(), torch.linspace(0, 2, size**2).double().cos()
    parameters = torch.linspace(-1, 1.5, size).double()

    def f(draws):
        z = draws.z[0].flatten(2)
        return z @ a + ((z @ m.view(size, size)) * z).sum(-1) - draws.log_q

    return OneLayer(family, parameters, f, ROWS)


@pytest.mark.parametrize("theta", [0.5, 1.0, 2.0])
def test_variances_of_the_gradient_of_a_square(theta):
    """z ~ N(θ, 1), f = z²: 4 by reparameterisation, θ⁴ + 14θ² + 15 by the score, and 8θ² + 6 with
    the best constant baseline, θ² + 3. Of a million draws each is within 3 %."""
    family, parameters = NormalFamily(1), torch.tensor([theta, 0.0]).double()
    expectation = OneLayer(family, parameters, squared, 1_000_000)
    subject, best = {"families": (family,)}, torch.tensor([theta**2 + 3, 1.0]).double()
    found = {
        4: gradients(Reparameterised(Subject((family,))), expectation, Mean()),
        theta**4 + 14 * theta**2 + 15: gradients(score(**subject), expectation, Mean()),
        8 * theta**2 + 6: gradients(
            score("running-mean", **subject), expectation, Mean(), memory=Kept(baseline_0=best)
        ),
    }
    for variance, grads in found.items():
        assert grads[:, 0].mean().item() == pytest.approx(2 * theta, abs=0.03)
        assert grads[:, 0].var().item() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize("name", sorted(CONTINUOUS))
def test_a_path_and_the_score_have_the_same_expectation(name):
    """Of the derivatives of E[√(1 + z²)], by every parameter of every family: 3 standard errors
    of their difference."""
    family = CONTINUOUS[name](1)
    parameters = torch.tensor([0.3, -0.4])[: family.num_parameters].double()
    expectation = OneLayer(family, parameters, lambda d: (1 + squared(d)).sqrt(), 200_000)
    path = gradients(Reparameterised(Subject((family,))), expectation, Mean(), seed=1)
    by_score = gradients(score(families=(family,)), expectation, Mean(), seed=2)
    assert bool((z_scores(path - by_score, 0).abs() < 3).all())
    assert bool((path.mean(0).abs() > 0.01).all())  # Not 0 by accident.


@pytest.mark.parametrize("family", sorted(DISCRETE))
@pytest.mark.parametrize(
    ("name", "many"),
    [
        (name, many)
        for name in ("none", "running-mean", "leave-one-out", "rebar")
        for many in MANY
        if (name, many) != ("leave-one-out", "mean")  # One draw has no others.
    ],
)
def test_unbiased_estimators_have_the_enumerated_gradient(name, family, many):
    """Within 3 standard errors in each parameter, by seeded draws, after one update before."""
    aggregate, num_samples = MANY[many]
    expectation = quadratic(DISCRETE[family])
    subject = {"families": (DISCRETE[family],), "num_samples": num_samples}
    estimator = REBAR(Subject(**subject)) if name == "rebar" else score(name, **subject)
    memory = Kept()
    gradients(estimator, expectation, aggregate, num_samples, memory, seed=7)
    found = gradients(estimator, expectation, aggregate, num_samples, memory, seed=8)
    truth = enumerated(expectation, aggregate, num_samples)
    assert bool((z_scores(found, truth).abs() < 3).all())
    assert estimator.is_unbiased


@pytest.mark.parametrize("family", sorted(DISCRETE))
def test_a_baseline_lowers_the_variance(family):
    expectation, subject = quadratic(DISCRETE[family]), {"families": (DISCRETE[family],)}
    raised = replace(expectation, f=lambda d: expectation.f(d) + 9, rows=20_000)
    spread = {}
    for name in ("none", "running-mean", "leave-one-out", "rebar"):
        estimator = REBAR(Subject(**subject)) if name == "rebar" else score(name, **subject)
        memory = Kept()
        for seed in (1, 2):
            found = gradients(estimator, raised, Mean(), 2, memory, seed)
        spread[name] = found.var(0).sum().item()
    assert spread["running-mean"] < 0.2 * spread["none"]
    assert spread["leave-one-out"] < 0.2 * spread["none"]
    assert spread["rebar"] < 0.2 * spread["none"]


@pytest.mark.parametrize("family", sorted(DISCRETE))
def test_the_bias_of_gumbel_softmax_falls_with_the_temperature(family):
    """From 1 to .5 to .1, each time to less than six tenths."""
    expectation = replace(quadratic(DISCRETE[family]), f=_bent)
    truth, biases = enumerated(expectation, Mean()), []
    for temperature in (1.0, 0.5, 0.1):
        config = RelaxedConfig(temperature=temperature, final_temperature=None)
        estimator = GumbelSoftmax(Subject((expectation.family,)), config)
        found = gradients(estimator, expectation, Mean()).mean(0)
        biases.append((found - truth).norm().item())
    assert biases[1] < 0.6 * biases[0]
    assert biases[2] < 0.6 * biases[1]
    assert not GumbelSoftmax.is_unbiased


def _bent(draws):
    """Return a function that is not linear between the values of z."""
    z = draws.z[0].flatten(2)
    weights = torch.linspace(0.5, 2, z.shape[-1]).to(z)
    return (z * weights).sum(-1) ** 3


@pytest.mark.parametrize("cls", [StraightThrough, StraightThroughGumbel])
@pytest.mark.parametrize("family", sorted(DISCRETE))
def test_straight_through_takes_f_at_discrete_draws_and_is_biased(family, cls):
    expectation, seen = replace(quadratic(DISCRETE[family]), f=_bent), []
    spied = replace(expectation, f=lambda d: seen.append(d.z[0].detach()) or _bent(d))
    found = gradients(cls(Subject((expectation.family,))), spied, Mean())
    assert set(seen[0].unique().tolist()) == {0.0, 1.0}
    assert z_scores(found, enumerated(expectation, Mean())).abs().max() > 10
    assert not cls.is_unbiased


def test_the_shown_loss_is_the_value_of_the_bound():
    expectation, aggregate = quadratic(BernoulliFamily(3)), LogMeanExp()
    for estimator in (score("running-mean"), REBAR(Subject((BernoulliFamily(3),)))):
        found = estimator.estimate(Problem(expectation, 2, aggregate, step(), Kept()))
        assert found.loss.item() == pytest.approx(-aggregate.value(found.values).mean().item())


def test_a_running_mean_uses_earlier_rewards_only_and_those_of_its_slot():
    expectation, memory = quadratic(BernoulliFamily(3)), Kept()
    estimator = score("running-mean")
    first = estimator.estimate(Problem(expectation, 2, Mean(), step(1), memory))
    again = score().estimate(Problem(expectation, 2, Mean(), step(1), Kept()))
    torch.testing.assert_close(first.loss, again.loss)
    mean = Mean().signals(first.values).mean()
    weighted, weight = memory.kept["baseline_0"]
    assert (weighted / weight).item() == pytest.approx(mean.item())
    estimator.estimate(Problem(expectation, 2, Mean(), step(1, slot=1), memory))
    assert set(memory.kept) == {"baseline_0", "baseline_1"}


def test_a_running_mean_forgets_at_its_decay():
    """Of rewards R_1, R_2 it is (.9 R_1 + R_2) / 1.9."""
    expectation, memory = quadratic(BernoulliFamily(3)), Kept()
    estimator, means = score("running-mean"), []
    for seed in (1, 2):
        found = estimator.estimate(Problem(expectation, 2, Mean(), step(seed), memory))
        means.append(Mean().signals(found.values).mean().item())
    weighted, weight = memory.kept["baseline_0"].tolist()
    assert weighted / weight == pytest.approx((0.9 * means[0] + means[1]) / 1.9)


@dataclass(frozen=True)
class WithInputs(OneLayer):
    """An expectation with two inputs for each row."""

    @property
    def inputs(self):
        return torch.linspace(-1, 1, 2 * self.rows).double().view(self.rows, 2)


def test_a_function_of_x_learns_the_rewards_and_is_subtracted_from_them():
    """Its loss is ½ (R − b)² with b = the running mean, here 3, and the function; the gradient by
    the parameters of q is (R − b) ∇ log q."""
    given = quadratic(BernoulliFamily(3))
    parameters = given.parameters.clone().requires_grad_()
    expectation = WithInputs(given.family, parameters, given.f, 20)
    estimator = score("input-dependent", num_inputs=2).double()
    memory = Kept(baseline_0=torch.tensor([6.0, 2.0]).double())
    found = estimator.estimate(Problem(expectation, 2, Mean(), step(4), memory))
    rewards = Mean().signals(found.values)
    b = 3 + estimator.baseline.network(expectation.inputs)[:, 0]
    own = list(estimator.baseline.parameters())
    wanted = torch.autograd.grad((0.5 * (rewards - b).square()).mean(), own)
    got = torch.autograd.grad(found.loss, own, retain_graph=True)
    for a, c in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, c)
    log_q = given.family.log_prob(parameters.expand(1, 20, -1), found.draws.z[0])
    score_term = ((rewards - b.detach()) * log_q).sum(0).mean()
    (wanted_q,) = torch.autograd.grad(-score_term, parameters, retain_graph=True)
    (got_q,) = torch.autograd.grad(found.loss, parameters)
    torch.testing.assert_close(got_q, wanted_q)


def test_the_weight_of_rebars_control_variate_is_that_of_earlier_updates_of_its_slot():
    expectation, memory = quadratic(DISCRETE["bernoulli"]), Kept()
    estimator = REBAR(Subject((DISCRETE["bernoulli"],)), REBARConfig(decay=0.75))
    estimator.estimate(Problem(expectation, 1, Mean(), step(1), memory))
    first = memory.kept["rebar_0"]
    estimator.estimate(Problem(expectation, 1, Mean(), step(2, slot=1), memory))
    assert set(memory.kept) == {"rebar_0", "rebar_1"}
    assert memory.kept["rebar_0"] is first
    second = memory.kept["rebar_1"]
    estimator.estimate(Problem(expectation, 1, Mean(), step(2), memory))
    # The gradients with and without the control variate do not depend on its weight.
    torch.testing.assert_close(memory.kept["rebar_0"], 0.75 * first + second)
    a, c = memory.kept["rebar_0"].tolist()
    of_eta = estimator._eta(
        torch.zeros(1), torch.zeros(1), Problem(expectation, 1, Mean(), step(), memory)
    )
    assert of_eta.item() == pytest.approx(a / c)


def test_vimco_and_rloo_by_their_definitions():
    f = torch.tensor([[0.3], [-1.0], [2.0]]).double()
    others = [f[[1, 2], 0], f[[0, 2], 0], f[[0, 1], 0]]
    rloo = torch.stack([o.mean() / 3 for o in others])
    torch.testing.assert_close(Mean().leave_one_out(f)[:, 0], rloo)
    vimco = [torch.cat([o, o.mean()[None]]).exp().mean().log() for o in others]
    torch.testing.assert_close(LogMeanExp().leave_one_out(f)[:, 0], torch.stack(vimco))


def test_temperatures_fall_exponentially():
    config = RelaxedConfig(temperature=2.0, final_temperature=0.5)
    found = [temperature_at(config, step(index=i, total=11)) for i in (0, 5, 10, 99)]
    assert found == pytest.approx([2.0, 1.0, 0.5, 0.5])
    constant = RelaxedConfig(temperature=2.0, final_temperature=None)
    assert temperature_at(constant, step(index=10, total=11)) == 2.0


@pytest.mark.parametrize("config", [RelaxedConfig, REBARConfig])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_temperature_is_above_zero(config, value):
    with pytest.raises(ConfigError, match="temperature must be"):
        config(temperature=value)


@pytest.mark.parametrize(
    ("cls", "families", "said"),
    [
        (Reparameterised, (BernoulliFamily(2),), "does not serve Bernoulli latents. For discrete"),
        (Reparameterised, (CategoricalFamily(2, 3),), "does not serve categorical latents"),
        (StickingTheLanding, (NormalFamily(2),) * 2, "is for one layer of latents.*has 2"),
        (DoublyReparameterised, (BernoulliFamily(2),), "does not serve Bernoulli"),
        (GumbelSoftmax, (NormalFamily(2),), "does not serve normal latents.*reparameterised"),
        (StraightThrough, (NormalFamily(2),), "does not serve normal latents"),
        (StraightThroughGumbel, (CONTINUOUS["gamma"](2),), "does not serve gamma latents"),
        (REBAR, (NormalFamily(2),), "does not serve normal latents"),
        (REBAR, (BernoulliFamily(2),) * 2, "is for one layer of latents.*score-function"),
    ],
)
def test_an_estimator_refuses_latents_that_it_cannot_serve(cls, families, said):
    with pytest.raises(CapabilityError, match=said):
        cls(Subject(families))


def test_baselines_refuse_what_they_cannot_compare_with():
    with pytest.raises(CapabilityError, match=r"needs at least 2 draws.*num_samples = 1"):
        score("leave-one-out", num_samples=1)
    with pytest.raises(CapabilityError, match=r"is a function of an input, and this expectation"):
        score("input-dependent", num_inputs=None)
