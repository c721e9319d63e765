"""The kernel distance of features, against the moments of Gaussians."""

import math

import pytest
import torch

from genzoo.data import from_array
from genzoo.evaluation import mmd
from genzoo.evaluation.features import Compared
from genzoo.evaluation.mmd import (
    KernelConfig,
    KernelFeatureDistance,
    kernel_distance,
    mmd_of_blocks,
)
from judges import LabelledReplay, Replay, case, covariance, gaussian

SIZE = 4
C1, C2 = covariance(SIZE, seed=1), 1.5 * covariance(SIZE, seed=2)
M1, M2 = torch.zeros(SIZE).double(), torch.linspace(0, 2, SIZE).double()


def moments(m, c):
    """Return E x, E xxᵀ and E x⊗x⊗x of N(m, c)."""
    third = torch.einsum("i,j,k->ijk", m, m, m)
    for pattern in ("ij,k->ijk", "ik,j->ijk", "jk,i->ijk"):
        third = third + torch.einsum(pattern, c, m)
    return m, c + torch.outer(m, m), third


def expected_kernel(p, q):
    """Return E (x·y / D + 1)³ for independent x and y, by their first three moments."""
    first, second, third = (
        (a * b).sum() / SIZE**n for n, (a, b) in enumerate(zip(p, q, strict=True), 1)
    )
    return (1 + 3 * first + 3 * second + third).item()


def closed_form(p, q):
    return expected_kernel(p, p) + expected_kernel(q, q) - 2 * expected_kernel(p, q)


def test_the_distance_of_gaussians_is_the_closed_form_within_one_per_cent():
    """Of 160 blocks of 500 rows the standard error is near 0.5 %."""
    x, y = gaussian(80_000, M1, C1, 1), gaussian(80_000, M2, C2, 2)
    found = mmd_of_blocks(x, y, 500).mean().item()
    assert found == pytest.approx(closed_form(moments(M1, C1), moments(M2, C2)), rel=0.01)


def test_a_block_is_the_formula_without_the_diagonal():
    x, y = gaussian(6, M1, C1, 1), gaussian(6, M2, C2, 2)

    def k(a, b):
        return float((a @ b / SIZE + 1) ** 3)

    pairs = [(i, j) for i in range(6) for j in range(6)]
    own = sum(k(z[i], z[j]) for z in (x, y) for i, j in pairs if i != j) / 30
    cross = sum(k(x[i], y[j]) for i, j in pairs) / 36
    assert mmd_of_blocks(x, y, 6).tolist() == pytest.approx([own - 2 * cross])


def test_blocks_are_disjoint_and_whole():
    x, y = gaussian(25, M1, C1, 1), gaussian(25, M2, C2, 2)
    expected = [mmd_of_blocks(x[i : i + 10], y[i : i + 10], 10).item() for i in (0, 10)]
    assert mmd_of_blocks(x, y, 10).tolist() == pytest.approx(expected)


def figure(num, seed, block_size=None, mean=M1):
    drawn = [gaussian(num, m, C1, 3 * seed + i) for i, m in enumerate((mean, M1, M1))]
    return kernel_distance(Compared(*drawn, {"extractor": "given"}), block_size)


def test_equal_laws_are_without_bias_and_may_be_negative():
    """The mean of 40 independent figures is within four of its standard errors of 0."""
    figures = [figure(200, seed) for seed in range(40)]
    for values in ([f.value for f in figures], [f.reference.value for f in figures]):
        found = torch.tensor(values)
        assert abs(found.mean()) < 4 * found.std() / math.sqrt(40)
        assert (found < 0).any()
    assert all(("negative" in {note.code for note in f.notes}) == (f.value < 0) for f in figures)


def test_samples_given_labels_are_no_nearer_to_the_data_than_data_are():
    """Each label its own mean: samples of the very labels of the reference would be.

    Within four standard errors of 0, over 40 divisions into halves.
    """
    label = torch.arange(8000) % 4
    x = gaussian(8000, M1, C1).float() + 2 * label[:, None]
    model = LabelledReplay(x[4000:], label[4000:])
    data = from_array(x[:4000], "rows", label=label[:4000])
    values = [
        KernelFeatureDistance().compute(case(model, data, 200 + seed, seed)) for seed in range(40)
    ]
    found = torch.tensor([v["kernel-feature-distance[pixels]"].value for v in values])
    assert abs(found.mean()) < 4 * found.std() / math.sqrt(40)


@pytest.mark.parametrize(("mean", "block_size"), [(M1, None), (M2, None), (M1, 100)])
def test_the_error_is_the_spread_over_draws(mean, block_size):
    """The spread of 120 values is known within 7 %, the mean of as many claims within 2 %."""
    figures = [figure(100, seed, block_size, mean) for seed in range(120)]
    spread = torch.tensor([f.value for f in figures]).std().item()
    claimed = torch.tensor([f.std_error for f in figures]).mean().item()
    assert 0.85 < claimed / spread < 1.2


def test_the_error_does_not_hang_on_one_partition_into_blocks():
    """Ten blocks know their spread within 24 %, seven partitions into ten within 10 % or so."""
    errors = torch.tensor([figure(200, seed, mean=M2).std_error for seed in range(60)])
    assert errors.std() / errors.mean() < 0.18


def test_a_block_is_a_tenth_of_the_rows_at_most_a_thousand_or_what_is_given(monkeypatch):
    assert figure(200, 0).provenance == {
        "extractor": "given",
        "blocks": 10,
        "block size": 20,
        "partitions": 6,
    }
    assert figure(200, 0, block_size=90).provenance["blocks"] == 2
    assert figure(200, 0, block_size=90).num_samples == 180
    assert mmd._LARGEST == 1000
    monkeypatch.setattr(mmd, "_LARGEST", 30)
    assert figure(360, 0).provenance["block size"] == 30


def test_one_block_has_a_finite_error_too():
    """It was infinite, and an infinite error agrees with any claim."""
    one = figure(50, 0, block_size=99)
    assert 0 < one.std_error < math.inf
    assert one.provenance == {"extractor": "given", "blocks": 1, "block size": 50, "halvings": 50}


def test_the_figure_has_the_extractors_name_and_its_provenance():
    rows = gaussian(120, M1, C1).float()
    judged = case(Replay(rows), from_array(rows, "rows"))
    (item,) = KernelFeatureDistance(KernelConfig(block_size=30)).compute(judged).items()
    assert item[0] == "kernel-feature-distance[pixels]"
    assert item[1].provenance["block size"] == 30
    assert item[1].provenance["extractor"] == "pixels"
    assert (item[1].kind, item[1].unit) == ("stochastic estimate", "")
