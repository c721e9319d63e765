"""The linear VAE against the exact likelihood of probabilistic PCA."""

import itertools

import pytest
import torch

from likelihoods import mean_log_prob
from linear import PPCA, digits, linear_vae, sigma_points
from normal_terms import terms


@pytest.fixture(scope="module")
def train():
    return digits("train")


@pytest.fixture(scope="module")
def ppca(train):
    return PPCA.fit(train, 5)


def test_the_reference_is_the_published_one(train, ppca):
    assert ppca.log_prob(train).mean().item() == pytest.approx(9.084194, abs=1e-6)
    found = [PPCA.fit(train, k).log_prob(digits("test")).mean().item() for k in (1, 2, 5, 10, 20)]
    assert found == pytest.approx([-3.959, -0.123, 7.584, 15.996, 24.932], abs=2e-3)


def test_with_the_exact_posterior_every_draw_gives_the_exact_likelihood(ppca, generator):
    x = digits("test")[:20]
    eps = torch.randn(7, 20, 5, generator=generator, dtype=torch.float64)
    log_w = terms(ppca.vae(), x, eps).log_weights
    torch.testing.assert_close(log_w, ppca.log_prob(x).expand(7, -1), rtol=0, atol=1e-9)


def test_the_bound_with_its_kl_in_closed_form_is_the_exact_likelihood(train, ppca):
    found = terms(ppca.vae(), train, sigma_points(5, len(train)))
    bound = found.reconstruction.mean() - found.kl.sum(1).mean()
    assert bound.item() == pytest.approx(9.084194, abs=1e-6)


def test_log_likelihood_is_the_exact_one_whatever_its_number_of_draws(ppca, generator):
    x = digits("test")
    for num in (1, 3, 5000):
        found = mean_log_prob(ppca.vae(), x[:50], generator=generator, num_samples=num)
        assert found.value == pytest.approx(ppca.log_prob(x[:50]).mean().item(), abs=1e-6)
        assert found.provenance["importance_samples"] == num


def test_learning_the_bound_finds_the_maximum_likelihood_solution(train):
    """From random weights, through the very terms that `elbo` lowers, to 1e-6 nat."""
    x, latent = train[:200, :16], 2
    exact = PPCA.fit(x, latent).log_prob(x).mean().item()
    model, eps = linear_vae(16, latent), sigma_points(latent, len(x))
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=3000, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        found = terms(model, x, eps)
        loss = found.kl.sum(1).mean() - found.reconstruction.mean()
        loss.backward()
        return loss

    reached = -optimizer.step(closure).item()
    reached = -closure().item()
    # L-BFGS stops where a step gains less than its tolerance, 1e-6 of the bound on some machines.
    assert reached == pytest.approx(exact, rel=1e-6)
    found = mean_log_prob(model, x, generator=torch.Generator().manual_seed(0), num_samples=20)
    assert found.value == pytest.approx(exact, abs=1e-4)


def test_the_importance_weighted_bound_rises_with_k_and_stays_below_the_truth(ppca, generator):
    """With a posterior twice too wide; 3 standard errors of 100 repetitions of 100 rows."""
    x = digits("test")[:100]
    model, exact = ppca.vae(), ppca.log_prob(x).mean().item()
    with torch.no_grad():
        model.encoder.output.bias[5:] += 2 * torch.log(torch.tensor(2.0))
        eps = torch.randn(16 * 100, 100, 5, generator=generator, dtype=torch.float64)
        log_w = terms(model, x, eps).log_weights.view(100, 16, 100)
    bounds = []
    for k in (1, 2, 4, 8, 16):
        of_k = log_w[:, :k].logsumexp(1) - torch.log(torch.tensor(float(k)))
        each = of_k.mean(1)
        bounds.append((each.mean().item(), each.std().item() / 100**0.5))
    for (low, low_error), (high, high_error) in itertools.pairwise(bounds):
        assert high - low > 3 * (low_error**2 + high_error**2) ** 0.5
    assert all(value <= exact + 3 * error for value, error in bounds)
    assert exact - bounds[-1][0] < 0.3 * (exact - bounds[0][0])
