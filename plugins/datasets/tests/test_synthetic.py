"""Data of known truth: bars and stripes, and mixtures of normal distributions in the plane."""

import itertools

import numpy as np
import pytest
import torch

from genzoo import Binary, Real, load_dataset
from genzoo_datasets.synthetic import Grid, Ring


def everything(dataset):
    return dataset.batch(range(len(dataset)))


@pytest.mark.parametrize("side", [2, 3])
def test_bars_and_stripes_are_all_pictures_of_either_kind(side):
    found = {}
    for x in everything(load_dataset("bars-and-stripes", side=side))["x"]:
        key = tuple(x.flatten().int().tolist())
        found[key] = found.get(key, 0) + 1
    expected = {}
    for bits in itertools.product((0, 1), repeat=side**2):
        x = torch.tensor(bits).view(side, side)
        count = int((x == x[:, :1]).all()) + int((x == x[:1]).all())
        if count:
            expected[bits] = count
    assert found == expected
    assert sum(found.values()) == 2 ** (side + 1)
    assert found[(0,) * side**2] == found[(1,) * side**2] == 2


def test_bars_and_stripes_are_one_set_in_every_split():
    splits = [load_dataset("bars-and-stripes", split) for split in ("train", "valid", "test")]
    for dataset in splits:
        assert torch.equal(everything(dataset)["x"], everything(splits[0])["x"])
        assert dataset.info["x"] == Binary(shape=(1, 4, 4))
        assert torch.equal(dataset.info.mean["x"], torch.full((1, 4, 4), 0.5))


def test_modes_are_where_the_papers_put_them():
    ring, grid = Ring().modes(), Grid().modes()
    torch.testing.assert_close(ring.norm(dim=1), torch.ones(8))
    gaps = (ring - ring.roll(1, 0)).norm(dim=1)
    torch.testing.assert_close(gaps, torch.full((8,), 2 * np.sin(np.pi / 8)).float())
    places = {(float(x), float(y)) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}
    assert set(map(tuple, grid.tolist())) == places
    assert len(grid) == 25


@pytest.mark.parametrize(
    ("name", "modes", "sigma"), [("ring", Ring().modes(), 0.01), ("grid", Grid().modes(), 0.05)]
)
def test_mixtures_have_the_stated_weights_means_and_spreads(name, modes, sigma):
    """Within 5 standard errors: σ/√n of a mean, σ/√(2n) of a spread, binomial of a weight."""
    dataset = load_dataset(name, num=40_000, seed=3)
    batch = everything(dataset)
    assert dataset.info["x"] == Real(shape=(2,))
    assert dataset.info["label"].num_classes == len(modes)
    weight = 1 / len(modes)
    for k, mode in enumerate(modes):
        x = batch["x"][batch["label"] == k].double()
        n = len(x)
        assert abs(n - 40_000 * weight) < 5 * (40_000 * weight * (1 - weight)) ** 0.5
        assert ((x.mean(0) - mode).abs() < 5 * sigma / n**0.5).all()
        assert ((x.std(0) - sigma).abs() < 5 * sigma / (2 * n) ** 0.5).all()
        correlation = torch.corrcoef(x.T)[0, 1]
        assert abs(correlation) < 5 / n**0.5
    noise = (batch["x"] - modes[batch["label"]]).double()
    assert abs(noise.square().mean().sqrt() - sigma) < 5 * sigma / (2 * noise.numel()) ** 0.5


def test_mixtures_are_drawn_apart_by_split_and_seed_and_the_same_again():
    def x(split="train", **config):
        return everything(load_dataset("ring", split, num=10, **config))["x"]

    assert torch.equal(x(), x())
    drawn = [x(), x("valid"), x("test"), x(seed=1)]
    assert len({tuple(each.flatten().tolist()) for each in drawn}) == 4
