"""Likelihoods: they sum to one, have the moments they say, and draw what they promise."""

import math

import pytest
import torch
from torch.distributions import TransformedDistribution, Uniform
from torch.distributions.transforms import AffineTransform, SigmoidTransform

from genzoo import Binary, ConfigError, Real, Unit
from genzoo_vae.likelihoods import (
    BernoulliLikelihood,
    DiscretizedLogistic,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    check_likelihood,
    independent,
    make_likelihood,
    usual,
)

LOC = torch.tensor([-0.4, 0.0, 0.31, 0.5, 0.98, 1.7], dtype=torch.float64)


def grid(levels):
    return torch.arange(levels, dtype=torch.float64)[:, None] / (levels - 1)


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("scale", [1e-3, 0.05, 2.0])
def test_the_levels_probabilities_sum_to_one(levels, scale):
    p = DiscretizedLogistic(LOC, torch.tensor(scale).double(), levels).log_prob(grid(levels))
    torch.testing.assert_close(p.logsumexp(0), torch.zeros(6).double(), rtol=0, atol=1e-9)


def test_a_level_has_the_mass_of_its_interval():
    """Against the distribution function of a logistic built from a uniform by torch."""
    loc, scale, half = torch.tensor(0.31).double(), torch.tensor(0.2).double(), 0.5 / 16
    steps = [SigmoidTransform().inv, AffineTransform(loc, scale)]
    logistic = TransformedDistribution(Uniform(torch.tensor(0.0).double(), 1.0), steps)
    x = grid(17)[1:-1, 0]
    mass = logistic.cdf(x + half) - logistic.cdf(x - half)
    found = DiscretizedLogistic(loc.expand(15), scale, 17).log_prob(x).exp()
    torch.testing.assert_close(found, mass)


@pytest.mark.parametrize("levels", [2, 3, 256])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_lowest_and_the_highest_level_have_all_of_their_tails(levels, dtype):
    """log P(0) = log σ((δ/2 − μ) / s), log P(1) = log σ((μ − 1 + δ/2) / s), δ = 1 / (L − 1)."""
    loc, half = LOC.to(dtype), 0.5 / (levels - 1)
    distribution = DiscretizedLogistic(loc, torch.tensor(0.3, dtype=dtype), levels)
    for value, distance in ((0.0, half - loc), (1.0, loc - 1 + half)):
        wanted = -torch.log1p((-distance.double() / 0.3).exp())
        found = distribution.log_prob(torch.tensor(value, dtype=dtype))
        torch.testing.assert_close(found, wanted.to(dtype))


def test_far_tails_keep_a_finite_slope():
    loc = torch.tensor([0.9], dtype=torch.float32, requires_grad=True)
    log_p = DiscretizedLogistic(loc, torch.tensor(0.001), 256).log_prob(torch.tensor([0.1]))
    log_p.backward()
    assert math.isfinite(log_p.item())
    assert loc.grad.item() == pytest.approx(-1000, rel=1e-3)


def test_its_mean_is_the_sum_over_levels():
    distribution = DiscretizedLogistic(LOC, torch.tensor(0.2).double(), 17)
    mean = (grid(17) * distribution.log_prob(grid(17)).exp()).sum(0)
    torch.testing.assert_close(distribution.mean, mean)


@pytest.mark.parametrize("own", [True, False])
def test_draws_are_levels_as_often_as_they_are_likely(own, generator):
    """χ² of 20,000 draws over 17 levels: below 40.8, the 0.9994 quantile at 16 degrees."""
    likelihood = DiscretizedLogisticLikelihood(17).double()
    outputs = torch.full((20_000,), 0.4).double()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        draws = likelihood.draw(outputs, generator) if own else likelihood(outputs).sample()
    index = (draws * 16).round().long()
    torch.testing.assert_close(draws, index.double() / 16)
    expected = 20_000 * likelihood(outputs[:1]).log_prob(grid(17)[:, :1]).exp().flatten().detach()
    counts = torch.bincount(index, minlength=17)
    assert ((counts - expected) ** 2 / expected.clamp_min(1)).sum() < 40.8


def test_gaussian_draws_have_the_moments_of_the_distribution(generator):
    """Of 100,000 draws, within 4 standard errors."""
    likelihood = GaussianLikelihood().double()
    outputs = torch.full((100_000,), 1.5).double()
    draws, sigma = likelihood.draw(outputs, generator).detach(), likelihood.scale.item()
    assert sigma == pytest.approx(0.5)
    assert draws.mean().item() == pytest.approx(1.5, abs=4 * sigma / 100_000**0.5)
    assert draws.std().item() == pytest.approx(sigma, rel=4 / 200_000**0.5)


def test_coins_fall_as_often_as_they_should(generator):
    """Of 100,000 coins, within 4 standard errors."""
    outputs = torch.full((100_000,), -1.0).double()
    draws = BernoulliLikelihood().draw(outputs, generator)
    p = 1 / (1 + math.e)
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert draws.mean().item() == pytest.approx(p, abs=4 * (p * (1 - p) / 100_000) ** 0.5)


def test_a_constant_pixel_cannot_make_a_density_infinite():
    likelihood = GaussianLikelihood()
    with torch.no_grad():
        likelihood.log_scale.fill_(-100.0)
    assert likelihood.scale.item() == pytest.approx(math.exp(-7))


def test_a_location_has_the_mean_that_was_asked_for():
    mean = torch.tensor([0.2, 0.5, 0.9])
    for likelihood in (BernoulliLikelihood(), GaussianLikelihood()):
        torch.testing.assert_close(likelihood(likelihood.location(mean)).mean, mean)
    assert BernoulliLikelihood().location(torch.tensor([0.0, 1.0])).isfinite().all()


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("bernoulli", BernoulliLikelihood),
        ("gaussian", GaussianLikelihood),
        ("discretized-logistic", DiscretizedLogisticLikelihood),
    ],
)
def test_a_likelihood_is_made_by_its_name(name, cls):
    event = {"bernoulli": Binary(shape=(2,))}.get(name, Unit(shape=(2,), levels=17))
    assert type(make_likelihood(name, event)) is cls


def test_grey_levels_are_those_of_the_event():
    for levels in (17, 256):
        event = Unit(shape=(2,), levels=levels)
        assert make_likelihood("discretized-logistic", event).levels == levels


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Binary(shape=(2,)), "bernoulli"),
        (Unit(shape=(2,), levels=17), "discretized-logistic"),
        (Unit(shape=(2,)), "gaussian"),
        (Real(shape=(2,)), "gaussian"),
    ],
)
def test_data_have_a_likelihood_of_their_own(event, name):
    assert usual(event) == name
    check_likelihood(name, event)


@pytest.mark.parametrize(
    ("event", "name", "said"),
    [
        (Unit(shape=(2,), levels=17), "bernoulli", "Binarise them"),
        (Unit(shape=(2,)), "bernoulli", r"make the model with likelihood='gaussian'"),
        (Binary(shape=(2,)), "gaussian", r"real or unit data.*Make .* likelihood='bernoulli'"),
        (Real(shape=(2,)), "discretized-logistic", "likelihood='gaussian'"),
        (Unit(shape=(2,)), "discretized-logistic", "data with levels"),
    ],
)
def test_data_without_that_likelihood_are_refused(event, name, said):
    with pytest.raises(ConfigError, match=said):
        check_likelihood(name, event)


def test_an_example_is_as_likely_as_all_of_its_values_together():
    outputs, x = torch.randn(5, 1, 2, 3), torch.ones(5, 1, 2, 3)
    each = BernoulliLikelihood()(outputs)
    whole = independent(each, 3)
    torch.testing.assert_close(whole.log_prob(x), each.log_prob(x).sum((1, 2, 3)))
    assert whole.event_shape == (1, 2, 3)


@pytest.mark.parametrize("scale", [0.1, 3.0, 60.0])
def test_without_gradients_a_bernoulli_loses_no_digits(scale, generator):
    """Against float64 with gradients, where the sum over 784 values is of the usual form."""
    x = torch.rand(3, 1, 28, 28, generator=generator).round()
    outputs = scale * torch.randn(2, 3, 1, 28, 28, generator=generator)
    wanted = BernoulliLikelihood().log_prob(outputs.double().requires_grad_(), x.double())
    assert wanted.requires_grad
    with torch.no_grad():
        found = BernoulliLikelihood().log_prob(outputs, x)
        exact = BernoulliLikelihood().log_prob(outputs.double(), x.double())
    torch.testing.assert_close(found.double(), wanted, rtol=2e-6, atol=0)
    torch.testing.assert_close(exact, wanted, rtol=1e-14, atol=0)


@pytest.mark.parametrize("dims", [1, 2, 3, 31, 64, 65, 784])
def test_without_gradients_a_bernoulli_has_the_same_likelihood(dims, generator):
    """In float32 the products of factors keep what float64 says, to the digits of the sum."""
    outputs = 12 * torch.randn(2, 5, dims, generator=generator)
    outputs[0, 0] = 200.0  # far out, where e^t overflows
    outputs[0, 1] = 0.0  # all factors are 2
    x = torch.randint(2, (5, dims), generator=generator).float()
    expected = -torch.nn.functional.binary_cross_entropy_with_logits(
        outputs.double(), x.double().expand(2, 5, dims), reduction="none"
    ).sum(-1)
    with torch.no_grad():
        given = make_likelihood("bernoulli", Binary(shape=(dims,))).log_prob(outputs, x)
    torch.testing.assert_close(given.double(), expected, rtol=1e-6, atol=1e-5)


def test_a_likelihood_of_half_precision_does_not_overflow():
    with torch.no_grad():
        likelihood = make_likelihood("bernoulli", Binary(shape=(784,)))
        given = likelihood.log_prob(torch.zeros(1, 1, 784).half(), torch.ones(1, 784).half())
    torch.testing.assert_close(given, torch.full((1, 1), -784 * math.log(2)))
