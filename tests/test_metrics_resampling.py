"""Errors from halves and blocks: known variances, and one cell of the calibration."""

import importlib
import math
from pathlib import Path

import pytest
import torch

from genzoo import seeds
from genzoo.evaluation.resampling import (
    _blocks,
    blocks_of,
    design_effects,
    halving_error,
    mean_with_error,
    partitions_of,
)

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=seeds.generator(seed), dtype=torch.float64)


# Halves.


def between_means(x, y):
    return (x.mean(0) - y.mean(0)).square().sum().item()


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
def test_the_error_of_a_squared_distance_is_its_spread_at_and_away_from_equal_laws(shift):
    """‖x̄ − ȳ‖² of N rows of N(0, I_D) has the variance 4 Δ²σ² + 2 D σ⁴, σ² = 2/N.

    Over 100 draws the mean of claims that are known within a fifth has an error of 2 %. For equal
    laws a bootstrap claims 1.7 times the truth, and the linear part alone 1.4 times.
    """
    num, size = 60, 12
    variance = 2 / num
    truth = math.sqrt(4 * size * shift**2 * variance + 2 * size * variance**2)
    claims = [
        halving_error(
            between_means,
            drawn(num, size, seed=2 * i),
            drawn(num, size, seed=2 * i + 1) + shift,
            40,
            seeds.generator(i),
        )
        for i in range(100)
    ]
    assert 0.9 < sum(claims) / len(claims) / truth < 1.12


def test_the_error_of_a_distance_is_never_zero_while_halves_differ():
    """Of one direction the linear part, estimated, may be less than the quadratic one."""
    claims = [
        halving_error(
            between_means,
            drawn(40, 1, seed=2 * i),
            drawn(40, 1, seed=2 * i + 1),
            20,
            seeds.generator(i),
        )
        for i in range(100)
    ]
    assert min(claims) > 0


# Blocks.


def test_blocks_are_disjoint_and_hold_each_row_once():
    x, y = torch.arange(23)[:, None], torch.arange(40)[:, None]
    parts = list(blocks_of(x, y, 4, seeds.generator(0)))
    assert [len(a) for a, _ in parts] == [5] * 4
    assert [len(b) for _, b in parts] == [10] * 4
    for rows, num in (
        (torch.cat([a for a, _ in parts]), 20),
        (torch.cat([b for _, b in parts]), 40),
    ):
        assert rows.unique().numel() == num
    again = list(blocks_of(x, y, 4, seeds.generator(0)))
    assert all(torch.equal(a, c) for (a, _), (c, _) in zip(parts, again, strict=True))
    other = next(blocks_of(x, y, 4, seeds.generator(1)))
    assert not torch.equal(parts[0][0], other[0])
    assert [len(a) for a, _ in blocks_of(x, y, 2, seeds.generator(0), 7)] == [7, 7]


@pytest.mark.parametrize(("blocks", "partitions"), [(2, 48), (4, 16), (8, 7), (100, 1)])
def test_few_blocks_are_drawn_more_often(blocks, partitions):
    assert partitions_of(blocks) == partitions


@pytest.mark.parametrize(("num", "blocks"), [(50, 2), (1000, 2), (1001, 4), (2501, 8)])
def test_there_are_as_few_blocks_as_the_number_of_rows_allows(num, blocks):
    rows = torch.zeros(num, 1)
    _, made = design_effects(lambda x, y: [x[:, 0].double()], rows, rows, seeds.generator(0))
    assert made == {"blocks": blocks, "partitions": partitions_of(blocks)}


def test_the_design_effect_is_the_variance_over_that_of_independent_rows():
    """x_i has 1; x_i + ȳ has 2, as ȳ has the variance of x̄; x_i − x̄ + ȳ / 2 has 1/4.

    Of 48 degrees of freedom a ratio of variances is known within a fifth; within 4 % in the mean
    of 25 draws.
    """

    def values(x, y):
        x, y = x[:, 0], y[:, 0]
        return [x, x + y.mean(), x - x.mean() + y.mean() / 2]

    found = [
        design_effects(
            values, drawn(80, 1, seed=2 * i), drawn(80, 1, seed=2 * i + 1), seeds.generator(i)
        )[0]
        for i in range(25)
    ]
    mean = torch.stack(found).mean(0).tolist()
    assert mean == pytest.approx([1, 2, 0.25], rel=0.16)


def test_rows_that_all_agree_have_an_effect_of_one_and_the_error_of_one_row():
    ones = torch.ones(60).double()
    effects, _ = design_effects(lambda x, y: [x], ones, ones, seeds.generator(0))
    assert effects.tolist() == [1]
    figure = mean_with_error(ones, 1.0, "share")
    assert (figure.value, figure.std_error, figure.unit) == (1, 1 / 60, "share")


def test_the_error_of_a_mean_grows_by_the_root_of_the_effect():
    values = drawn(50)
    plain = values.std().item() / 50**0.5
    assert mean_with_error(values, 1.0, "").std_error == pytest.approx(plain)
    assert mean_with_error(values, 2.25, "").std_error == pytest.approx(1.5 * plain)


# Calibration.


@pytest.mark.parametrize(("group", "figures"), [("distances", 2), ("neighbours", 5)])
def test_claimed_errors_are_the_spread_over_fresh_data_and_samples(group, figures, monkeypatch):
    """Two cells of `make calibrate`: 400 draws of N(0, I₈), 150 rows on each side.

    The spread of 400 values is known within 3.5 %, the mean of 30 claims within some 4 %. The
    errors of independent rows were .69 (density) to .88 of it, a bootstrap's 1.7 times.
    """
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    calibration = importlib.import_module("error_calibration")
    found = calibration.measure(calibration.Cell("equal", 150, 8, group), claims=30)
    ratios = {name: figure["ratio"] for name, figure in found.items()}
    assert len(ratios) == figures
    assert all(0.85 < ratio < 1.2 for ratio in ratios.values()), ratios


def test_the_smaller_set_says_how_many_blocks_there_are():
    """As few as its number of rows allows: more of them would be too small for the figures."""
    assert [_blocks(num) for num in (10, 1000, 1001, 2500, 2501)] == [2, 2, 4, 4, 8]

    def values(x, y):
        return [x[:, 0], y[:, 0]]

    for sizes in ((20, 1100), (1100, 20)):
        x, y = (drawn(num, 1) for num in sizes)
        _, made = design_effects(values, x, y, seeds.generator(0))
        assert made == {"blocks": 2, "partitions": 48}
