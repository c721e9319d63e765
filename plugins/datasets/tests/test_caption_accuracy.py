"""Captions obeyed: recognizers of pictures, and the share of samples that show what was said."""

import pytest
import torch

import families
from families_common import drawn_by
from genzoo import CapabilityError, Text, evaluate, load_dataset
from genzoo.data import from_array
from genzoo.plugin import Grammar, UnknownNameError
from genzoo_datasets.attribute_recognizers import (
    SHAPES_RECOGNIZER,
    ShapesRecognizer,
    load_recognizer,
)
from genzoo_datasets.caption_accuracy import CaptionConfig, CaptionObeyed
from genzoo_datasets.classifier import load_classifier, sha256_of
from genzoo_datasets.grammars import DIGIT_CAPTIONS
from genzoo_datasets.shapes import SHAPE_CAPTIONS
from judges import Redraw, Replay, case

SLOTS = ("size", "colour", "shape", "place")


class Dealt(Redraw):
    """Draws a row of which everything that the caption says is true."""

    def pick(self, model, num, condition, generator):
        return torch.tensor([model.rows_for(text, generator) for text in condition["text"]])


class TextReplay(Replay):
    """Draws among the rows of which a caption holds, but of one thing that it gets wrong."""

    Config = families.LabelledConfig
    condition_spaces = (Text,)

    def __init__(self, dataset, num, wrong=None):
        batch = dataset.head(num)
        super().__init__(batch["x"])
        self.batch, self.grammar, self.wrong = (
            batch,
            Grammar(dataset.info["text"].templates),
            wrong,
        )

    def given(self, label):
        return {"conditions": {"text": Text()}}

    default_sampler = drawn_by(Dealt)

    def rows_for(self, text, generator):
        said = self.grammar.meaning(text)
        if self.wrong in said:
            said[self.wrong] = (said[self.wrong] + 1) % self.grammar.slots[self.wrong]
        fits = torch.stack([self.batch[name] == value for name, value in said.items()]).all(0)
        fitting = fits.nonzero()[:, 0]
        return fitting[torch.randint(len(fitting), (), generator=generator)]


@pytest.fixture(scope="module")
def shapes():
    return load_dataset("shapes", num=8000, held_out=0)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits", captions=True)


def share(batch, found):
    return torch.stack([found[name] == batch[name] for name in SLOTS]).all(0).double().mean()


# The recognizer of shapes.


@pytest.mark.parametrize("side", [16, 28, 32, 64])
def test_true_pictures_are_read_right(side):
    batch = load_dataset("shapes", num=500, side=side).head(500)
    assert share(batch, ShapesRecognizer(side).recognize(batch["x"])) >= 0.99


def test_pictures_a_little_off_are_read_right(shapes):
    batch, recognizer = shapes.head(300), ShapesRecognizer(32)
    noise = 0.05 * torch.randn(300, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert share(batch, recognizer.recognize(batch["x"] + noise)) >= 0.98
    assert share(batch, recognizer.recognize(0.8 * batch["x"])) >= 0.98


def test_what_is_no_such_picture_is_unclear():
    batch, recognizer = load_dataset("shapes", num=300, held_out=0).head(300), ShapesRecognizer(32)
    noise = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    large = (batch["size"] == 1) & (batch["place"] == 0) & (batch["shape"] != 4)
    two = (batch["x"][large] + batch["x"][large].flip(2)).clamp(0, 1)
    for x in (noise, torch.zeros(2, 3, 32, 32), torch.ones(2, 3, 32, 32), two):
        found = ShapesRecognizer(32).recognize(x)
        assert all((found[name] == -1).all() for name in SLOTS)
    half_hidden = batch["x"].clone()
    half_hidden[:, :, :, :16] = 0
    assert share(batch, recognizer.recognize(half_hidden)) < 0.5


# The share.


def test_true_rows_obey_their_captions_and_others_by_chance(shapes):
    """Chance is Σ over templates of P(two rows agree), within 5 standard errors of 600."""
    figures = CaptionObeyed().compute(case(TextReplay(shapes, 8000), shapes, 1200))
    assert list(figures) == ["caption-obeyed", *(f"{slot}-obeyed" for slot in SLOTS)]
    assert all(figure.value >= 0.99 for figure in figures.values())
    assert all(figure.reference.value >= 0.99 for figure in figures.values())
    chance = (1 / 300 + 1 / 150 + 1 / 60 + 1 / 30) / 4
    told = float(figures["caption-obeyed"].notes[0].text.split(" captions, in ")[1].split(" ")[0])
    assert abs(told - chance) < 5 * (chance / 600) ** 0.5
    assert figures["caption-obeyed"].num_samples == 600
    assert figures["size-obeyed"].num_samples < 400
    assert figures["caption-obeyed"].provenance["recognizer"] == SHAPES_RECOGNIZER


@pytest.mark.parametrize("slot", SLOTS)
def test_one_thing_wrong_is_told_of_that_thing(shapes, slot):
    figures = CaptionObeyed().compute(case(TextReplay(shapes, 8000, wrong=slot), shapes, 400))
    for other in SLOTS:
        assert (figures[f"{other}-obeyed"].value < 0.01) == (other == slot)
    said = {"colour": 1, "shape": 1, "size": 0.5, "place": 0.5}[slot]
    assert figures["caption-obeyed"].value == pytest.approx(1 - said, abs=5 * 0.5 / 200**0.5)


def test_digits_are_read_by_the_classifier_that_comes_with_genzoo(digits):
    (figure,) = CaptionObeyed().compute(case(TextReplay(digits, 1500), digits, 600)).values()
    held_out = case(TextReplay(digits, 10), digits, 600).held_out
    right = load_classifier("digits-cnn").predict(held_out["x"]) == held_out["label"]
    assert figure.reference.value == pytest.approx(right.double().mean().item())
    assert figure.value >= 0.97
    assert figure.provenance == {"recognizer": "digits-cnn", "sha256": sha256_of("digits-cnn")}


def test_digits_of_another_caption_are_wrong(digits):
    model = TextReplay(digits, 1500, wrong="label")
    figure = evaluate(model, digits, ["caption-obeyed"]).figures["caption-obeyed"]
    assert figure.value < 0.05


def test_only_captions_that_can_be_read_are_judged(digits, shapes):
    metric, x = CaptionObeyed(), torch.rand(200, 1, 8, 8)
    with pytest.raises(CapabilityError, match="the model is not conditioned on a text"):
        evaluate(Replay(x), from_array(x, "rows"), ["caption-obeyed"])
    model = TextReplay(digits, 100)
    assert "the data have none" in metric.unavailable_reason(model, load_dataset("digits"))
    named = CaptionObeyed(CaptionConfig(recognizer=SHAPES_RECOGNIZER))
    assert (
        named.unavailable_reason(model, digits)
        == "shapes-templates is for the dataset shapes only"
    )
    wrong = CaptionObeyed(CaptionConfig(recognizer="fashion-cnn")).unavailable_reason(
        model, digits
    )
    assert wrong == "fashion-cnn is for images (1, 28, 28), not (1, 8, 8)"
    unknown = CaptionObeyed(CaptionConfig(recognizer="no-such")).unavailable_reason(model, digits)
    assert "'no-such'" in unknown
    assert (
        metric.unavailable_reason(model, digits) == metric.unavailable_reason(model, shapes) == ""
    )


def test_readers_go_by_their_names(digits, shapes):
    assert load_recognizer(None, digits.info)[0] == "digits-cnn"
    assert load_recognizer(None, shapes.info)[0] == SHAPES_RECOGNIZER
    assert (digits.info["text"].templates, shapes.info["text"].templates) == (
        DIGIT_CAPTIONS,
        SHAPE_CAPTIONS,
    )
    with pytest.raises(UnknownNameError, match="shapes-templates"):
        load_recognizer("shape-templates", digits.info)
