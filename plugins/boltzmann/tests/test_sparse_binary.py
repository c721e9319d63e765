"""Products with zeros and ones, whichever way they are made."""

from dataclasses import replace

import pytest
import torch

from genzoo_boltzmann import sparse_binary
from genzoo_boltzmann.sparse_binary import Ones, binary_addmm, few_ones
from machines import check_gradient, machine

TIGHT = {"rtol": 1e-12, "atol": 1e-12}


def _zeros_and_ones(share, shape=(60, 300)):
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(shape, generator=generator) < share).double()


def _matrix(rows, columns=256):
    return torch.randn(
        rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )


def _by_sums(v, M):
    return few_ones(v, M).matmul(M)


@pytest.fixture
def sums(monkeypatch):
    """Return a list that grows by one where rows are added up instead of multiplied."""
    made, summed = [], sparse_binary.F.embedding_bag

    def counted(*args, **options):
        made.append(1)
        return summed(*args, **options)

    monkeypatch.setattr(sparse_binary.F, "embedding_bag", counted)
    return made


def test_where_the_first_rows_have_many_ones_the_others_are_not_counted():
    v, M = _zeros_and_ones(0.1), _matrix(300)
    assert few_ones(v, M) is not None
    v[:8] = 1
    assert v.mean() > 0.2
    assert few_ones(v, M) is None
    v[8:] = 0
    assert v.mean() < 0.2
    assert few_ones(v, M) is None


@pytest.mark.parametrize(("share", "ways"), [(0.0, 1), (0.1, 1), (0.5, 0), (1.0, 0)])
def test_zeros_and_ones(share, ways, sums):
    v = _zeros_and_ones(share)
    M = _matrix(300)
    bias = torch.randn(256, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = binary_addmm(bias, v, M, few_ones(v, M))
    torch.testing.assert_close(found, bias + v @ M, **TIGHT)
    assert len(sums) == ways


def test_the_ones_are_where_the_matrix_has_them():
    v = torch.tensor([[0, 1, 0], [0, 0, 0], [1, 0, 1]]).bool()
    found = Ones.of(v.numpy().ravel(), (3, 3))
    assert found.rows.tolist() == [0, 2, 2]
    assert found.columns.tolist() == [1, 0, 2]


def test_transposed_and_stacked():
    a, b = _zeros_and_ones(0.1), _zeros_and_ones(0.15, (70, 300))
    M = _matrix(130)
    stacked = few_ones(a, M).above(few_ones(b, M))
    torch.testing.assert_close(stacked.T.matmul(M), torch.cat([a, b]).T @ M, **TIGHT)
    torch.testing.assert_close(
        stacked.T.T.matmul(_matrix(300)), torch.cat([a, b]) @ _matrix(300), **TIGHT
    )


@pytest.mark.parametrize("view", [lambda v: v.T, lambda v: v[:, ::2], lambda v: v[::2]])
def test_views_are_read_row_by_row(view):
    v = view(_zeros_and_ones(0.1, (300, 300)))
    M = _matrix(v.shape[1])
    torch.testing.assert_close(_by_sums(v, M), v @ M, **TIGHT)


@pytest.mark.parametrize("place", [slice(0, 5), slice(20, 30), slice(55, 60)])
def test_rows_without_a_one(place):
    v = _zeros_and_ones(0.1)
    v[place] = 0
    found = _by_sums(v, _matrix(300))
    torch.testing.assert_close(found, v @ _matrix(300), **TIGHT)
    assert not found[place].any()


def test_other_values_are_multiplied():
    assert few_ones(0.3 * _zeros_and_ones(0.1), _matrix(300)) is None
    v = _zeros_and_ones(0.1)
    v[v.nonzero()[0, 0], v.nonzero()[0, 1]] = 0.5
    assert few_ones(v, _matrix(300)) is None


@pytest.mark.parametrize(("rows", "columns"), [(60, 255), (54, 256)])
def test_small_products_are_multiplied(rows, columns):
    assert few_ones(_zeros_and_ones(0.1, (rows, 300)), _matrix(300, columns)) is None


def test_the_gradient_by_sums_is_autograds(sums):
    rbm = machine(300, 256, scale=0.1)
    data, chain = _zeros_and_ones(0.1), _zeros_and_ones(0.15)
    check_gradient(rbm, data, chain, **TIGHT)
    assert len(sums) == 3


def test_the_centred_gradient_by_sums_is_that_by_products(sums):
    rbm = machine(300, 256, scale=0.1)
    data, chain = rbm.phase(_zeros_and_ones(0.1)), rbm.phase(_zeros_and_ones(0.15))
    found = rbm.contrast(data, chain, centred=True)
    assert len(sums) == 3
    expected = rbm.contrast(replace(data, ones=None), chain, centred=True)
    assert len(sums) == 3
    for parameter in (rbm.W, rbm.b, rbm.c):
        torch.testing.assert_close(found[parameter], expected[parameter], **TIGHT)
