"""The two-sample test: a half where the laws are equal, and never by the order of rows."""

import pytest
import torch

from genzoo.data import from_array
from genzoo.evaluation.features import Compared, FeatureConfig
from genzoo.evaluation.two_sample import TwoSample, told_apart
from judges import Replay, case


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_equal_laws_are_told_apart_by_chance():
    """The mean over 30 draws of 2 × 200 rows, within four of its standard errors of 1/2.

    A row of 400 has 199 others of its own set and 200 of the other: 199/399 is expected.
    """
    found = torch.tensor(
        [
            told_apart(drawn(200, 3, seed=2 * s), drawn(200, 3, seed=2 * s + 1)).mean()
            for s in range(30)
        ]
    )
    assert abs(found.mean() - 199 / 399) < 4 * found.std() / 30**0.5


def test_laws_that_do_not_meet_are_always_told_apart():
    assert told_apart(drawn(50, 3), drawn(50, 3, seed=1) + 100).mean() == 1


def test_samples_that_are_the_data_are_never_told_apart():
    x = drawn(50, 3)
    assert told_apart(x, x + 1e-3).mean() < 0.01


def test_the_nearest_neighbour_of_each_row_is_found():
    x, y = torch.tensor([[0.0], [1.0]]).double(), torch.tensor([[1.2], [5.0]]).double()
    assert told_apart(x, y).tolist() == [1, 0, 0, 1]
    x, y = torch.tensor([[0.0], [0.1]]).double(), torch.tensor([[5.0], [5.1]]).double()
    assert told_apart(x, y).tolist() == [1, 1, 1, 1]


def test_ties_count_one_half_whatever_the_order():
    states = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double().repeat(20, 1)
    assert told_apart(states, states.flip(0)).tolist() == [0.5] * 80


def test_the_error_is_the_spread_over_draws_where_rows_are_right_in_pairs():
    """Of 300 draws of 2 × 60 rows the spread is known within 4 %; independent rows claim .8 of it.

    Many rows are nearest to each other, and right or wrong together.
    """
    values, claims = [], []
    for seed in range(300):
        x, y = drawn(60, 3, seed=2 * seed), drawn(60, 3, seed=2 * seed + 1)
        values.append(told_apart(x, y).mean())
        claims += [figure_of(x, y).std_error] if seed < 50 else []
    assert 0.9 < torch.tensor(claims).mean() / torch.stack(values).std() < 1.12


def figure_of(x, y):
    """The figure of given features."""
    judged = case(Replay(x), from_array(x.float(), "rows"))
    judged.once(("features", "given"), lambda: Compared(y, x, y, {}))
    return TwoSample(FeatureConfig(extractor="given")).compute(judged)["two-sample"]


def test_the_figure_says_what_is_ideal_and_has_a_reference():
    rows = drawn(600, 2).float()
    judged = case(Replay(rows + 100), from_array(rows, "rows"))
    (item,) = TwoSample().compute(judged).items()
    assert item[0] == "two-sample"
    assert (item[1].value, item[1].unit, item[1].num_samples) == (1, "share", 600)
    assert item[1].reference.value == pytest.approx(0.5, abs=4 * 0.5 / 600**0.5 * 2**0.5)
    assert "0.5 is the ideal" in item[1].notes[0].text
    assert item[1].provenance["extractor"] == "pixels"
