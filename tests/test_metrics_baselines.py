"""The independent-pixel model against its formula."""

import math

import pytest
import torch
from torch.distributions import Bernoulli

import families
from genzoo.data import load_dataset
from genzoo.evaluation import evaluate
from genzoo.evaluation.baselines import independent_log_likelihood
from judges import Replay


def test_independent_pixels_are_coins():
    x = families.rows(20, 2, 3, seed=1, binary=True)
    mean = families.rows(2, 3, seed=3)
    found = independent_log_likelihood(x, mean, 1e-3)
    expected = Bernoulli(mean.double()).log_prob(x.double()).sum((1, 2))
    torch.testing.assert_close(found, expected)


def test_independent_pixels_sum_to_one_over_all_states():
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 6)
    total = independent_log_likelihood(states, families.rows(6, seed=3), 1e-3).logsumexp(0)
    assert total.item() == pytest.approx(0, abs=1e-12)


def test_a_pixel_that_was_never_on_costs_the_least_probability():
    found = independent_log_likelihood(torch.tensor([[1.0], [0.0]]), torch.zeros(1), 1e-3)
    assert found.tolist() == pytest.approx([math.log(1e-3), math.log(1 - 1e-3)])


def test_the_baseline_takes_the_training_splits_mean():
    train = load_dataset("digits", binarize="threshold")
    test = load_dataset("digits", "test", binarize="threshold")
    x, mu = test.head(297)["x"].double(), train.head(1500)["x"].double().mean(0)
    mu = mu.clamp(1e-3, 1 - 1e-3)
    values = (x * mu.log() + (1 - x) * (1 - mu).log()).sum((1, 2, 3))
    figure = evaluate(Replay(x.float()), test, ["independent-pixels"]).figures[
        "independent-pixels"
    ]
    assert figure.value == pytest.approx(values.mean().item(), rel=1e-6)
    assert figure.std_error == pytest.approx((values.std() / 297**0.5).item(), rel=1e-6)
    assert (figure.kind, figure.unit, figure.num_samples) == ("exact", "nats", 297)
