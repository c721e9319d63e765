"""The bound of discrete diffusion, compared with enumeration of its chain in float64."""

import itertools
import math

import pytest
import torch

from enumerable_chains import K, exact, formula, index_of, law_of_chain, random_law, small, states
from genzoo import Binary, Categorical
from genzoo_diffusion.discrete_bound import (
    MaskedPlaces,
    estimate,
    prior_term,
    rate_at,
    step_divergence,
)
from genzoo_diffusion.discrete_diffusion import DiscreteDiffusion, DiscreteDiffusionConfig
from genzoo_diffusion.discrete_kernels import Absorbing

KERNELS = ("absorbing", "uniform")
SCHEDULES = ("log-linear", "linear", "cosine")


@torch.no_grad()
def by_subsets(model, x_0, T):
    """Return the bound on −log p by all choices of masked places, with exact weights."""
    places = MaskedPlaces.of(model, T)
    D = x_0.shape[0]
    total = 0.0
    for k in range(1, D + 1):
        found = []
        for chosen in itertools.combinations(range(D), k):
            x_t = x_0.clone()[None]
            x_t[0, list(chosen)] = model.num_categories
            log_p = model.log_denoised(x_t, torch.zeros(1), model.signal(None, 1))[0]
            found.append(-sum(log_p[i, x_0[i]] for i in chosen) / k)
        total += float(places.weights[k - 1]) * float(sum(found)) / len(found)
    return total


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_bound_is_its_formula_and_at_most_log_p_of_the_chain(kernel, schedule):
    model, T = small(kernel, schedule=schedule), 4
    log_p = law_of_chain(model, T).log()
    for x_0 in (torch.tensor([0, 2, 1]), torch.tensor([1, 1, 1])):
        bound = formula(model, x_0, T)
        truth = log_p[index_of(x_0[None], model.kernel.num_states)].item()
        assert -bound <= truth + 1e-8
        assert -bound > truth - 5  # A bound of −∞ would hold as well.
        assert by_states(model, x_0, T) == pytest.approx(bound, abs=1e-8)
        if kernel == "absorbing":
            assert by_subsets(model, x_0, T) == pytest.approx(bound, abs=1e-8)


@torch.no_grad()
def by_states(model, x_0, T):
    """Return the bound by the kernel's divergence at all states, with their probabilities."""
    alpha, everything = model.schedule.grid(T), states(model.kernel.num_states, len(x_0))
    total = 0.0
    for i in range(1, T + 1):
        q = torch.ones(len(everything), dtype=torch.float64)
        for place in range(len(x_0)):
            kept = (everything[:, place] == x_0[place]).double()
            other = (
                (everything[:, place] == K).double()
                if model.kernel.num_states > K
                else torch.full_like(kept, 1 / K)
            )
            q = q * (alpha[i] * kept + (1 - alpha[i]) * other)
        t = torch.full((len(everything),), i / T, dtype=torch.float64)
        log_p = model.log_denoised(everything, t, model.signal(None, len(everything)))
        rows = x_0.expand(len(everything), -1)
        each = model.kernel.divergence(rows, everything, log_p, alpha[i - 1], alpha[i])
        total += float(torch.where(q > 0, q * each, 0.0).sum())
    return total


def test_masked_places_have_weight_one_over_k_in_continuous_time_for_every_schedule():
    for schedule in SCHEDULES:
        model = small(schedule=schedule)
        assert MaskedPlaces.of(model, None).weights.tolist() == [1, 1, 1]
        fine = MaskedPlaces.of(model, 20_000).weights
        torch.testing.assert_close(fine, torch.ones(3, dtype=torch.float64), atol=5e-4, rtol=0)


def test_the_bound_rises_with_the_number_of_steps_to_that_of_continuous_time():
    """Of an exact network: fewer places are drawn at once."""
    model = exact()
    means = [
        sum(p * -by_subsets(model, x, T) for p, x in zip(random_law(), states(K, 3), strict=True))
        for T in (1, 2, 4, 16, 256, None)
    ]
    assert means == sorted(means)
    assert means[-1] - means[-2] < 0.01


def test_with_an_exact_network_the_continuous_bound_is_the_log_probability_on_average():
    """The order-agnostic chain of exact conditionals is the law itself: its bound is tight."""
    law, model = random_law(), exact()
    rows = states(K, 3)
    for p, x in zip(law, rows, strict=True):
        assert by_subsets(model, x, None) == pytest.approx(-math.log(p), abs=1e-8)


@torch.no_grad()
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_continuous_rate_is_the_limit_of_the_steps(kernel):
    """The mean rate over all states, integrated over t, against 2,000 steps; rows in float64."""
    model, x_0, T = small(kernel, T=None), torch.tensor([[0, 2, 1]]), 2000
    t = (torch.arange(T, dtype=torch.float64) + 0.5) / T
    alpha, slope = model.schedule.alpha(t), model.schedule.slope(t)
    everything = states(model.kernel.num_states, 3)
    integral = steps = 0.0
    grid = model.schedule.grid(T)
    for i in range(0, T, 20):
        for total, a, at in (("rate", alpha[i], t[i]), ("step", grid[i + 1], (i + 1) / T)):
            q = torch.stack(
                [_place_law(model, x_0[0, j], everything[:, j], a) for j in range(3)]
            ).prod(0)
            times = torch.full((len(everything),), float(at), dtype=torch.float64)
            log_p = model.log_denoised(everything, times, model.signal(None, len(everything)))
            rows = x_0.expand(len(everything), -1)
            if total == "rate":
                each = model.kernel.rate(rows, everything, log_p, a, slope[i])
                integral += float(torch.where(q > 0, q * each, 0.0).sum()) * 20 / T
            else:
                each = model.kernel.divergence(rows, everything, log_p, grid[i], grid[i + 1])
                steps += float(torch.where(q > 0, q * each, 0.0).sum()) * 20
    assert integral == pytest.approx(steps, rel=5e-3)


def _place_law(model, x, values, alpha):
    kept = (values == x).double()
    if model.kernel.num_states > K:
        return alpha * kept + (1 - alpha) * (values == K)
    return alpha * kept + (1 - alpha) / K


@pytest.mark.parametrize("T", [4, None])
@pytest.mark.parametrize("kernel", KERNELS)
def test_log_prob_is_unbiased_and_its_error_is_right(kernel, T):
    """400 repetitions: the mean within 4.5 of its errors, the error within a quarter."""
    model, num = small(kernel, T), 400
    x_0 = torch.tensor([0, 2, 1])
    if T is None and kernel == "uniform":
        truth = -by_states(model, x_0, 1000)
        rough = 0.01  # of 1,000 steps
    else:
        truth, rough = -(by_subsets if kernel == "absorbing" else by_states)(model, x_0, T), 0.0
    rows = x_0.expand(num, -1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        found = model.log_prob(rows, num_samples=8, generator=generator)
    spread = found.values.std().item()
    assert abs(found.values.mean().item() - truth) < 4.5 * spread / math.sqrt(num) + rough
    stated = found.std_errors.square().mean().sqrt().item()
    # Neighbouring parts have other means, so the stated error may be larger than the true one.
    assert 0.8 * spread < stated < 2 * spread


@pytest.mark.parametrize("kernel", KERNELS)
def test_all_steps_are_used_if_there_are_as_many_draws(kernel):
    model, x = small(kernel, T=3), torch.tensor([[0, 2, 1]])
    found = model.log_prob(x, num_samples=50, generator=torch.Generator().manual_seed(0))
    assert found.provenance["num_samples"] == (50 if kernel == "absorbing" else 3)
    assert found.kind == "lower bound"
    assert found.measure == "mass"


def test_a_share_that_stays_at_the_end_counts_as_a_divergence_from_the_prior():
    model = small("uniform", T=4, alpha_end=0.01)
    law = torch.tensor([0.01 + 0.99 / 3, 0.33, 0.33], dtype=torch.float64)
    divergence = 3 * float((law * (3 * law).log()).sum())
    assert prior_term(model) == pytest.approx(divergence, rel=1e-12)
    x, generator = torch.tensor([[0, 2, 1]]), torch.Generator()
    with torch.no_grad():
        steps = [
            step_divergence(
                model, x, model.signal(None, 1), torch.tensor([i]), 4, generator.manual_seed(i)
            )
            for i in range(1, 5)
        ]
        assert all(step >= 0 for step in steps)
    infinite = Absorbing(3).prior_divergence(0.01)
    assert infinite == math.inf


def test_finite_steps_are_computed_for_a_model_of_continuous_time():
    """The same network serves every number of steps, as the kernel's network sees no time."""
    model, x = small(T=None), torch.tensor([[0, 2, 1]] * 200)
    with torch.no_grad():
        found = estimate(
            model, x, model.signal(None, 200), torch.Generator().manual_seed(0), 16, 8
        )
    truth = -by_subsets(model, x[0], 8)
    assert found.values.mean().item() == pytest.approx(
        truth, abs=4.5 * found.values.std().item() / math.sqrt(200)
    )


def test_binary_data_are_two_categories():
    config = DiscreteDiffusionConfig(event=Binary(shape=(1, 2, 2)), network="flat", hidden_dim=4)
    model = DiscreteDiffusion(config)
    x = torch.tensor([[[[0.0, 1.0], [1.0, 1.0]]]])
    assert model.state(x).tolist() == [[[[0, 1], [1, 1]]]]
    assert model.to_data(torch.tensor([[[[0, 2], [1, 1]]]])).tolist() == [[[[0, 0.5], [1, 1]]]]
    assert model.log_prob(x, num_samples=2).values.shape == (1,)


# Texts


def words(D=3):
    return Categorical(shape=(D,), num_categories=3, names=("a", "b", ""))


def test_paddings_after_the_end_cost_nothing_and_rows_of_the_space_sum_to_at_most_one():
    """With steps, letters after an end are drawn with some probability; one at a time, never."""
    event = words()
    model = small(T=None, event=event)
    rows = event.enumerate()
    bounds = torch.tensor([-by_subsets(model, row, None) for row in rows])
    assert bounds.exp().sum() <= 1 + 1e-9
    # A network that gives every letter and end the same probability: "" costs one end, "a" and
    # "b" a letter and an end.
    model.network.table.data.zero_()
    empty = -by_subsets(model, torch.tensor([2, 2, 2]), None)
    assert empty < 0
    # Averaged over the place that is shown first, an end at place 0 costs less than three ends.
    assert empty > 3 * math.log(1 / 3)
    x = torch.tensor([[2, 3, 3], [3, 1, 3], [3, 3, 3]])
    log_p = model.log_denoised(x, torch.zeros(3), model.signal(None, 3))
    assert log_p[0, 1:].exp().tolist() == [[0, 0, 1], [0, 0, 1]]
    assert log_p[1, 0].exp().tolist() == pytest.approx([0.5, 0.5, 0])
    assert log_p[1, 2].exp().tolist() == pytest.approx([1 / 3] * 3)
    assert log_p[2].exp().flatten().tolist() == pytest.approx([1 / 3] * 9)


def test_gradients_of_texts_are_finite():
    model = small(T=None, event=words())
    x = words().enumerate()
    (-model.log_prob(x, num_samples=4).values.mean()).backward()
    grad = model.network.table.grad
    assert bool(torch.isfinite(grad).all())
    assert grad.abs().sum() > 0


def test_rates_are_finite_at_both_ends_of_time():
    model, x = small("uniform", T=None), torch.tensor([[0, 2, 1]] * 50)
    for t in (1e-9, 1 - 1e-6):
        times = torch.full((50,), t, dtype=torch.float64)
        found = rate_at(model, x, model.signal(None, 50), times, torch.Generator().manual_seed(0))
        assert bool(torch.isfinite(found).all())
        assert bool((found >= 0).all())
