"""A part of the rows: fair to every label, the same everywhere, and drawn without reading rows."""

import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo import load_dataset, seeds
from genzoo.data import draw_rows, from_array, keep_labels, pair, subset
from genzoo.data.dataset import Dataset
from genzoo.data.domains import TwoDomains
from genzoo.data.subsets import Subset, stratified
from genzoo.evaluation.frechet import frechet_distance


def drawn(label, num, seed=0):
    return stratified(label, len(label), num, seeds.generator(seed))


def numbered(num, label=None):
    """Rows that say where they stand: row i holds i / num."""
    x = (torch.arange(num) / num)[:, None].expand(num, 2)
    return from_array(x, "numbered", label=label)


def places(batch, num, key="x"):
    return (batch[key][:, 0] * num).round().long()


def everything(dataset):
    return dataset.batch(range(len(dataset)))


class Unread(Dataset):
    """Rows with known labels that must not be read."""

    name = "unread"

    def __init__(self, label):
        self.label, self.info = label, numbered(2).info

    def __len__(self):
        return len(self.label)

    def batch(self, indices, generator=None):
        raise AssertionError("A row was read.")

    def labels(self):
        return self.label


@pytest.fixture(scope="module")
def digits_folder(tmp_path_factory):
    """The digits' training split as folders of images, one a class: sorted, as folders are."""
    root = tmp_path_factory.mktemp("digits")
    found = everything(load_dataset("digits"))
    for i, (x, label) in enumerate(zip(found["x"], found["label"].tolist(), strict=True)):
        (root / str(label)).mkdir(exist_ok=True)
        image = Image.fromarray((x[0] * 255).round().byte().numpy())
        image.save(root / str(label) / f"{i:04d}.png", compress_level=0)
    return load_dataset(str(root))


# The draw.


@pytest.mark.parametrize("sizes", [[1, 3, 8], [1000, 1, 1, 1], [7] * 13, [5]])
@pytest.mark.parametrize("seed", range(3))
def test_each_label_gets_its_share_up_to_rounding(sizes, seed):
    """−1, the label of rows without one, is a stratum like the others."""
    label = torch.arange(-1, len(sizes) - 1).repeat_interleave(torch.tensor(sizes))
    for num in {1, len(label) // 3, len(label) // 2, len(label) - 1, len(label)} - {0}:
        rows = drawn(label, num, seed)
        assert len(rows.unique()) == len(rows) == num
        counts = torch.bincount(label[rows] + 1, minlength=len(sizes)).tolist()
        for count, size in zip(counts, sizes, strict=True):
            share = num * size / len(label)
            assert math.floor(share) <= count <= math.ceil(share)


def test_every_row_is_as_probable_as_any_other():
    """A rare label must not be left out each time: 5 of 12 rows, within 5 √(p(1 − p)/R)."""
    label, num, repeats = torch.tensor([0] + [1] * 3 + [2] * 8), 5, 4000
    times = torch.zeros(len(label))
    generator = seeds.generator(0)
    for _ in range(repeats):
        times[stratified(label, len(label), num, generator)] += 1
    p = num / len(label)
    assert ((times / repeats - p).abs() < 5 * (p * (1 - p) / repeats) ** 0.5).all()


def test_parts_of_a_part_are_fair_too():
    """The order is random: of 150 in the first half, 15 ± 5 × 2.6 are of each label (5 σ)."""
    label = torch.arange(10).repeat_interleave(150)
    for seed in range(5):
        half = label[drawn(label, 300, seed)[:150]]
        assert (torch.bincount(half, minlength=10) - 15).abs().max() <= 13


def test_rows_without_labels_are_drawn_alike():
    """The mean place of n of N rows is within 5 standard errors of the middle."""
    rows = stratified(None, 10_000, 400, seeds.generator(0))
    assert len(rows.unique()) == 400
    assert abs(rows.double().mean().item() - 4999.5) < 5 * 10_000 / math.sqrt(12 * 400)
    assert rows.untyped_storage().nbytes() == 400 * 8


def test_ten_million_labels_are_drawn_from_without_reading_a_row_or_listing_labels():
    """A Python list of the labels would take 80 MB and more."""
    data = Unread(torch.arange(10_000_000) // 1_000_000)
    tracemalloc.start()
    try:
        some = subset(data, 1000)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
    assert torch.bincount(some.labels()).tolist() == [100] * 10


# Datasets.


def test_a_part_says_how_many_rows_of_which_seed():
    part = subset(load_dataset("digits", "test"), 100, seed=3)
    assert isinstance(part, Subset)
    assert len(part) == 100
    assert part.name == "digits/test (100 of 297 rows, seed 3)"
    assert (part.how, part.split) == ("stratified by label", "test")
    assert subset(numbered(9), 5).how == "random"


@pytest.mark.parametrize("num", [30, 31])
def test_all_rows_are_the_dataset_itself_in_its_own_order(num):
    data = numbered(30)
    assert subset(data, num) is data
    assert torch.equal(places(draw_rows(data, num), 30), torch.arange(30))
    both = TwoDomains(data, numbered(30), aligned=True)
    assert subset(both, num) is both


def test_a_part_of_a_part_is_of_the_same_rows():
    label = torch.arange(60) % 3
    inner = subset(numbered(60, label), 30, seed=1)
    outer = subset(inner, 12, seed=2)
    found = everything(outer)
    assert torch.equal(found["label"], label[places(found, 60)])
    assert torch.equal(outer.labels(), found["label"])
    assert set(places(found, 60).tolist()) < set(inner.rows.tolist())
    torch.testing.assert_close(outer.mean(), found["x"].mean(0))
    assert torch.bincount(found["label"]).tolist() == [4] * 3


def test_seeds_and_keys_draw_other_rows():
    data = numbered(200)
    rows = [subset(data, 50, seed=s, key=k).rows.tolist() for s, k in ((0, ""), (1, ""), (0, "a"))]
    assert rows[0] == subset(data, 50, seed=0).rows.tolist()
    assert len({tuple(some) for some in rows}) == 3


def test_two_processes_draw_the_same_rows():
    program = (
        "from genzoo.data import load_dataset as load, subset\n"
        "print(subset(load('digits'), 40, seed=5).rows.tolist(),"
        " load('digits', limit=40, limit_seed=6).rows.tolist())"
    )
    there = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    here = (
        subset(load_dataset("digits"), 40, seed=5),
        load_dataset("digits", limit=40, limit_seed=6),
    )
    assert there.stdout == f"{here[0].rows.tolist()} {here[1].rows.tolist()}\n"


# Labels that are known without reading.


def labelled_images(root, num=6):
    for i in range(num):
        (root / "ab"[i % 2]).mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4), 20 * i, np.uint8)).save(root / "ab"[i % 2] / f"{i}.png")
    return load_dataset(str(root))


def hub_rows(num=6):
    datasets = pytest.importorskip("datasets")
    from genzoo.data.hub.source import HubConfig, HubRows

    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])}
    values = {
        "image": [Image.fromarray(np.full((4, 4), i, np.uint8)) for i in range(num)],
        "label": [i % 2 for i in range(num)],
    }
    rows = datasets.Dataset.from_dict(values, features=datasets.Features(features))
    return HubRows(rows.select(range(num - 1, -1, -1)), HubConfig(), "hub")


def some_with_labels():
    yield "digits", lambda _: load_dataset("digits", "test")
    yield "dynamic", lambda _: load_dataset("digits", "test", binarize="dynamic")
    yield "static", lambda _: load_dataset("digits", "test", binarize="static", limit=100)
    yield "limited", lambda _: load_dataset("digits", "test", limit=100)
    yield "captions", lambda _: load_dataset("digits", "test", captions=True)
    yield "partly labelled", lambda _: load_dataset("digits", labelled=20)
    yield "two domains", lambda _: pair(load_dataset("digits"), torch.rand(99, 2))
    yield "ring", lambda _: load_dataset("ring", num=200)
    yield "shapes", lambda _: load_dataset("shapes", num=50, side=16)
    yield "images", labelled_images
    yield "hub", lambda _: hub_rows()


SOME = dict(some_with_labels())


@pytest.mark.parametrize("name", SOME)
def test_labels_are_those_of_the_rows(name, tmp_path):
    data = SOME[name](tmp_path)
    found = data.labels()
    assert found.dtype == torch.int64
    assert torch.equal(found, everything(data)["label"])


@pytest.mark.parametrize("name", ["images", "hub"])
def test_labels_and_draws_open_no_image(name, tmp_path, monkeypatch):
    data = SOME[name](tmp_path)

    def refuse(*_):
        raise AssertionError("An image was opened.")

    monkeypatch.setattr("PIL.Image.open", refuse)
    assert torch.bincount(subset(data, 4).labels()).tolist() == [2, 2]
    kept = keep_labels(data, 2).labelled
    assert torch.bincount(data.labels()[kept]).tolist() == [1, 1]


def test_rows_whose_labels_are_not_known_are_drawn_alike():
    class Plain(Unread):
        labels = Dataset.labels

    assert Plain(torch.zeros(9)).labels() is None
    assert subset(Plain(torch.zeros(9)), 4).how == "random"
    assert numbered(5).labels() is None


# Two domains.


def test_aligned_rows_stay_together():
    label = torch.arange(90) // 30
    both = TwoDomains(numbered(90, label), numbered(90), aligned=True)
    part = subset(both, 30)
    found = everything(part)
    assert part.info.aligned
    assert torch.equal(places(found, 90), places(found, 90, "y"))
    assert torch.bincount(found["label"]).tolist() == [10] * 3
    assert torch.equal(found["label"], label[places(found, 90)])


def test_other_domains_are_each_drawn_on_their_own():
    """Also where one is short: the other's rows are a part of all of its own."""
    x_label, y_label = torch.arange(90) // 30, torch.arange(90) // 45
    both = pair(numbered(90, x_label), numbered(90, y_label))
    part = subset(both, 30)
    found = everything(part)
    assert not part.info.aligned
    x, y = places(found, 90), places(found, 90, "y")
    assert not torch.equal(x, y)
    assert torch.bincount(x_label[x]).tolist() == [10] * 3
    assert torch.bincount(y_label[y]).tolist() == [15] * 2
    found = draw_rows(pair(numbered(20), numbered(90, y_label)), 1000)
    assert torch.equal(places(found, 20), torch.arange(20))
    assert torch.bincount(y_label[places(found, 90, "y")]).tolist() == [10] * 2


# What it is for.


def test_a_part_of_a_sorted_folder_is_like_a_part_of_shuffled_rows(digits_folder):
    """The first 300 rows are 151 zeros and 149 ones; the distance of 300 to all is then 1.96.

    The values to compare with are those of twenty draws without regard to labels: their mean is
    0.086, and 1.5 times that is above the largest.
    """
    x = everything(digits_folder)["x"].flatten(1).double()
    first = torch.bincount(everything(digits_folder)["label"][:300]).tolist()
    assert first == [151, 149]
    orders = [torch.randperm(1500, generator=seeds.generator(s)) for s in range(5)]
    alike = [frechet_distance(x[order[:300]], x) for order in orders]
    for seed in range(5):
        found = draw_rows(digits_folder, 300, seed=seed)
        counts = torch.bincount(found["label"])
        assert counts.min() >= 28
        assert counts.max() <= 32
        distance = frechet_distance(found["x"].flatten(1).double(), x)
        assert distance < 1.5 * sum(alike) / len(alike)
    assert frechet_distance(x[:300], x) > 1.9


def test_a_limit_of_a_sorted_folder_is_a_part_of_every_class(digits_folder):
    data = load_dataset(digits_folder.origin[0], limit=300)
    counts = torch.bincount(everything(data)["label"]).tolist()
    whole = torch.bincount(digits_folder.labels()).tolist()
    assert all(abs(count - size / 5) < 1 for count, size in zip(counts, whole, strict=True))
