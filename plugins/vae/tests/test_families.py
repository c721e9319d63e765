"""Families of latents: their laws, their relaxations, their sums over all values."""

import pytest
import torch
from torch.distributions import Bernoulli, Independent, OneHotCategorical, kl_divergence

from genzoo_vae.families.continuous import CONTINUOUS
from genzoo_vae.families.discrete import BernoulliFamily, CategoricalFamily

NUM = 100_000
DISCRETE = {"bernoulli": BernoulliFamily(3), "categorical": CategoricalFamily(2, 3)}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def parameters_of(family):
    return torch.linspace(-1, 1.5, family.num_parameters).double().view(1, 1, -1)


def torchs(family, parameters):
    """Return the same law as a distribution of torch."""
    if isinstance(family, BernoulliFamily):
        return Independent(Bernoulli(logits=parameters), 1)
    return Independent(OneHotCategorical(logits=parameters.unflatten(-1, family.shape)), 1)


@pytest.mark.parametrize("name", sorted(CONTINUOUS))
def test_draws_of_a_continuous_family_have_its_distribution_function(name):
    """The largest distance of both functions is below 1.95 / √n in 999 of 1,000 cases
    (Kolmogorov); log-densities and KL divergences are torch's."""
    family = CONTINUOUS[name](2)
    parameters = torch.tensor([0.4, -0.3, 0.2, -0.5]).double()[: family.num_parameters]
    z = family.draw(parameters.expand(1, 1, -1), NUM, generator())[:, 0]
    law = family.distribution(parameters)
    for j in range(2):
        at = z.clone()
        at[:] = z[:, j : j + 1]
        cdf = _cdf(name, law, at)[:, j].sort().values
        steps = torch.arange(1, NUM + 1) / NUM
        assert (cdf - steps).abs().max() < 1.95 / NUM**0.5
    torch.testing.assert_close(family.log_prob(parameters, z), law.log_prob(z).sum(-1))
    prior = family.distribution(torch.zeros_like(parameters))
    torch.testing.assert_close(family.kl(parameters), kl_divergence(law, prior))
    assert (z.mean(0) - family.mean(parameters)).abs().max() < 5 * z.std(0).max() / NUM**0.5


def _cdf(name, law, z):
    if name == "gamma":
        return torch.special.gammainc(law.concentration, law.rate * z)
    return law.cdf(z)


@pytest.mark.parametrize("name", sorted(CONTINUOUS))
def test_the_path_of_a_draw_is_its_derivative(name):
    """dz/dφ = −∂F(z; φ)/∂φ / p(z; φ) for each draw, by differences of the function F."""
    family = CONTINUOUS[name](1)
    parameters = torch.tensor([0.4, -0.3]).double()[: family.num_parameters].requires_grad_()
    z = family.draw(parameters.expand(1, 1, -1), 5, generator())[:, 0, 0]
    law, eps = family.distribution(parameters.detach()), 1e-5
    for k in range(5):
        (found,) = torch.autograd.grad(z[k], parameters, retain_graph=True)
        at = z[k].detach()[None]
        for i in range(family.num_parameters):
            nudge = eps * torch.eye(family.num_parameters).double()[i]
            up, down = (
                _cdf(name, family.distribution(parameters.detach() + s * nudge), at)
                for s in (1, -1)
            )
            wanted = -(up - down) / (2 * eps) / law.log_prob(at).exp()
            assert found[i].item() == pytest.approx(wanted.item(), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", sorted(DISCRETE))
def test_probabilities_of_all_states_are_torchs_and_sum_to_one(name):
    family = DISCRETE[name]
    parameters, states = parameters_of(family), family.states(torch.device("cpu"), torch.float64)
    assert len(states) == family.num_states == len(states.unique(dim=0))
    log_p = family.log_prob(parameters, states[:, None])[:, 0]
    torch.testing.assert_close(log_p, torchs(family, parameters[0, 0]).log_prob(states))
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)
    mean = (log_p.exp().view(-1, *[1] * (states.ndim - 1)) * states).sum(0)
    torch.testing.assert_close(family.mean(parameters)[0, 0], mean)
    other = parameters.flip(-1)
    wanted = kl_divergence(torchs(family, parameters[0, 0]), torchs(family, other[0, 0]))
    torch.testing.assert_close(family.kl(parameters, other).sum(), wanted)


@pytest.mark.parametrize("name", sorted(DISCRETE))
@pytest.mark.parametrize("how", ["draw", "harden", "reperturb"])
def test_draws_and_hardened_noise_have_the_probabilities(name, how):
    """χ² of 100,000 draws over all states is below its 99.9 % quantile, 24.3 for 7 and 26.1 for 8
    degrees of freedom. Noise that is drawn again given the value keeps the law."""
    family, g = DISCRETE[name], generator(1)
    parameters = parameters_of(family)
    z = family.draw(parameters, NUM, g)
    if how != "draw":
        z = family.harden(family.perturb(parameters, NUM, g))
    if how == "reperturb":
        again = family.reperturb(parameters, z, g)
        assert torch.equal(family.harden(again), z)
        z = family.harden(again)
    states = family.states(torch.device("cpu"), torch.float64)
    expected = NUM * family.log_prob(parameters, states[:, None])[:, 0].exp()
    rows, wanted = z.flatten(1), states.flatten(1)
    counts = torch.stack([(rows == state).all(1).sum() for state in wanted]).double()
    quantile = {8: 24.3, 9: 26.1}[family.num_states]
    assert ((counts - expected) ** 2 / expected).sum() < quantile


@pytest.mark.parametrize("name", sorted(DISCRETE))
def test_noise_drawn_given_the_value_has_the_law_of_noise(name):
    """Each place by Kolmogorov's distance of two samples, below 1.95 √(2/n)."""
    family = DISCRETE[name]
    parameters = parameters_of(family)
    first = family.perturb(parameters, NUM, generator(2))
    z = family.draw(parameters, NUM, generator(3))
    second = family.reperturb(parameters, z, generator(4))
    for a, b in zip(first.flatten(1).T, second.flatten(1).T, strict=True):
        both = torch.cat([a, b])
        order = both.argsort()
        signs = torch.where(order < NUM, 1, -1).cumsum(0)
        assert signs.abs().max() / NUM < 1.95 * (2 / NUM) ** 0.5


@pytest.mark.parametrize("name", sorted(DISCRETE))
def test_soft_values_approach_hard_ones(name):
    family = DISCRETE[name]
    g = family.perturb(parameters_of(family), 50, generator(5))
    soft = family.soften(g, 1e-3)
    assert (soft - family.harden(g)).abs().median() < 1e-6
    assert bool((family.soften(g, 1.0) > 0).all())
    assert bool((family.soften(g, 1.0) < 1).all())


@pytest.mark.parametrize("name", sorted(DISCRETE))
def test_one_place_can_be_read_and_set(name):
    family = DISCRETE[name]
    parameters = parameters_of(family)[0].clone()
    states = family.states(torch.device("cpu"), torch.float64)
    whole = sum(
        (family.indicators(states, j) * family.log_p_at(parameters, j)).sum(-1)
        for j in range(family.size)
    )
    torch.testing.assert_close(whole, family.log_prob(parameters, states[:, None])[:, 0])
    before, logits = parameters.clone(), torch.linspace(0, 2, 2 if name == "bernoulli" else 3)
    family.set_at(parameters, 1, logits.double())
    torch.testing.assert_close(family.log_p_at(parameters, 1)[0], logits.double().log_softmax(-1))
    torch.testing.assert_close(family.log_p_at(parameters, 0), family.log_p_at(before, 0))


def test_codes_and_values_are_inverse():
    family = CategoricalFamily(4, 3)
    codes = torch.tensor([[0, 2, 1, 1], [2, 2, 0, 1]])
    z = family.from_codes(codes)
    assert z.shape == (2, 4, 3)
    assert torch.equal(family.to_codes(z), codes)
