"""The small text encoder of its own words: tokens, states, refusals, and what is stored."""

import pytest
import torch
from hypothesis import given, strategies as st
from transformers import CLIPTextModel

from genzoo import ConditionError, ConfigError, Real, Text, create_model
from genzoo.plugin import Grammar, words_of
from genzoo_datasets.grammars import FASHION_CAPTIONS
from genzoo_datasets.shapes import SHAPE_CAPTIONS
from genzoo_diffusion.conditioning import Embedder
from genzoo_diffusion.fitted_text import FittedTextConfig, FittedTextEncoder, make_tokenizer

CPU = torch.device("cpu")
WORDS = ("a", "ankle", "boot", "o'clock", "shirt", "t-shirt", "three")
SMALL = {"width": 8, "num_layers": 1, "num_heads": 2}


def encoder(seed=0, **values):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FittedTextEncoder(
            FittedTextConfig.from_dict({"vocabulary": WORDS, "max_length": 7, **SMALL, **values})
        )


# Tokens.


def test_tokens_are_start_words_end_and_padding():
    ids = encoder().token_ids(["An ANKLE boot, a T-shirt!", ""])
    assert ids.tolist() == [[1, 4, 5, 3, 8, 2, 0], [1, 2, 0, 0, 0, 0, 0]]


@given(st.text(st.sampled_from("abot -'’_,.TSH1é"), max_size=40))
def test_tokens_are_the_known_words_of_a_text(text):
    known = [word for word in words_of(text) if word in WORDS]
    assert TOKENIZER.encode(text).tokens == ["<start>", *known, "<end>"]


TOKENIZER = make_tokenizer(FittedTextConfig(vocabulary=WORDS))


@pytest.mark.parametrize("text", ["<start>", "<pad> <end>", "shirt-t", "boots", "o'clocks", "…"])
def test_a_text_without_a_known_word_is_refused_with_the_known_ones(text):
    with pytest.raises(ConditionError, match=r"no word that this model knows\. It knows: a, an"):
        encoder().token_ids(["a boot", text])


def test_a_text_that_is_too_long_is_refused():
    model = encoder()
    assert model.token_ids(["a boot " * 2]).shape == (1, 7)
    with pytest.raises(ConditionError, match="has 6 words that this model knows; the maximum is"):
        model.token_ids(["a boot " * 3])


@pytest.mark.parametrize("templates", [FASHION_CAPTIONS, SHAPE_CAPTIONS])
def test_a_grammars_captions_fit_and_differ(templates):
    config = FittedTextConfig.for_captions(templates, **SMALL)
    texts = list({text for text, _ in Grammar(templates).captions()})
    ids = FittedTextEncoder(config).token_ids(texts)
    assert len({tuple(row) for row in ids.tolist()}) == len(texts)
    assert (ids != 0).sum(1).max() == ids.shape[1] == config.max_length
    assert [len(words_of(text)) + 2 for text in texts] == (ids != 0).sum(1).tolist()


# States.


def test_states_are_those_of_transformers_clip():
    model = encoder()
    texts = ["a boot", "", "three"]
    theirs = CLIPTextModel(model.clip.config).eval()
    theirs.load_state_dict(model.clip.state_dict())
    found = model(texts, CPU)
    assert found.mask is None
    assert found.sequence.shape == (3, 7, 8)
    assert torch.equal(found.sequence, theirs(model.token_ids(texts)).last_hidden_state)


def test_a_texts_states_depend_on_it_alone():
    model = encoder()
    one = model(["a boot", "three"], CPU).sequence
    two = model(["a boot", "a shirt"], CPU).sequence
    assert torch.equal(one[0], two[0])
    assert not torch.allclose(one[1], two[1])
    assert torch.equal(model(["a boot", "three"], CPU).sequence, one)


def test_the_order_of_words_is_seen():
    found = encoder()(["a boot three", "three boot a"], CPU).sequence
    assert not torch.allclose(found[0, -1], found[1, -1])


def test_every_parameter_learns():
    model = encoder()
    model(["a boot", ""], CPU).sequence.square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_nothing_but_weights_is_stored():
    model, other = encoder(), encoder(seed=1)
    assert all(name.startswith("clip.") for name in model.state_dict())
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(["three"], CPU).sequence, model(["three"], CPU).sequence)


# What a denoiser is told.


def test_no_condition_is_the_empty_text():
    embed = Embedder({"text": Text()}, encoder())
    null = embed.null(3, CPU)
    torch.testing.assert_close(null.tokens, embed({"text": ["", "", ""]}, CPU).tokens)
    told = embed({"text": ["a boot"] * 3}, CPU)
    assert told.tokens.shape == null.tokens.shape == (3, 7, 8)
    assert told.mask is null.mask is told.labels is None
    keep = torch.tensor([True, False, True])
    mixed = told.where(keep, null)
    assert torch.equal(mixed.tokens[1], null.tokens[1])
    assert torch.equal(mixed.tokens[0], told.tokens[0])


@pytest.mark.parametrize("condition", [None, ["a"], ["a", "b", 3], 7 * ["a"]])
def test_texts_are_as_many_as_samples(condition):
    words = {"vocabulary": WORDS, "max_length": 7, **SMALL}
    event, texts = Real(shape=(3,)), {"text": Text()}
    found = create_model(
        "ddpm", event=event, conditions=texts, text=words, hidden_dim=8, condition_dropout=0.0
    )
    with pytest.raises(ConditionError, match="text"):
        found.signal(condition, 3)
    assert found.signal("a", 3).tokens.shape == found.signal(["a"] * 3, 3).tokens.shape


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"vocabulary": ("a b",)}, "each once; got 'a b'"),
        ({"vocabulary": ("A",)}, "each once; got 'A'"),
        ({"vocabulary": ("a", "a")}, "has a word twice"),
        ({"num_heads": 3}, "3 heads do not divide the width 8"),
    ],
)
def test_configs_that_make_no_encoder_are_refused(values, why):
    with pytest.raises(ConfigError, match=why):
        encoder(**values)
