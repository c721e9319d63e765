"""CLIP's tokens by a config of ours: the ids of transformers' own tokenizer."""

import copy

import pytest
from hypothesis import given, strategies as st
from tokenizers import AddedToken
from transformers import CLIPTokenizer

from clip_pieces import LENGTH, MERGES, TEXTS, tokenizer, vocabulary
from genzoo import ConfigError
from genzoo_diffusion.byte_pairs import BytePairsConfig, make_tokenizer

LINES = "\n".join(map(" ".join, MERGES))
THEIRS = tokenizer()


def ours(**values):
    return make_tokenizer(BytePairsConfig(merges=LINES, max_length=LENGTH, **values))


OURS = ours()


def padded(tok, texts):
    return tok(texts, padding="max_length", max_length=LENGTH, truncation=True).input_ids


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_transformers(text):
    assert padded(OURS, [text]) == padded(THEIRS, [text])
    assert len(padded(OURS, [text])[0]) == LENGTH


@given(st.text(max_size=12) | st.text(st.sampled_from("the catIN'sdÉ12!<|>_ \n"), max_size=25))
def test_ids_are_those_of_transformers_whatever_the_text(text):
    assert OURS(text).input_ids == THEIRS(text).input_ids


def test_the_implied_order_of_tokens_is_clips():
    config = BytePairsConfig(merges=LINES)
    assert config.tokens() == vocabulary()
    assert BytePairsConfig().tokens() == vocabulary([])
    assert OURS("the cat").input_ids == [524, 513, 515, 525]


def test_a_vocabulary_may_have_another_order_and_other_special_tokens():
    tokens = ["[B]", "[E]", *reversed(vocabulary()[:-2])]
    special = {"bos_token": "[B]", "eos_token": "[E]", "unk_token": "[E]", "pad_token": "!"}
    theirs = tokenizer(tokens, **special)
    given = {"start": "[B]", "end": "[E]", "unknown": "[E]", "padding": "!"}
    found = ours(vocabulary="\n".join(tokens), **given)
    for text in [*TEXTS, "a cat!!", "[E] !"]:
        assert padded(found, [text]) == padded(theirs, [text])
    assert padded(found, ["the"])[0][-1] == tokens.index("!")


def test_special_tokens_may_be_found_in_lower_case():
    special = AddedToken("<|startoftext|>", normalized=True, special=True)
    theirs = tokenizer(bos_token=special)
    for text in TEXTS:
        assert padded(ours(lowered=("<|startoftext|>",)), [text]) == padded(theirs, [text])
    assert padded(ours(lowered=("<|startoftext|>",)), TEXTS) != padded(OURS, TEXTS)


def test_copies_make_the_same_tokens():
    assert padded(copy.deepcopy(OURS), TEXTS) == padded(THEIRS, TEXTS)
    assert isinstance(OURS, CLIPTokenizer)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"merges": "t h\nthe"}, "'the' is not a pair"),
        ({"merges": "t  h"}, "is not a pair"),
        ({"merges": "t hh"}, "'t hh' has or makes a token that is not in the vocabulary"),
        ({"merges": "t h\nt h"}, "has 'th' twice"),
        ({"vocabulary": "a\nb\na"}, "has 'a' twice"),
        ({"vocabulary": "a\n<|startoftext|>"}, r"'<\|endoftext\|>' is not in the vocabulary"),
        ({"padding": "[P]"}, r"'\[P\]' is not in the vocabulary"),
        ({"max_length": 2}, "max_length"),
        ({"merges": "t h\n" * 2**19}, "merges must be a length"),
    ],
)
def test_lists_that_make_no_tokenizer_are_refused(values, why):
    with pytest.raises(ConfigError, match=why):
        BytePairsConfig(**values)
