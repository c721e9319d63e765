"""Precision, recall, density and coverage: closed forms, counted by hand, and a golden value."""

import numpy as np
import pytest
import torch

from genzoo import seeds
from genzoo.data import from_array
from genzoo.evaluation import distances
from genzoo.evaluation.distances import nearest, own_radii
from genzoo.evaluation.neighbours import (
    NeighbourConfig,
    PrecisionRecall,
    _values,
    count,
)
from genzoo.evaluation.resampling import design_effects
from judges import Replay, case

# Of prdc's README, 10,000 rows against as many of N(0, I_1000), k = 5, drawn without a seed; and
# the standard deviation over draws that benchmarks/metrics_golden.py measures.
README = {
    "precision": (0.4772, 0.013),
    "recall": (0.4705, 0.010),
    "density": (1.0555, 0.082),
    "coverage": (0.9735, 0.008),
}
NAMES = tuple(README)


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def figures(data, samples, k):
    counts = count(data, samples, k)
    return {name: counts[name].mean().item() for name in counts}


def by_hand(data, samples, k):
    """The definitions, distance by distance."""

    def radius(i, rows):
        return sorted((rows[i] - row).norm().item() for row in rows)[k]

    d = [[(x - y).norm().item() for y in samples] for x in data]
    r_data = [radius(i, data) for i in range(len(data))]
    r_samples = [radius(j, samples) for j in range(len(samples))]
    n, m = range(len(data)), range(len(samples))
    inside = [[d[i][j] <= r_data[i] for j in m] for i in n]
    return {
        "precision": sum(any(inside[i][j] for i in n) for j in m) / len(m),
        "recall": sum(any(d[i][j] <= r_samples[j] for j in m) for i in n) / len(n),
        "density": sum(map(sum, inside)) / (k * len(m)),
        "coverage": sum(map(any, inside)) / len(n),
    }


@pytest.mark.full
def test_the_golden_value_of_ten_thousand_rows_of_a_thousand_dimensions():
    x, y = torch.randn(2, 10_000, 1000, generator=torch.Generator().manual_seed(0))
    found = figures(x, y, 5)
    for name, (expected, spread) in README.items():
        # Two draws differ, theirs and this one: √2 spreads are one standard deviation.
        assert found[name] == pytest.approx(expected, abs=3 * 2**0.5 * spread), name


def test_the_counts_are_those_of_the_definitions():
    x, y = drawn(23, 3), 1.3 * drawn(17, 3, seed=1) + 0.2
    assert figures(x, y, 4) == pytest.approx(by_hand(x, y, 4))


def test_the_counts_are_those_of_prdc():
    """prdc 0.2 on the same rows, numpy.random.default_rng(0), gave these."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2000, 200)), rng.normal(size=(2000, 200)) * 1.02
    found = figures(torch.from_numpy(x), torch.from_numpy(y), 5)
    expected = {"precision": 0.5205, "recall": 0.7505, "density": 0.5775, "coverage": 0.891}
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 5])
def test_of_equal_laws_density_is_one_and_coverage_what_order_statistics_say(k):
    """E[coverage] = 1 − Π (N − i) / (N + M − i), i = 1 … k, which nears 1 − 2^(−k).

    Within four standard errors of the mean over 60 draws of 200 rows.
    """
    num = 200
    found = torch.tensor(
        [
            [
                figures(drawn(num, 2, seed=2 * s), drawn(num, 2, seed=2 * s + 1), k)[name]
                for name in NAMES[2:]
            ]
            for s in range(60)
        ]
    )
    missed = 1.0
    for i in range(1, k + 1):
        missed *= (num - i) / (2 * num - i)
    assert 1 - missed == pytest.approx(1 - 2.0**-k, abs=0.01)
    error = found.std(0) / 60**0.5
    assert ((found.mean(0) - torch.tensor([1, 1 - missed])).abs() < 4 * error).all()


def test_lost_modes_cost_recall_and_coverage_and_noise_costs_precision_and_density():
    data = drawn(400, 2) + 20 * (torch.arange(400)[:, None] % 2)
    half, wide = drawn(400, 2, seed=1), 60 * drawn(400, 2, seed=2)
    lost, noisy = figures(data, half, 5), figures(data, wide, 5)
    assert lost["precision"] > 0.95
    assert lost["recall"] < 0.55
    assert lost["coverage"] < 0.55
    assert noisy["precision"] < 0.1
    assert noisy["density"] < 0.1


def test_samples_that_repeat_the_data_are_all_in_all_balls():
    """Also of zeros and ones, where a ball may have no inside."""
    states = drawn(8, 6).gt(0).double().repeat(6, 1)
    found = figures(states, states.clone(), 3)
    assert [found[name] for name in ("precision", "recall", "coverage")] == [1, 1, 1]


def test_distances_in_blocks_are_the_distances(monkeypatch):
    x, y = drawn(37, 5), drawn(29, 5, seed=1)
    expected = torch.cdist(x, y).square()
    own = torch.cdist(x, x).square().sort(1).values
    monkeypatch.setattr(distances, "_VALUES", 100)
    from_x, from_y = nearest(x, y)
    torch.testing.assert_close(from_x, expected.amin(1))
    torch.testing.assert_close(from_y, expected.amin(0))
    for k in (1, 4):
        torch.testing.assert_close(own_radii(x, k), own[:, k])
    blocks = [(first, len(d)) for first, d in distances.squared_distances(x, y)]
    assert blocks[:2] == [(0, 3), (3, 3)]
    assert sum(size for _, size in blocks) == 37


def test_the_figures_have_references_errors_and_provenance():
    rows = drawn(300, 3).float()
    judged = case(Replay(rows + 100), from_array(rows, "rows"))
    found = PrecisionRecall(NeighbourConfig(k=3)).compute(judged)
    assert list(found) == list(NAMES)
    for name, figure in found.items():
        assert figure.value == 0
        assert figure.reference.value > 0.8
        assert figure.unit == ("" if name == "density" else "share")
        assert figure.num_samples == 150
        assert figure.provenance["k"] == 3
        assert figure.provenance["extractor"] == "pixels"


def test_the_errors_are_those_of_independent_rows_times_what_shared_balls_add():
    rows = drawn(2000, 2).float()
    judged = case(Replay(rows[:500] + 1), from_array(rows, "rows"))
    found = PrecisionRecall().compute(judged)
    generator = seeds.generator(judged.generator.initial_seed())
    x, y = judged.reference["x"].double(), judged.samples.double()
    effects, _ = design_effects(lambda x, y: list(count(x, y, 5).values()), x, y, generator)
    for name, effect in zip(NAMES, effects.tolist(), strict=True):
        values = count(x, y, 5)[name]
        independent = values.std().item() / len(values) ** 0.5
        assert found[name].std_error == pytest.approx(independent * effect**0.5, rel=1e-6)
    assert 0 < found["coverage"].value < 1
    assert effects.max() > 1.5
    assert (found["recall"].provenance["blocks"], found["recall"].provenance["partitions"]) == (
        2,
        48,
    )


def test_a_share_of_none_has_the_error_of_one_row():
    rows = drawn(300, 3).float()
    judged = case(Replay(rows + 100), from_array(rows, "rows"))
    for figure in PrecisionRecall().compute(judged).values():
        assert (figure.value, figure.std_error) == (0, 1 / 150)


def test_a_ball_reaches_to_the_last_neighbour_at_most():
    """Where a set, or a block of it, has fewer rows than k, the last of the others is taken."""
    x, y = drawn(6, 2), drawn(4, 2, seed=1)
    for data, samples in ((x, y), (y, x)):
        found, expected = _values(9)(data, samples), _values(3)(data, samples)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
        counts = count(data, samples, 3)
        assert torch.equal(found[2], counts["density"])
    rows = drawn(24, 2).float()
    metric = PrecisionRecall(NeighbourConfig(k=100))
    found = metric.compute(case(Replay(rows), from_array(rows, "rows")))
    assert {figure.provenance["k"] for figure in found.values()} == {11}
