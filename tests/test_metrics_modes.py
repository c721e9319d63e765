"""Mode coverage: the modes that are found, and the share of samples near them."""

import math

import pytest
import torch

from genzoo import seeds
from genzoo.data import from_array, load_dataset
from genzoo.errors import CapabilityError
from genzoo.estimate import Note
from genzoo.evaluation import evaluate
from genzoo.evaluation.modes import ModeConfig, ModeCoverage, _error_of_number, captured
from genzoo.spec import Mixture
from judges import LabelledReplay, Replay, case

TRUTH = 1 - math.exp(-4.5)
SQUARE = Mixture(torch.tensor([[0.0, 0.0], [0.0, 10.0], [10.0, 0.0], [10.0, 10.0]]), 1.0)


@pytest.fixture(scope="module")
def ring():
    return load_dataset("ring", num=4000)


def test_a_sample_belongs_to_the_nearest_mode_and_is_good_within_three_sigma():
    x = torch.tensor([[2.9, 0.0], [3.1, 0.0], [10.0, 10.5], [2.2, 2.2], [10.0, 12.9]])
    assert captured(x, SQUARE).tolist() == [1, 0, 0, 2]


def test_the_mixture_itself_has_all_modes_and_the_share_of_the_closed_form(ring):
    """Within four standard errors of a share of 2,500."""
    batch = ring.head(4000)
    judged = case(Replay(batch["x"]), ring)
    found = ModeCoverage().compute(judged)
    modes, share = found["modes"], found["high-quality-share"]
    assert (modes.value, modes.reference.value, modes.unit, modes.num_samples) == (
        8,
        8,
        "modes",
        2500,
    )
    assert modes.std_error == pytest.approx(0, abs=1e-12)
    error = (TRUTH * (1 - TRUTH) / 2500) ** 0.5
    assert share.value == pytest.approx(TRUTH, abs=4 * error)
    assert share.reference.value == pytest.approx(TRUTH, abs=4 * error)
    assert share.std_error == pytest.approx(error, rel=0.5)
    assert share.unit == "share"


def test_modes_that_are_missed_and_samples_between_them_are_counted(ring):
    batch = ring.head(4000)
    three = batch["x"][batch["label"] < 3]
    spread = torch.cat([three, torch.zeros_like(three)])
    found = ModeCoverage().compute(case(Replay(spread), ring))
    assert found["modes"].value == 3
    assert found["modes"].notes == (Note("modes-in-all", "Of 8."),)
    assert found["high-quality-share"].value == pytest.approx(0.5 * TRUTH, abs=0.04)


def test_the_error_is_the_spread_of_the_number_over_draws():
    """Ten thousand draws of 50 samples; modes of small weight come and go."""
    weights = torch.tensor([0.5, 0.4, 0.04, 0.03, 0.02, 0.01])
    draws = torch.multinomial(
        weights, 50 * 10_000, replacement=True, generator=seeds.generator(0)
    ).view(10_000, 50)
    numbers = torch.nn.functional.one_hot(draws, 6).sum(1).gt(0).sum(1).double()
    assert _error_of_number(50 * weights, 50) == pytest.approx(numbers.std().item(), rel=0.1)


def test_samples_are_the_protocols_number_with_a_seed_of_their_own(ring):
    judged = case(Replay(ring.head(4000)["x"]), ring, 100)
    first = ModeCoverage(ModeConfig(num_samples=700)).compute(judged)["high-quality-share"]
    assert first.num_samples == 700
    again = ModeCoverage(ModeConfig(num_samples=700)).compute(judged)["high-quality-share"]
    assert first == again
    assert first.receipt == {"batch_size": 64}  # Of 11 equal blocks of at most 64.


def test_a_conditional_model_is_given_the_conditions_of_the_rows(ring):
    batch = ring.head(4000)
    few = batch["label"] < 2
    data = type(ring)(batch["x"][few], ring.spec, "two modes", batch["label"][few])
    found = ModeCoverage().compute(case(LabelledReplay(batch["x"], batch["label"]), data))
    assert found["modes"].value == 2


def test_data_of_no_known_mixture_have_no_modes():
    rows = torch.randn(100, 2, generator=seeds.generator(0))
    with pytest.raises(
        CapabilityError, match=r"mode-coverage \(the data are not of a known mixture\)"
    ):
        evaluate(Replay(rows), from_array(rows, "rows"), ["mode-coverage"])
