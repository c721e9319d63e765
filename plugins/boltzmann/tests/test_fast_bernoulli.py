"""Draws of zeros and ones: their law, and that a seed gives the same ones."""

import pytest
import torch

from genzoo_boltzmann.fast_bernoulli import bernoulli

SHAPES = [(20, 30), (200, 301)]  # Below and above what opens a stream; an odd number of values.
TYPES = [torch.float32, torch.float64]


def _draw(probs, seed=0):
    return bernoulli(probs, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_zeros_and_ones_with_their_shares(shape, dtype):
    probs = torch.linspace(0, 1, shape[1], dtype=dtype).expand(shape)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([bernoulli(probs, generator) for _ in range(100)])
    assert drawn.dtype == dtype
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    # Of each column's shares the error is √(p (1 − p) / draws); six of them bound all columns'.
    draws = 100 * shape[0]
    error = (drawn.mean((0, 1)) - probs[0]).abs()
    assert (error <= 6 * (probs[0] * (1 - probs[0]) / draws).sqrt() + 1e-7).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_certain_ones_are_certain(shape):
    assert _draw(torch.ones(shape)).all()
    assert not _draw(torch.zeros(shape)).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_seed_gives_the_same_draw_and_the_next_is_another(shape):
    probs = torch.full(shape, 0.5)
    assert torch.equal(_draw(probs), _draw(probs))
    assert not torch.equal(_draw(probs, 0), _draw(probs, 1))
    generator = torch.Generator().manual_seed(0)
    first, second = bernoulli(probs, generator), bernoulli(probs, generator)
    # Independent fair coins agree in half of the places; five standard errors.
    agree = (first == second).float().mean().item()
    assert abs(agree - 0.5) < 5 * 0.5 / probs.numel() ** 0.5


def test_neighbours_and_rows_are_independent():
    """Two values are cut from one word: neither they nor the rows go together."""
    coins = _draw(torch.full((400, 400), 0.5)) - 0.5
    error = 5 * 0.25 / coins.numel() ** 0.5
    assert (coins[:, :-1] * coins[:, 1:]).mean().abs() < error
    assert (coins[:-1] * coins[1:]).mean().abs() < error


def test_a_probability_of_a_millionth_is_met():
    """24 bits tell it from nothing: 5 ± 2.2 of five million are ones."""
    generator = torch.Generator().manual_seed(0)
    probs = torch.full((1000, 500), 1e-6)
    assert 0 < sum(bernoulli(probs, generator).sum().item() for _ in range(10)) < 17
