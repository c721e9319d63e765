"""The Fréchet distance of features, against its closed form on Gaussians."""

import numpy as np
import pytest
import scipy.linalg
import torch

from genzoo.data import from_array, load_dataset
from genzoo.evaluation import evaluate
from genzoo.evaluation.features import Compared
from genzoo.evaluation.frechet import (
    FrechetConfig,
    FrechetFeatureDistance,
    frechet,
    frechet_distance,
)
from judges import Replay, case, covariance, gaussian

SIZE = 5
C1, C2 = covariance(SIZE, seed=1), 2 * covariance(SIZE, seed=2)
M1, M2 = torch.zeros(SIZE).double(), torch.linspace(-1, 1, SIZE).double()
PROVENANCE = {"extractor": "given"}
HELD_OUT = gaussian(20, M1, C1)


def closed_form(m1, c1, m2, c2):
    """‖m₁ − m₂‖² + tr(C₁ + C₂ − 2(C₁C₂)^½), its root by scipy."""
    root = scipy.linalg.sqrtm((c1 @ c2).numpy())
    return (m1 - m2).square().sum().item() + (c1 + c2).trace().item() - 2 * np.trace(root.real)


def compared(num, seed):
    """Samples of N(M2, C2) next to two sets of N(M1, C1)."""
    return Compared(
        gaussian(num, M2, C2, seed=3 * seed),
        gaussian(num, M1, C1, seed=3 * seed + 1),
        gaussian(num, M1, C1, seed=3 * seed + 2),
        PROVENANCE,
    )


def test_the_distance_of_gaussians_is_the_closed_form_within_one_per_cent():
    """Of 100,000 draws the standard error is near 0.3 %."""
    found = frechet_distance(gaussian(100_000, M1, C1, 1), gaussian(100_000, M2, C2, 2))
    assert found == pytest.approx(closed_form(M1, C1, M2, C2), rel=0.01)


def test_the_distance_of_any_rows_is_the_closed_form_of_their_moments():
    x, y = gaussian(50, M1, C1, 1), gaussian(70, M2, C2, 2).exp()
    expected = closed_form(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-9)


def test_a_shift_costs_its_square_and_a_set_costs_nothing_to_itself():
    x = gaussian(200, M1, C1)
    assert frechet_distance(x, x + 3) == pytest.approx(9 * SIZE, rel=1e-6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_features_of_float32_lose_nothing():
    """Far from zero, moments in float32 would be wrong in their first digits."""
    x, y = (gaussian(50, M1, C1, seed).float() + 1000 for seed in (1, 2))
    assert frechet_distance(x, y) == frechet_distance(x.double(), y.double())


def test_fewer_rows_than_features_have_a_distance():
    """Their covariances have eigenvalues of zero, which come out negative as often as not."""
    x, y = gaussian(4, M1, C1, 1), gaussian(4, M2, C2, 2)
    x, y = (torch.cat([z, z, z.exp()], dim=1) for z in (x, y))
    # The root of what is zero up to rounding, 1e-15, is a millionth.
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-4)
    expected = closed_form(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
    assert frechet_distance(x, y) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("equal", [True, False])
def test_the_error_is_the_spread_over_draws(equal):
    """The spread of 120 values is known within 7 %; of equal laws a bootstrap claims 1.7 times."""
    mean, covariance = (M1, C1) if equal else (M2, C2)
    figures = [
        frechet(
            Compared(
                gaussian(200, mean, covariance, 2 * i),
                gaussian(200, M1, C1, 2 * i + 1),
                HELD_OUT,
                PROVENANCE,
            ),
            20,
            i,
        )
        for i in range(120)
    ]
    spread = torch.tensor([figure.value for figure in figures]).std().item()
    claimed = torch.tensor([figure.std_error for figure in figures]).mean().item()
    assert 0.85 < claimed / spread < 1.2


def test_the_reference_falls_as_one_over_the_number_of_rows():
    """The bias is 1/N; four times the rows, a quarter of it, within the noise of 20 draws."""
    few, many = (
        torch.tensor(
            [frechet(compared(num, seed), 2, 0).reference.value for seed in range(20)]
        ).mean()
        for num in (200, 800)
    )
    assert 0 < many < few
    assert (few / many).item() == pytest.approx(4, rel=0.4)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def test_data_again_are_at_the_reference_and_other_data_are_not(digits):
    rows = digits.head(1500)["x"]
    near = evaluate(Replay(rows), digits, ["frechet-feature-distance"]).figures
    far = evaluate(Replay(1 - rows), digits, ["frechet-feature-distance"]).figures
    (name,) = near
    assert name == "frechet-feature-distance[digits-cnn]"
    # Samples drawn with replacement have a half more of the noise that the reference has.
    assert near[name].value < 2 * near[name].reference.value < 0.2 * far[name].value


def test_a_seed_gives_the_same_figure(digits):
    def figure(seed):
        judged = case(Replay(digits.head(300)["x"]), digits, 300, seed)
        return FrechetFeatureDistance(FrechetConfig(num_halvings=5)).compute(judged)

    assert figure(0) == figure(0)
    assert figure(0) != figure(1)


def test_the_provenance_names_the_features():
    rows = gaussian(120, M1, C1).float()
    judged = case(Replay(rows), from_array(rows, "rows"))
    (item,) = FrechetFeatureDistance(FrechetConfig(num_halvings=7)).compute(judged).items()
    name, figure = item
    assert name == "frechet-feature-distance[pixels]"
    assert (figure.kind, figure.unit, figure.num_samples) == ("stochastic estimate", "", 60)
    assert figure.provenance["extractor"] == "pixels"
    assert len(figure.provenance["sha256"]) == 64
    assert (figure.provenance["dimensions"], figure.provenance["samples"]) == (SIZE, 60)
    assert figure.provenance["halvings"] == 7
    assert "equal numbers of samples" in figure.notes[0].text
