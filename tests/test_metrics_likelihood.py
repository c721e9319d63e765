"""The rows that an evaluation gives to a likelihood, and those that it keeps for its start."""

import dataclasses

import pytest
import torch

import families
from genzoo import Binary, evaluate
from genzoo.capabilities import ALL, SupportsHeldOutRows, SupportsLogProb
from genzoo.data import as_dataset
from genzoo.data.subsets import Subset
from genzoo.evaluation.likelihood import log_prob
from judged import Exact, model
from judges import case

ROWS = torch.arange(256)[:, None].bitwise_right_shift(torch.arange(8)).bitwise_and(1).float()


class Starting(Exact):
    """Begins at rows, half as many as it makes draws."""

    def num_held_out(self, num_samples=None):
        return (num_samples or 40) // 2

    def log_prob(self, x, *, start=None, **options):
        self.start, self.judged = start, x
        return super().log_prob(x, **options)


def starting():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Starting(families.ToyConfig(event=Binary(shape=(8,))))


def numbers(x):
    return (x.long() << torch.arange(8)).sum(1).tolist()


def start_of(judged, seed=0, num_samples=None, index=None):
    rbm = starting()
    data = as_dataset(ROWS)
    index = torch.arange(judged) if index is None else index
    part = Subset(data, index, seed, "random") if judged < len(ROWS) else None
    found = dataclasses.replace(case(rbm, data, seed=seed), batch={"x": ROWS[index]}, part=part)
    log_prob(found, num_samples)
    assert len(rbm.judged) == judged
    return None if rbm.start is None else numbers(rbm.start)


def test_rows_that_are_not_judged_are_given():
    start = start_of(100)
    assert len(set(start)) == 20
    assert min(start) >= 100
    assert start != sorted(start)  # A draw, not the next ones.
    assert start == start_of(100)
    assert start != start_of(100, seed=1)
    assert len(start_of(100, num_samples=7)) == 3


def test_judged_rows_may_lie_anywhere():
    index = torch.arange(256).flip(0)[:200]
    start = start_of(200, index=index)
    assert len(set(start)) == 20
    assert max(start) < 56


@pytest.mark.parametrize(("judged", "num_samples"), [(256, None), (240, None), (100, 1)])
def test_no_rows_are_given_where_too_few_are_left_or_none_are_wanted(judged, num_samples):
    assert start_of(judged, num_samples=num_samples) is None


def test_other_models_are_asked_as_before():
    assert isinstance(model(), SupportsLogProb)
    assert not isinstance(model(), SupportsHeldOutRows)
    assert isinstance(starting(), SupportsHeldOutRows)
    assert SupportsHeldOutRows not in ALL


def test_evaluation_keeps_rows_for_the_start():
    rbm = starting()
    evaluate(rbm, ROWS, ["log-likelihood"], max_examples=150)
    assert len(rbm.judged) == 150
    assert not set(numbers(rbm.start)) & set(numbers(rbm.judged))
    evaluate(rbm, ROWS, ["log-likelihood"])
    assert rbm.start is None
