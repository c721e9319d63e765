"""Mode coverage: the modes that are found, and the share of samples near them."""

import math
import re

import pytest
import torch

from genzoo import seeds
from genzoo.data import from_array, load_dataset
from genzoo.errors import CapabilityError
from genzoo.evaluation import evaluate
from genzoo.evaluation.modes import ModeConfig, ModeCoverage, captured, error_of_number
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
    assert modes.std_error == 0
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
    (note,) = found["modes"].notes
    assert note.code == "modes-in-all"
    assert re.fullmatch(r"Of 8; the rarest that is found has \d{3} samples\.", note.text)
    assert found["high-quality-share"].value == pytest.approx(0.5 * TRUTH, abs=0.04)


@pytest.mark.parametrize("weights", [[0.7**m for m in range(25)], [0.0004] * 5 + [0.3327] * 3])
def test_the_error_is_the_spread_of_the_number_over_draws(weights):
    """A thousand draws of 2,500 samples: the spread is known within 2.3 %.

    The shares found in place of the true ones claim two thirds of it.
    """
    p, num = torch.tensor(weights, dtype=torch.float64), 2500
    generator = seeds.generator(0)
    counts = [
        torch.multinomial(p, num, True, generator=generator).bincount(minlength=len(p))
        for _ in range(1000)
    ]
    spread = torch.tensor([float((c > 0).sum()) for c in counts]).std().item()
    claims = torch.tensor([error_of_number(c, num) for c in counts])
    assert 0.87 < claims.mean().item() / spread < 1.15
    assert 0.87 < claims.square().mean().sqrt().item() / spread < 1.15


def test_the_number_has_no_error_where_every_mode_found_has_many_samples():
    assert error_of_number(torch.tensor([1250, 1250, 0]), 2500) == 0
    few = [error_of_number(torch.tensor([2500 - c, c, 0]), 2500) for c in (1, 2, 3, 5)]
    assert few[0] == pytest.approx(0.75**0.5)
    assert few == sorted(few, reverse=True)
    assert few[-1] > 0.05
    assert error_of_number(torch.tensor([0, 0]), 2500) == 0


def test_samples_that_are_all_good_have_the_error_of_one_of_them(ring):
    centre = ring.info.mixture["x"].means[:1].float()
    found = ModeCoverage().compute(case(Replay(centre), ring))
    assert (found["modes"].value, found["modes"].std_error) == (1, 0)
    share = found["high-quality-share"]
    assert (share.value, share.std_error) == (1, 1 / 2500)
    assert "rarest" in found["modes"].notes[0].text


def test_a_model_that_finds_no_mode_says_of_how_many(ring):
    found = ModeCoverage().compute(case(Replay(torch.zeros(1, 2)), ring))["modes"]
    assert (found.value, found.std_error, found.notes[0].text) == (0, 0, "Of 8.")


def test_samples_are_the_protocols_number_with_a_seed_of_their_own(ring):
    judged = case(Replay(ring.head(4000)["x"]), ring, 100)
    first = ModeCoverage(ModeConfig(num_samples=700)).compute(judged)["high-quality-share"]
    assert first.num_samples == 700
    again = ModeCoverage(ModeConfig(num_samples=700)).compute(judged)["high-quality-share"]
    assert first == again
    assert first.provenance == {"batch_size": 64}  # Of 11 equal blocks of at most 64.


def test_a_conditional_model_is_given_the_conditions_of_the_rows(ring):
    batch = ring.head(4000)
    few = batch["label"] < 2
    data = type(ring)(batch["x"][few], ring.info, "two modes", batch["label"][few])
    found = ModeCoverage().compute(case(LabelledReplay(batch["x"], batch["label"]), data))
    assert found["modes"].value == 2


def test_data_of_no_known_mixture_have_no_modes():
    rows = torch.randn(100, 2, generator=seeds.generator(0))
    with pytest.raises(
        CapabilityError, match=r"mode-coverage \(the data do not come from a known mixture\)"
    ):
        evaluate(Replay(rows), from_array(rows, "rows"), ["mode-coverage"])
