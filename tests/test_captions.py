"""Captions: what a grammar makes, what is read back, and rows that are given them."""

import itertools
import re
from collections import Counter

import pytest
import torch
from hypothesis import given, settings, strategies as st

from genzoo import seeds
from genzoo.captions import Grammar, _Said, words_of
from genzoo.data import ArrayDataset, from_array, load_dataset
from genzoo.data.captioned import Captioned, caption
from genzoo.data.digits import Digits
from genzoo.errors import ConfigError, DataError
from genzoo.spaces import Label, Text, Unit
from genzoo.spec import DataInfo

DIGIT_CAPTIONS = Digits.grammar
PETS = ("a {label=cat|hot dog}", "{number=one|two} {label=cats|hot dogs}!")


def batches(dataset, times, seed=0):
    generator = seeds.generator(seed)
    return [dataset.batch(range(20), generator) for _ in range(times)]


# The grammar.


def test_every_caption_is_read_back_as_what_it_was_made_of():
    for templates in (PETS, DIGIT_CAPTIONS):
        grammar = Grammar(templates)
        for text, values in grammar.captions():
            assert grammar.meaning(text) == values
            assert grammar.meaning(f"  {text.upper().replace(' ', '   ')}. ") == values


def test_captions_are_all_combinations():
    found = [text for text, _ in Grammar(PETS).captions()]
    plural = itertools.product(["one", "two"], ["cats", "hot dogs"])
    assert found == ["a cat", "a hot dog", *(f"{n} {p}!" for n, p in plural)]


@pytest.mark.parametrize("text", ["", "a", "a cat cat", "a hot", "three cats", "cat", "one a cat"])
def test_what_no_template_makes_says_nothing(text):
    assert Grammar(PETS).meaning(text) is None


def test_words_are_those_of_all_captions():
    words = {word for text, _ in Grammar(PETS).captions() for word in words_of(text)}
    assert Grammar(PETS).words() == tuple(sorted(words))


def test_a_caption_says_the_values_and_every_template_is_drawn_equally():
    """Of 4,000 draws each template's share is within 5 standard errors of one half."""
    values = [{"label": i % 2, "number": i // 2 % 2} for i in range(4000)]
    grammar = Grammar(PETS)
    found = grammar.draw(values, seeds.generator(0))
    assert found == grammar.draw(values, seeds.generator(0))
    assert found != grammar.draw(values, seeds.generator(1))
    for text, wanted in zip(found, values, strict=True):
        said = grammar.meaning(text)
        assert said == {name: wanted[name] for name in said}
    plural = sum(text.endswith("!") for text in found)
    assert abs(plural - 2000) < 5 * 1000**0.5


def spoken(template):
    """The regular expression of a template's captions: what reading them is held against."""
    fixed, slots = re.split(r"\{\w+=[^{}]*\}", template), re.findall(r"=([^{}]*)\}", template)
    groups = ["|".join(" ".join(words_of(c)) for c in choices.split("|")) for choices in slots]
    parts = [" ".join(words_of(fixed[0]))]
    for group, text in zip(groups, fixed[1:], strict=True):
        parts += [f"({group})", " ".join(words_of(text))]
    return re.compile(" ".join(filter(None, parts)))


def read_by_all_ways(templates, text):
    """What a caption says, by trying one way after the other: exponential, and plainly right."""
    plain = " ".join(words_of(text))
    for template in templates:
        if match := spoken(template).fullmatch(plain):
            slots = re.findall(r"\{(\w+)=([^{}]*)\}", template)
            choices = [[" ".join(words_of(c)) for c in given.split("|")] for _, given in slots]
            return {
                name: known.index(said)
                for (name, _), known, said in zip(slots, choices, match.groups(), strict=True)
            }
    return None


def words(letters, least):
    return st.lists(st.sampled_from(letters), min_size=least, max_size=3).map(" ".join)


@st.composite
def made_up(draw, letters):
    """A template whose choices begin like each other, so that it can be read in many ways."""
    text = draw(words(letters, 0))
    for i in range(draw(st.integers(0, 4))):
        choices = draw(st.lists(words(letters, 1), min_size=1, max_size=4, unique=True))
        text += f" {{s{i}={'|'.join(choices)}}} {draw(words(letters, 0))}"
    return text


@given(made_up("xy"), st.lists(st.sampled_from("xy"), max_size=12))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_captions_are_read_as_by_trying_all_ways(template, text):
    text = " ".join(text)
    assert Grammar([template]).meaning(text) == read_by_all_ways([template], text)


@given(made_up("x"), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_caption_that_can_be_read_in_several_ways_is_read_as_by_trying_all(template, random):
    grammar = Grammar([template])
    text, _ = random.choice(list(grammar.captions()))
    assert grammar.meaning(text) == read_by_all_ways([template], text) is not None
    assert grammar.most_words() == max(len(words_of(text)) for text, _ in grammar.captions())


@pytest.mark.parametrize("templates", [PETS, DIGIT_CAPTIONS])
def test_known_grammars_are_read_as_by_trying_all_ways(templates):
    grammar = Grammar(templates)
    texts = [text for text, _ in itertools.islice(grammar.captions(), 0, None, 7)][:100]
    for text in [*texts, *(f"{text} x" for text in texts[:5])]:
        assert grammar.meaning(text) == read_by_all_ways(templates, text)


def many_slots(num, choices):
    return " ".join(f"{{s{i}={choices}}}" for i in range(num))


def test_reading_takes_a_time_that_is_polynomial_in_the_words(monkeypatch):
    """Each slot takes one to three words: 3¹⁶ ways, of which few steps find the one that fits.

    What is counted are looks at a place of the text, not seconds.
    """
    looks, look = [], _Said.starts

    def counted(self, words, ends):
        ends = list(ends)
        looks.extend(ends * len(self.lengths))
        return look(self, words, ends)

    monkeypatch.setattr(_Said, "starts", counted)
    grammar = Grammar([many_slots(16, "x|x x|x x x")])
    said = grammar.meaning("x " * 40)
    assert sum(1 + value for value in said.values()) == 40
    assert list(said.values()) == [0] * 4 + [2] * 12
    assert grammar.meaning("x " * 40 + "y") is None
    assert len(looks) < 16 * 40 * 3 + 100


@pytest.mark.parametrize(
    ("templates", "why"),
    [
        (["{label=a|b}"] * 101, "too many templates: 101, and 100 are allowed"),
        ([many_slots(18, "x|x x|x x x")], "too many slots: 18, and 16"),
        ([f"{{label={'|'.join(f'c{i}' for i in range(1001))}}}"], "too many choices: 1,001"),
        (["x " * 125 + "{label=a|b b b b}"], "too many words: 129, and 128"),
    ],
)
def test_a_grammar_is_bounded(templates, why):
    with pytest.raises(ConfigError, match=why):
        Grammar(templates)


@pytest.mark.parametrize(
    "templates",
    [
        ["{label=a|b}"] * 100,
        [many_slots(16, "x|y")],
        [f"{{label={'|'.join(f'c{i}' for i in range(1000))}}}"],
        ["x " * 124 + "{label=a|b b b b}"],
    ],
)
def test_a_grammar_at_its_bounds_is_taken(templates):
    text, values = next(Grammar(templates).captions())
    assert Grammar(templates).meaning(text) == values


@pytest.mark.parametrize(
    ("templates", "why"),
    [
        ([], "needs a template"),
        (["a {label}"], "a brace that belongs to no slot"),
        (["a }label=a|b{"], "a brace that belongs to no slot"),
        (["{label=a|b} {label=a|b}"], "one slot twice"),
        (["{label=a|A}"], "choices that differ"),
        (["{label=a|}"], "are not empty"),
        (["{label=a|b}s"], "within a word"),
        (["{label=a|b}", "{label=a|b|c}"], "2 choices in one template and 3 in another"),
    ],
)
def test_malformed_templates_are_refused(templates, why):
    with pytest.raises(ConfigError, match=why):
        Grammar(templates)


# Rows with captions.


def test_digits_say_the_digit_in_words():
    dataset = load_dataset("digits", captions=True)
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    for batch in batches(dataset, 5):
        for text, label in zip(batch["text"], batch["label"].tolist(), strict=True):
            assert [word for word in words_of(text) if word in names] == [names[label]]
    assert dataset.info["text"].templates == DIGIT_CAPTIONS
    assert dataset.name == "digits/train (captions)"
    assert "text" not in load_dataset("digits").head(1)
    assert "text" not in load_dataset("digits").info


def test_a_rows_caption_is_drawn_at_each_presentation():
    dataset = load_dataset("digits", captions=True)
    drawn = Counter(batch["text"][0] for batch in batches(dataset, 400))
    assert len(drawn) == len(DIGIT_CAPTIONS)
    assert min(drawn.values()) > 100 - 5 * 75**0.5


def test_captions_leave_the_rest_as_it_was():
    plain = load_dataset("digits", "test", limit=30, binarize="threshold")
    dataset = load_dataset("digits", "test", limit=30, binarize="threshold", captions=True)
    a, b = plain.batch([4, 2]), dataset.batch([4, 2])
    assert torch.equal(a["x"], b["x"])
    assert torch.equal(a["label"], b["label"])
    assert len(dataset) == 30
    assert torch.equal(dataset.info.mean["x"], plain.info.mean["x"])


def test_names_of_labels_make_captions_where_there_is_no_grammar():
    x = torch.rand(4, 1, 2, 2)
    names = Label(num_classes=2, names=("Cat", "Dog"))
    info = DataInfo(fields={"x": Unit(shape=(1, 2, 2)), "label": names})
    dataset = caption(ArrayDataset(x, info, "pets", torch.tensor([0, 1, 1, 0])), ())
    assert dataset.info["text"] == Text(templates=("a photo of {label=Cat|Dog}",))
    assert dataset.batch([2, 3])["text"] == ["a photo of Dog", "a photo of Cat"]


def test_rows_that_come_with_captions_keep_them():
    info = DataInfo(fields={"x": Unit(shape=(1,)), "text": Text()})
    dataset = ArrayDataset(torch.rand(2, 1), info, "rows", text=["one", "two"])
    assert caption(dataset, DIGIT_CAPTIONS) is dataset


def unlabelled(label):
    """Rows of three labels, some of which are not those that the data state."""
    info = DataInfo(fields={"x": Unit(shape=(1,)), "label": Label(num_classes=3)})
    return ArrayDataset(torch.rand(len(label), 1), info, "rows", torch.tensor(label))


def test_of_a_row_without_a_label_nothing_is_told_and_the_others_captions_are_as_they_were():
    templates = ("a {label=cat|dog|cow}", "the {label=cat|dog|cow}")
    known = Captioned(unlabelled([2, 0, 1, 0]), templates)
    some = Captioned(unlabelled([2, -1, 1, -1]), templates)
    for seed in range(5):
        texts, found = (d.batch(range(4), seeds.generator(seed))["text"] for d in (known, some))
        assert found == [texts[0], "", texts[2], ""]
        assert "" not in texts
    assert some.info["text"].is_null(found).tolist() == [False, True, False, True]


def test_of_several_things_that_are_told_one_that_is_not_known_leaves_the_caption_empty():
    info = DataInfo(fields={"x": Unit(shape=(1,))})
    columns = {"size": torch.tensor([0, -1, 1]), "colour": torch.tensor([1, 1, -1])}
    rows = ArrayDataset(torch.rand(3, 1), info, "rows", columns=columns)
    found = Captioned(rows, ("a {size=small|large} {colour=red|blue} one",)).head(3)["text"]
    assert found == ["a small blue one", "", ""]


@pytest.mark.parametrize("wrong", [3, 7, -2])
def test_a_label_that_the_templates_have_no_words_for_is_named(wrong):
    data = Captioned(unlabelled([0, wrong, 2]), ("a {label=cat|dog|cow}",))
    said = f"has the label {wrong}; its templates have words for 0 to 2, and −1 stands for none"
    with pytest.raises(DataError, match=said):
        data.head(3)
    assert data.batch([0, 2])["text"] == ["a cat", "a cow"]


def test_rows_that_cannot_be_captioned_are_refused():
    x = torch.rand(4, 3)
    with pytest.raises(DataError, match="no names of labels, and no grammar"):
        caption(from_array(x, "rows", label=torch.arange(4)), ())
    with pytest.raises(DataError, match="its rows have no label"):
        Captioned(from_array(x, "rows"), DIGIT_CAPTIONS)
    with pytest.raises(
        DataError, match="has 4 labels; its captions' templates have a choice for 10"
    ):
        Captioned(from_array(x, "rows", label=torch.arange(4)), DIGIT_CAPTIONS)
    two = Label(num_classes=2, names=("a|b", "c"))
    info = load_dataset("digits").info.with_field("label", two)
    rows = ArrayDataset(torch.rand(2, 1, 8, 8), info, "rows", torch.tensor([0, 1]))
    with pytest.raises(DataError, match="has 2 labels"):
        caption(rows, ())
