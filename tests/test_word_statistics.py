"""benchmarks/word_statistics.py: the trigram model and shares of words, computed by hand."""

import doctest
import importlib
import itertools
import math
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
WORDS = ["ab", "abb", "ba", "cab", "abb"]


@pytest.fixture(scope="module")
def statistics():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return importlib.import_module("word_statistics")


def smoothed(words, character, context):
    """Return p(character | context) by Witten-Bell smoothing, from counts of substrings."""
    if context is None:
        return 1 / 4  # Of a, b, c and the end.
    shorter = smoothed(words, character, context[1:] if context else None)
    texts = ["$$" + word + "$" for word in words]
    follow = [
        text[i]
        for text in texts
        for i in range(2, len(text))
        if text[i - len(context) : i] == context
    ]
    kinds = len(set(follow))
    if not kinds:
        return shorter
    return (follow.count(character) + kinds * shorter) / (len(follow) + kinds)


def test_examples_in_docstrings(statistics):
    found = doctest.testmod(statistics)
    assert found.attempted > 3
    assert not found.failed


def test_probabilities_are_witten_bell_smoothed_counts_of_training_words(statistics):
    model = statistics.Trigrams.fitted(WORDS)
    for context in ("$$", "$a", "$b", "$c", "ab", "bb", "ca", "cc", "bc"):
        each = [model.probability(character, context) for character in "abc$"]
        assert each == pytest.approx([smoothed(WORDS, c, context) for c in "abc$"], rel=1e-12)
        assert sum(each) == pytest.approx(1, abs=1e-12)
        assert min(each) > 0


def test_all_words_together_have_probability_one(statistics):
    model = statistics.Trigrams.fitted(WORDS)
    total = 0.0
    for length in range(9):
        texts = map("".join, itertools.product("abc", repeat=length))
        total += sum(2 ** -model.bits(text) for text in texts)
    assert 0.93 < total < 1


def test_bits_are_for_each_letter_and_one_end_of_each_word(statistics):
    model = statistics.Trigrams.fitted(WORDS)
    chain = [("$$", "c"), ("$c", "a"), ("ca", "$"), ("$$", "b"), ("$b", "$")]
    bits = -sum(math.log2(smoothed(WORDS, character, context)) for context, character in chain)
    assert model.bits_per_character(["ca", "b"]) == pytest.approx(bits / 5, rel=1e-12)
    assert model.perplexity(["ca", "b"]) == pytest.approx(2 ** (bits / 5), rel=1e-12)
    assert model.perplexity(["ab"]) < model.perplexity(["bc"])
    assert math.isinf(model.perplexity(["ax"]))
    assert math.isnan(model.perplexity([]))


def test_samples_are_counted_with_repetitions(statistics):
    samples = ["ab", "cc", "ba", "ab", "cc"]
    found = statistics.shares(samples, full=["ab", "ba", "bb"], training=["ab", "bb"])
    assert (found.words, found.training) == (0.6, 0.4)
    assert found.new == ["cc", "ba", "cc"]


def test_what_cannot_be_counted_is_refused(statistics):
    with pytest.raises(ValueError, match="Give words without"):
        statistics.Trigrams.fitted([])
    with pytest.raises(ValueError, match="Give words without"):
        statistics.Trigrams.fitted(["a$b"])
    with pytest.raises(ValueError, match="got 0 samples"):
        statistics.shares([], full=["ab"], training=["ab"])
    with pytest.raises(ValueError, match="1 training words are not in the full list"):
        statistics.shares(["ab"], full=["ab"], training=["ab", "ba"])
