"""Permutations of many rows that are computed place by place."""

import numpy as np
import pytest
import torch

from genzoo import seeds
from genzoo.data.subsets import stratified
from genzoo.permutation import MAX_LISTED, Permutation
from genzoo.training.batches import Stream
from watched import peak, reset_peak

MANY = 10_000_019


def chi_square(first, second, bins, num):
    """Return χ² of pairs of numbers below ``num`` over bins × bins cells, by its mean."""
    cells = (first * bins // num) * bins + second * bins // num
    counts = torch.bincount(cells, minlength=bins**2).double()
    expected = len(cells) / bins**2
    return float(((counts - expected) ** 2 / expected).sum()) / (bins - 1) ** 2


@pytest.mark.parametrize("num", [1, 2, 3, 4, 5, 17, 100, 1024, 9973])
def test_every_number_comes_once(num):
    found = Permutation(num, seed=num)(torch.arange(num))
    assert found.dtype == torch.int64
    assert sorted(found.tolist()) == list(range(num))


def test_places_do_not_depend_on_one_another():
    permutation = Permutation(1000, seed=0)
    whole = permutation(torch.arange(1000))
    some = torch.tensor([999, 3, 500, 3])
    assert torch.equal(permutation(some), whole[some])


@pytest.mark.parametrize("seed", range(5))
def test_the_order_looks_uniform(seed):
    """χ² / f has the mean 1 and the deviation (2 / f)^½ = .074 for f = 361; five of these."""
    num, bins = 20_000, 20
    found = Permutation(num, seed)(torch.arange(num))
    other = Permutation(num, seed + 100)(torch.arange(num))
    pairs = {
        "place and number": (torch.arange(num), found),
        "neighbours": (found[:-1], found[1:]),
        "two seeds": (found, other),
    }
    for first, second in pairs.values():
        assert abs(chi_square(first, second, bins, num) - 1) < 5 * (2 / (bins - 1) ** 2) ** 0.5
    assert int((found == torch.arange(num)).sum()) < 8  # Fixed points have the mean 1.


def test_a_stream_of_many_rows_is_a_permutation_in_each_epoch_of_its_own():
    num = MAX_LISTED + 7
    stream = Stream(num, seed=3)
    first, second = (stream.indices(range(e * num, (e + 1) * num)) for e in (0, 1))
    for order in (first, second):
        assert torch.equal(torch.bincount(order, minlength=num), torch.ones(num).long())
    assert not torch.equal(first, second)
    assert not torch.equal(first, Stream(num, seed=4).indices(range(num)))
    across = Stream(num, seed=3).indices(range(num - 5, num + 5))
    assert torch.equal(across, torch.cat([first[-5:], second[:5]]))


@pytest.mark.parametrize("num", [12, MAX_LISTED])
def test_fewer_rows_keep_the_order_that_recipes_have(num):
    order = torch.randperm(num, generator=seeds.generator(seeds.derive_seed("order", 3, 1)))
    assert torch.equal(Stream(num, seed=3).indices(range(num, num + 12)), order[:12])


def test_the_order_of_many_rows_takes_no_memory_for_each():
    before = reset_peak()
    stream = Stream(MANY, seed=0)
    for epoch in range(3):
        stream.indices(range(epoch * MANY, epoch * MANY + 128))
    rows = stratified(None, MANY, 1000, seeds.generator(0))
    assert peak() - before < MANY  # A list would take 8 bytes for each of two epochs.
    assert len(np.unique(rows.numpy())) == 1000
    assert 0 <= int(rows.min()) < int(rows.max()) < MANY
