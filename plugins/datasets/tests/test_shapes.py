"""Coloured shapes: what is drawn, what is said of it, and what is held out."""

import math

import pytest
import torch

from genzoo import Label, Text, Unit, load_dataset
from genzoo.data import load_split
from genzoo.plugin import Grammar
from genzoo_datasets.drawing import DRAWN, draw
from genzoo_datasets.shapes import (
    COLOURS,
    PLACES,
    SHAPES,
    SIZES,
    Shapes as Source,
    ShapesConfig as Config,
    pairs,
)

AREAS = {
    "circle": math.pi,
    "square": 1.8**2,
    "triangle": 2,
    "cross": 4 * 0.6 - 0.6**2,
    "ring": math.pi * (1 - 0.6**2),
}


def shapes(split="train", num=2000, **config):
    return load_dataset("shapes", split, num=num, **config)


def everything(dataset):
    return dataset.batch(range(len(dataset)), torch.Generator().manual_seed(0))


def shown(batch):
    return set(zip(batch["colour"].tolist(), batch["shape"].tolist(), strict=True))


# Drawing.


@pytest.mark.parametrize(("k", "name"), list(enumerate(DRAWN)))
def test_a_shapes_area_is_what_it_should_be(k, name):
    """Pixels are covered by a straight edge's share: within 2 % at a radius of 20."""
    mask = draw(torch.tensor([k]), torch.tensor([20.0]), torch.tensor([[32.3, 31.6]]), 64)
    assert mask.sum().item() == pytest.approx(AREAS[name] * 400, rel=0.02)


@pytest.mark.parametrize("k", range(len(DRAWN)))
def test_a_shape_moves_with_its_middle_and_stays_within_its_radius(k):
    shape, radius = torch.tensor([k, k]), torch.tensor([6.0, 6.0])
    a, b = draw(shape, radius, torch.tensor([[10.0, 10.0], [15.0, 12.0]]), 32)
    torch.testing.assert_close(torch.roll(a, (2, 5), (0, 1)), b)
    assert a[3:17, 3:17].count_nonzero() == a.count_nonzero() > 0


def test_a_triangle_has_its_tip_up():
    k = torch.tensor([SHAPES.index("triangle")])
    mask = draw(k, torch.tensor([10.0]), torch.tensor([[16.0, 16.0]]), 32)[0]
    assert mask[8].sum() < mask[16].sum() < mask[24].sum()


# Data.


def test_a_picture_is_one_shape_of_one_colour_where_it_should_be():
    batch = everything(shapes(num=500))
    x, paint = batch["x"], torch.tensor(list(COLOURS.values()))[batch["colour"]]
    mask = x.amax(1)
    torch.testing.assert_close(x, paint[:, :, None, None] * mask[:, None])
    line = torch.arange(32) + 0.5
    weight = mask.sum((1, 2))
    right = (mask * line).sum((1, 2)) / weight / 32 - 0.5
    places = torch.tensor(list(PLACES.values()))[batch["place"]]
    assert (right - places[:, 0]).abs().max() < 0.04
    circles = batch["shape"] == SHAPES.index("circle")
    radius = (weight / math.pi).sqrt() / 32
    ends = torch.tensor(list(SIZES.values()))[batch["size"]]
    assert (radius > ends[:, 0] - 0.01)[circles].all()
    assert (radius < ends[:, 1] + 0.01)[circles].all()


def test_captions_say_what_the_pictures_show():
    dataset = shapes(num=500)
    batch, grammar = everything(dataset), Grammar(dataset.info["text"].templates)
    said = [grammar.meaning(text) for text in batch["text"]]
    assert {len(values) for values in said} == {2, 3, 4}
    for i, values in enumerate(said):
        assert values.items() <= {name: batch[name][i].item() for name in grammar.slots}.items()


@pytest.mark.parametrize("held_out", [1, 5, 20])
def test_held_out_pairs_are_never_trained_on_and_their_parts_are(held_out):
    train, test, held = (
        everything(shapes(split, num=20_000, side=16, held_out=held_out))
        for split in ("train", "test", "held-out")
    )
    assert len(shown(held)) == held_out
    assert not shown(held) & (shown(train) | shown(test))
    assert len(shown(train)) == 30 - held_out
    for i in range(2):
        assert {pair[i] for pair in shown(held)} <= {pair[i] for pair in shown(train)}


def test_pairs_are_each_held_out_once():
    assert len({tuple(pair) for pair in pairs("train", 0).tolist()}) == 30


def test_everything_is_drawn_equally_often():
    """Each share of 20,000 is within 5 standard errors."""
    batch = everything(shapes(num=20_000, side=16, held_out=0))
    for name, num in {"colour": 6, "shape": 5, "size": 2, "place": 5}.items():
        share = torch.bincount(batch[name], minlength=num) / 20_000
        assert (share - 1 / num).abs().max() < 5 * (1 / num / 20_000) ** 0.5


def test_a_seed_and_a_split_are_all_that_rows_depend_on():
    a, again, other, test = (
        everything(dataset)["x"]
        for dataset in (shapes(num=200), shapes(num=200), shapes(num=200, seed=1), shapes("test"))
    )
    assert torch.equal(a, again)
    assert not torch.equal(a, other)
    assert not torch.equal(a, test)
    assert torch.equal(everything(shapes(num=200, captions=False))["x"], a)


def test_shapes_say_what_they_are():
    dataset = shapes(num=30, side=20)
    batch, info = dataset.head(4), dataset.info
    assert batch["x"].shape == (4, 3, 20, 20)
    assert info["x"] == Unit(shape=(3, 20, 20), levels=256)
    assert info.range["x"] == (0, 1)
    assert torch.equal(batch["label"], batch["shape"])
    assert info["label"] == Label(num_classes=5, names=SHAPES)
    assert info["text"] == Text(templates=Source.grammar)
    slots = {"colour": COLOURS, "shape": SHAPES, "size": SIZES, "place": PLACES}
    for name, names in slots.items():
        assert info[name] == Label(num_classes=len(names), names=tuple(names))
    assert set(info.fields) == set(batch)
    assert [len(shapes(split, num=30)) for split in ("train", "test")] == [30, 3]
    assert "held-out" not in Source(Config(held_out=0)).splits()


def test_without_captions_there_are_none():
    dataset = load_split(Source(Config(num=10, captions=False)))
    assert "text" not in dataset.head(2)
    assert "text" not in dataset.info


def test_captions_survive_the_static_draw():
    batch = shapes(num=70, binarize="static").head(3)
    assert set(batch) == {"x", "label", "text", "colour", "shape", "size", "place"}
    assert torch.equal(batch["colour"], shapes(num=70).head(3)["colour"])
