"""Figures with their kind, unit and error."""

import math

import pytest
import torch

from genzoo.errors import DataError, NotFiniteFigureError
from genzoo.estimate import Estimate, Note, mean_of


def figure(**values):
    given = {"value": -10.0, "std_error": 0.5, "kind": "exact", "unit": "nats", "num_samples": 7}
    return Estimate(**given | values)


def test_a_mean_has_the_standard_error_of_its_examples():
    """√(Σ (x − x̄)² / (N − 1) / N)."""
    found = mean_of(
        torch.tensor([-1.0, -2.0, -6.0]), "lower bound", notes=(Note("a-note", "A note."),)
    )
    assert found.value == pytest.approx(-3)
    assert found.std_error == pytest.approx(math.sqrt((4 + 1 + 9) / 2 / 3))
    assert (found.kind, found.unit, found.num_samples) == ("lower bound", "nats", 3)
    assert (found.interval, found.notes) == (None, (Note("a-note", "A note."),))


def test_a_shared_error_is_added_in_quadrature_and_does_not_shrink():
    values = torch.tensor([-1.0, -2.0, -6.0])
    alone = mean_of(values, "exact").std_error
    assert mean_of(values, "exact", shared_error=2.0).std_error == pytest.approx(
        math.sqrt(alone**2 + 4)
    )
    many = mean_of(values.repeat(10_000), "exact", shared_error=2.0)
    assert many.std_error == pytest.approx(2.0, rel=1e-3)


def test_the_standard_error_is_that_of_repeated_means():
    """Of 1,000 sets of 25 draws; an error's own standard error is 1/√2000, hence 5/√2000."""
    sets = torch.randn(1000, 25, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    stated = torch.tensor([mean_of(row, "exact").std_error for row in sets]).square().mean().sqrt()
    assert stated.item() == pytest.approx(sets.mean(1).std().item(), rel=5 / 2000**0.5)


def test_one_example_has_no_error_that_could_be_told():
    found = mean_of(torch.tensor([-3.0]), "exact")
    assert (found.value, found.std_error) == (-3.0, math.inf)


def test_a_mean_is_summed_in_float64():
    values = torch.full((20_000,), 1e4)
    values[0] += 1
    assert mean_of(values, "exact").value == pytest.approx(1e4 + 1 / 20_000, rel=1e-12)


def test_nats_become_bits_per_dimension():
    """−log₂ p / D: 784 fair coins cost one bit each."""
    found = figure(value=-784 * math.log(2), std_error=784 * math.log(2) / 4).per_dimension(784)
    assert found.value == pytest.approx(1)
    assert found.std_error == pytest.approx(0.25)
    assert (found.kind, found.unit, found.num_samples) == ("exact", "bits/dim", 7)


@pytest.mark.parametrize(
    ("kind", "swapped"),
    [
        ("lower bound", "upper bound"),
        ("upper bound", "lower bound"),
        ("exact", "exact"),
        ("stochastic estimate", "stochastic estimate"),
    ],
)
def test_the_sign_swaps_the_bounds(kind, swapped):
    assert figure(kind=kind).per_dimension(3).kind == swapped


def test_the_sign_swaps_the_ends_of_a_bracket():
    found = figure(interval=(-12.0, -9.0), notes=(Note("a-note", "A note."),)).per_dimension(2)
    unit = 2 * math.log(2)
    assert found.interval == pytest.approx((9 / unit, 12 / unit))
    assert found.interval[0] < found.value < found.interval[1]
    assert found.notes == (Note("a-note", "A note."),)
    assert figure().per_dimension(2).interval is None


def test_a_figure_in_words_says_all_of_it():
    assert str(figure()) == "-10.00 ± 0.50 nats (exact)."
    full = figure(
        kind="lower bound",
        interval=(-12.0, -9.5),
        notes=(Note("x", "x.", unreliable=True), Note("more", "More.")),
    )
    assert str(full) == (
        "-10.00 ± 0.50 nats (lower bound, between -12.00 and -9.50). Unreliable: x. More."
    )
    assert "bits/dim (upper bound)" in str(figure(kind="lower bound").per_dimension(2))


def test_a_figure_cannot_be_changed_nor_given_by_position():
    with pytest.raises(AttributeError):
        figure().value = 0.0
    with pytest.raises(TypeError):
        Estimate(-10.0, 0.5, "exact", "nats", 7)


def test_one_unreliable_note_makes_a_figure_unreliable():
    sound, broken = Note("a-note", "A note."), Note("b-note", "B.", unreliable=True)
    assert figure(notes=(sound, broken)).unreliable is True
    assert figure(notes=(sound,)).unreliable is False
    assert figure().unreliable is False


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (3.0, "-10.00 ± 3.00"),
        (0.1, "-10.00 ± 0.10"),
        (0.0999, "-10.000 ± 0.100"),
        (0.0123, "-10.000 ± 0.012"),
        (0.00123, "-10.0000 ± 0.0012"),
        (1e-20, "-10.00000000 ± 0.00000000"),
        (0.0, "-10.00 ± 0.00"),
        (math.inf, "-10.00 ± inf"),
    ],
)
def test_a_figure_has_two_digits_of_its_error(error, shown):
    assert figure(std_error=error).short() == f"{shown} nats (exact)"


def test_the_first_row_without_a_figure_is_named():
    values = torch.tensor([-1.0, -math.inf, math.nan, math.inf])
    with pytest.raises(NotFiniteFigureError, match=r"Of 4 .* 2 are NaN .* row 2, is nan"):
        mean_of(values, "exact")
    assert mean_of(values[:2], "exact").value == -math.inf
    with pytest.raises(DataError, match="no rows"):
        mean_of(values[:0], "exact")
