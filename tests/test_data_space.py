"""Data in another space, fields that nobody reads, and the fields of a second domain."""

import numpy as np
import pytest
import torch

from genzoo import (
    Binary,
    Categorical,
    DataError,
    DataInfo,
    Label,
    Text,
    Unit,
    load_dataset,
    pair,
    seeds,
)
from genzoo.cli import main
from genzoo.data import ArrayDataset, DataConfig, keep_labels, subset
from genzoo.data.captioned import Captioned
from genzoo.data.domains import TwoDomains
from genzoo.data.transforms import Rewritten, prepare
from genzoo.errors import UnknownNameError


def everything(dataset, seed=0):
    return dataset.batch(range(len(dataset)), seeds.generator(seed))


# Another space.


@pytest.mark.parametrize("split", ["train", "test"])
def test_digits_are_seventeen_categories_from_which_the_greys_come_back(split):
    grey, data = load_dataset("digits", split), load_dataset("digits", split, space="categorical")
    found, expected = everything(data), everything(grey)
    assert data.info["x"] == Categorical(shape=(1, 8, 8), num_categories=17)
    assert data.info["label"] == grey.info["label"]
    assert found["x"].dtype == torch.int64
    assert torch.equal(found["x"].float() / 16, expected["x"])
    assert sorted(found["x"].unique().tolist()) == list(range(17))
    assert torch.equal(found["label"], expected["label"])
    assert torch.equal(data.labels(), grey.labels())
    assert len(data) == len(grey)
    assert data.name == f"digits/{split} (as categorical)"
    assert (data.origin, data.split) == (("digits", {"space": "categorical"}), split)
    assert (data.info.range, data.info.mean) == ({}, {})
    data.info["x"].require(found["x"], "It")


def test_digits_are_zeros_and_ones_cut_at_one_half():
    data, test = (load_dataset("digits", split, space="binary") for split in ("train", "test"))
    cut = load_dataset("digits", binarize="threshold")
    assert data.info["x"] == Binary(shape=(1, 8, 8))
    assert torch.equal(everything(data)["x"], everything(cut)["x"])
    torch.testing.assert_close(data.info.mean["x"], cut.info.mean["x"])
    assert torch.equal(data.info.mean["x"], test.info.mean["x"])


def test_zeros_and_ones_are_two_categories_and_a_space_that_data_have_changes_nothing():
    plain = load_dataset("digits", binarize="static")
    data = load_dataset("digits", binarize="static", space="categorical")
    assert data.info["x"] == Categorical(shape=(1, 8, 8), num_categories=2)
    assert torch.equal(everything(data)["x"], everything(plain)["x"].long())
    for name, given in (("unit", {}), ("binary", {"binarize": "static"})):
        same, before = load_dataset("digits", space=name, **given), load_dataset("digits", **given)
        assert same.info["x"] == before.info["x"]
        assert torch.equal(everything(same)["x"], everything(before)["x"])


def test_captions_a_limit_and_few_labels_stay_with_their_rows():
    given = {"limit": 100, "captions": True}
    plain = load_dataset("digits", **given)
    data = load_dataset("digits", **given, space="categorical")
    a, b = everything(plain, seed=3), everything(data, seed=3)
    assert torch.equal(b["x"].float() / 16, a["x"])
    assert a["text"] == b["text"]
    few = load_dataset("digits", labelled=20, space="categorical")
    assert (few.labels() >= 0).sum() == 1500
    assert few.info["x"].num_categories == 17
    rewritten = Rewritten(load_dataset("digits"), *load_dataset("digits").info["x"].into("binary"))
    assert torch.equal(keep_labels(rewritten, 20).labels(), few.labels())
    part = subset(data, 10)
    assert torch.equal(part.labels(), data.labels()[part.rows])


def test_a_dynamic_draw_is_rewritten_at_each_presentation():
    data = load_dataset("digits", binarize="dynamic", space="categorical")
    a, again, b = (everything(data, seed)["x"] for seed in (0, 0, 1))
    assert torch.equal(a, again)
    assert not torch.equal(a, b)
    drawn = everything(load_dataset("digits", binarize="dynamic"), 0)["x"]
    assert torch.equal(a, drawn.long())


def test_both_domains_are_rewritten():
    data = TwoDomains(load_dataset("digits"), load_dataset("digits", "test"), aligned=True)
    found = prepare(data, DataConfig(space="categorical"))
    assert found.info.aligned
    assert found.info["x"] == found.info["y"] == Categorical(shape=(1, 8, 8), num_categories=17)
    batch = found.head(3)
    assert torch.equal(batch["y"].float() / 16, load_dataset("digits", "test").head(3)["x"])


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        (
            "ring",
            {},
            r"ring.*: 2: finite numbers: these values cannot be written as 'categorical'",
        ),
        ("digits", {"space": "real"}, "digits/train: 1 × 8 × 8: the 17 levels .* as 'real'"),
        ("digits", {"space": "text"}, "these values cannot be written as 'text'"),
    ],
)
def test_what_cannot_be_rewritten_is_refused_in_one_sentence(name, config, said):
    with pytest.raises(DataError, match=f"{said}.* Leave --data.space out\\.$") as caught:
        load_dataset(name, **{"space": "categorical", **config})
    assert "\n" not in str(caught.value)


def test_values_that_are_no_levels_cannot_be_counted(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.full((3, 2), 0.25))
    with pytest.raises(DataError, match=r"a\.npz:x: categories are whole .* some .* not whole"):
        load_dataset(str(tmp_path / "a.npz"), space="categorical")


def test_an_unknown_space_is_answered_with_near_names():
    with pytest.raises(UnknownNameError, match=r"space 'categoric'.*Did you mean 'categorical'"):
        load_dataset("digits", space="categoric")


def test_the_flag_is_the_field(tmp_path, capsys):
    line = f"train rbm --data digits --data.space categorical --output {tmp_path}/run"
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert "RBM models binary data; these are categorical." in " ".join(said.split())
    train = f"train rbm --data digits --data.space binary --output {tmp_path}/run"
    line = f"{train} --trainer.max-steps 2"
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert left.value.code == 0
    assert 'space = "binary"' in (tmp_path / "run" / "recipe.toml").read_text("utf-8")


# What nobody reads.


class Watched(ArrayDataset):
    """Counts how often rows are read, and draws a column from the generator."""

    reads = 0

    def batch(self, indices, generator=None):
        self.reads += 1
        return super().batch(indices, generator)


def state_after(data, seed=0):
    generator = seeds.generator(seed)
    data.batch(range(10), generator)
    return generator.get_state()


def test_captions_that_nobody_reads_are_not_drawn():
    """The generator's state after a batch shows it."""
    data, untouched = load_dataset("digits", captions=True), seeds.generator(0).get_state()
    assert not torch.equal(state_after(data), untouched)
    assert torch.equal(state_after(data), state_after(data.select(["text"])))
    for fields in ((), ("label",), ("x", "label")):
        assert torch.equal(state_after(data.select(fields)), untouched)


def test_of_a_dynamic_draw_the_rest_is_as_it_would_be_without_captions():
    data = load_dataset("digits", binarize="dynamic", captions=True)
    plain = load_dataset("digits", binarize="dynamic")
    found = data.select(["label"]).batch(range(10), seeds.generator(1))
    assert torch.equal(found["x"], plain.batch(range(10), seeds.generator(1))["x"])


@pytest.mark.parametrize("fields", [(), ("label",), ("text",), ("label", "text"), ("x",)])
@pytest.mark.parametrize("prepared", [{}, {"space": "categorical"}, {"binarize": "dynamic"}])
def test_a_selection_has_x_and_the_fields_that_are_named(fields, prepared):
    data = load_dataset("digits", captions=True, **prepared)
    found = data.select(fields)
    kept = {"x", *fields}
    assert set(found.info.fields) == set(found.head(2)) == kept
    assert all(found.info[name] == data.info[name] for name in kept)
    assert len(found) == len(data)
    assert torch.equal(found.labels(), data.labels())
    assert (found.mean() is None) == (data.mean() is None)
    same = found.batch([5, 3], seeds.generator(0))
    if "text" in kept:
        assert same["text"] == data.batch([5, 3], seeds.generator(0))["text"]


def test_a_selection_of_everything_is_the_data():
    data = load_dataset("digits")
    assert data.select(["label"]) is data
    assert data.select(["label", "x", "no such field"]) is data
    some = data.select([])
    assert (some.name, some.origin, some.split) == (data.name, data.origin, data.split)
    assert torch.equal(some.info.mean["x"], data.info.mean["x"])


def test_a_selection_of_a_selection_has_the_fields_of_both():
    data = load_dataset("shapes", num=30, side=16)
    found = data.select(["colour", "text"]).select(["text"])
    assert list(found.info.fields) == list(found.head(2)) == ["x", "text"]
    assert torch.equal(state_after(data.select(["colour"])), seeds.generator(0).get_state())
    assert list(data.select(["colour"]).select(["text"]).info.fields) == ["x"]
    with pytest.raises(DataError, match="its rows have no label"):
        Captioned(found, ("{label=a|b}",))
    with pytest.raises(DataError, match="it has captions already"):
        Captioned(data, ("{label=a|b}",))


def test_captions_of_a_part_of_the_rows_and_of_rows_with_few_labels_are_not_drawn_either():
    data, untouched = load_dataset("digits", captions=True), seeds.generator(0).get_state()
    part, few = subset(data, 50), keep_labels(data, 20)
    for whole in (part, few):
        assert not torch.equal(state_after(whole), untouched)
        for fields in ((), ("label",)):
            found = whole.select(fields)
            assert torch.equal(state_after(found), untouched)
            assert set(found.info.fields) == set(found.head(2)) == {"x", *fields}
            assert torch.equal(found.labels(), whole.labels())
            assert len(found) == len(whole)
            for name in ("x", *fields):
                assert torch.equal(found.head(50)[name], whole.head(50)[name])
    assert torch.equal(part.select([]).rows, part.rows)
    assert part.select([]).name == part.name


# A second domain.


def labelled(num, classes, text=None, seed=0):
    fields = {"x": Unit(shape=(2,)), "label": Label(num_classes=classes)}
    fields |= {} if text is None else {"text": Text()}
    x = torch.rand(num, 2, generator=seeds.generator(seed))
    label = torch.arange(num) % classes
    texts = None if text is None else [f"{text} {i}" for i in range(num)]
    return Watched(x, DataInfo(fields=fields), "made", label, text=texts)


def test_labels_and_texts_of_a_second_domain_have_names_of_their_own():
    x, y = labelled(6, 2, "a"), labelled(4, 4, "b", seed=1)
    both = pair(x, y)
    assert list(both.info.fields) == ["x", "label", "text", "y", "y_label", "y_text"]
    assert both.info["y_label"] == Label(num_classes=4)
    batch = both.batch([3, 1])
    assert batch["label"].tolist() == [1, 1]
    assert batch["y_label"].tolist() == [3, 1]
    assert (batch["text"], batch["y_text"]) == (["a 3", "a 1"], ["b 3", "b 1"])
    assert set(batch) == set(both.info.fields)
    assert pair(load_dataset("digits", "test"), y).split == "test"


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ((), ["x"]),
        (("label",), ["x", "label"]),
        (("y",), ["x", "y"]),
        (("y", "y_label"), ["x", "y", "y_label"]),
        (("label", "y_text"), ["x", "label", "y", "y_text"]),
    ],
)
def test_of_two_domains_those_fields_are_read_that_are_named(fields, kept):
    x, y = labelled(6, 2, "a"), labelled(4, 4, "b", seed=1)
    found = TwoDomains(x, y, aligned=True).select(fields)
    assert list(found.info.fields) == kept
    assert set(found.batch([0, 2])) == set(kept)
    assert (y.reads > 0) == ("y" in kept)
    assert found.info.aligned == ("y" in kept)
