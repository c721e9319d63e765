"""How codes are drawn: truncated in closed form, and on an arc whose every point is a draw."""

import itertools
import math

import pytest
import torch
from scipy import stats

from games import example, gan, rows
from genzoo import Binary, CapabilityError, ConfigError, Real, create_model
from genzoo_gan.samplers import (
    Latent,
    LatentConfig,
    LatentInterpolation,
    LatentInterpolationConfig,
    arc,
    truncated,
)


def draws(num, seed=0):
    return torch.randn(num, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("c", [0.1, 0.7, 2.0])
def test_truncated_codes_follow_the_truncated_normal_distribution(c):
    """50,000 draws: the Kolmogorov–Smirnov distance below its .9995 quantile, 2.03 / √n."""
    z = truncated(draws(50_000), c)
    assert z.abs().max() <= c
    law = stats.truncnorm(-c, c)
    assert stats.kstest(z.numpy(), law.cdf).statistic < 2.03 / math.sqrt(50_000)


def test_truncation_keeps_the_order_and_far_away_changes_nothing():
    z = draws(1000)
    assert torch.equal(z.argsort(), truncated(z, 0.5).argsort())
    torch.testing.assert_close(truncated(z, 30.0), z, atol=1e-6, rtol=1e-6)


def test_a_model_is_sampled_with_truncated_codes():
    model = gan(hidden_dims=(), event=Real(shape=(2,)))
    with torch.no_grad():
        model.generator.layers[0].weight.copy_(torch.eye(2))
        model.generator.layers[0].bias.zero_()
    x = model.sample(500, seed=0, sampler=Latent(LatentConfig(truncation=0.3)))
    assert x.abs().max() <= 0.3
    assert model.sample(500, seed=0).abs().max() > 2


def test_every_state_of_an_interpolation_is_a_draw_of_the_prior():
    """20,000 codes: mean and variance of each state within 5 standard errors."""
    a, b = draws(20_000), draws(20_000, seed=1)
    for t in (0.0, 0.3, 0.5, 1.0):
        z = arc(a, b, t)
        assert abs(z.mean()) < 5 / 20_000**0.5
        assert abs(z.var() - 1) < 5 * (2 / 20_000) ** 0.5
    assert torch.equal(arc(a, b, 0.0), a)
    assert torch.equal(arc(a, b, 1.0), b)


def test_an_interpolation_goes_in_small_steps_and_ends_in_a_sample():
    model = gan(hidden_dims=(8,))
    sampler = LatentInterpolation(LatentInterpolationConfig(num_steps=20))
    generator = torch.Generator().manual_seed(3)
    states = list(sampler.trajectory(model, 4, generator=generator))
    assert len(states) == 21
    moves = [(b - a).norm() for a, b in itertools.pairwise(states)]
    assert max(moves) < 0.5 * (states[-1] - states[0]).norm()
    torch.testing.assert_close(model.sample(4, seed=3), model.sample(4, seed=3, sampler=sampler))


def test_codes_to_start_from_are_where_an_interpolation_starts():
    model, _ = example("conditional-gan")
    z, labels = rows(3, 2), torch.tensor([0, 1, 2])
    states = LatentInterpolation().trajectory(
        model, 3, start=z, condition={"label": labels}, generator=torch.Generator()
    )
    torch.testing.assert_close(next(states), model.decode(z, condition=labels))
    x = model.sample(3, start=z, condition=labels)
    torch.testing.assert_close(x, model.decode(z, condition=labels))


@pytest.mark.parametrize("sampler", [Latent(), LatentInterpolation()])
def test_a_model_without_a_generator_is_refused(sampler):
    model = create_model("rbm", event=Binary(shape=(4,)), num_hidden=2)
    with pytest.raises(CapabilityError, match="needs a model that is a LatentModel; RBM is not"):
        model.sample(2, seed=0, sampler=sampler)


def test_a_truncation_at_nothing_is_refused():
    with pytest.raises(ConfigError, match="truncation"):
        LatentConfig(truncation=0.0)
