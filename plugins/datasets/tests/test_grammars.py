"""Grammars of captions: each caption is read back, and the words are those of the labels."""

import pytest

from genzoo import load_dataset
from genzoo.plugin import Grammar
from genzoo_datasets.classifier import SHIPPED
from genzoo_datasets.grammars import DIGIT_CAPTIONS, FASHION_CAPTIONS
from genzoo_datasets.shapes import SHAPE_CAPTIONS
from test_captions import read_by_all_ways


@pytest.mark.parametrize("templates", [DIGIT_CAPTIONS, FASHION_CAPTIONS])
def test_every_caption_is_read_back_as_what_it_was_made_of(templates):
    grammar = Grammar(templates)
    for text, values in grammar.captions():
        assert grammar.meaning(text) == values
        assert grammar.meaning(f"  {text.upper().replace(' ', '   ')}. ") == values


@pytest.mark.parametrize("templates", [FASHION_CAPTIONS, SHAPE_CAPTIONS])
def test_captions_are_read_as_by_trying_all_ways(templates):
    grammar = Grammar(templates)
    texts = [text for text, _ in list(grammar.captions())[::7]][:100]
    for text in [*texts, *(f"{text} x" for text in texts[:5])]:
        assert grammar.meaning(text) == read_by_all_ways(templates, text)


def test_mnist_has_the_captions_of_digits():
    assert load_dataset("digits", captions=True).info["text"].templates == DIGIT_CAPTIONS


def test_the_grammar_of_fashion_names_its_articles_in_order():
    words = [text for text, _ in Grammar(FASHION_CAPTIONS[-1:]).captions()]
    names = SHIPPED["fashion-cnn"].class_names
    for word, name in zip(words, names, strict=True):
        assert word.removesuffix("s") in name.lower()
