"""Frozen text encoders of others, built and saved by transformers, fetched from the tests' Hub."""

import copy
import json
import string

import pytest
import torch
import transformers
from safetensors.torch import load, save

from genzoo import ConditionError, ConfigError, LoadError, Text
from genzoo.plugin import ConfigFileError
from genzoo_diffusion.conditioning import Embedder
from genzoo_diffusion.pretrained_text import PretrainedTextConfig, PretrainedTextEncoder

CPU = torch.device("cpu")
KINDS = ["clip", "whole-clip", "t5", "bert"]
REPOSITORY = "ada/encoder"
SMALL = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 96}


def clip_config(**values):
    return transformers.CLIPTextConfig(
        **{**SMALL, "intermediate_size": 16, "max_position_embeddings": 12, **values}
    )


def make_model(kind):
    if kind == "clip":
        return transformers.CLIPTextModel(clip_config())
    if kind == "whole-clip":
        sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
        vision = transformers.CLIPVisionConfig(**sizes, image_size=8, patch_size=4)
        return transformers.CLIPModel(
            transformers.CLIPConfig(
                text_config=clip_config().to_dict(), vision_config=vision.to_dict()
            )
        )
    if kind == "t5":
        config = transformers.T5Config(
            d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2, vocab_size=96
        )
        return transformers.T5EncoderModel(config)
    config = {**SMALL, "intermediate_size": 16, "max_position_embeddings": 12}
    return transformers.BertModel(transformers.BertConfig(**config))


def make_tokenizer(kind):
    if "clip" in kind:
        letters = [letter + end for letter in string.ascii_lowercase for end in ("", "</w>")]
        names = [*letters, "<|startoftext|>", "<|endoftext|>"]
        vocab = {name: i for i, name in enumerate(names)}
        return transformers.CLIPTokenizerFast(vocab=vocab, merges=[])
    if kind == "bert":
        words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "boot"]
        return transformers.BertTokenizerFast(vocab={word: i for i, word in enumerate(words)})
    pieces = ["<pad>", "</s>", "<unk>", "▁a", "▁boot", "▁"]
    vocab = [(piece, -float(i)) for i, piece in enumerate(pieces)]
    return transformers.T5TokenizerFast(vocab=vocab, extra_ids=0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each kind, as transformers saves it."""
    made = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            make_model(kind).save_pretrained(folder)
        make_tokenizer(kind).save_pretrained(folder)
        made[kind] = folder
    return made


def put(hub, folder, **changed):
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return hub.put(
        REPOSITORY, files | {k.replace("_json", ".json"): v for k, v in changed.items()}
    )


def pinned(**values):
    return PretrainedTextConfig.pinned(REPOSITORY, **{"max_length": 12, **values})


def encoder(**values):
    return PretrainedTextEncoder(pinned(**values))


def theirs(kind, folder, text):
    """Return the states and the mask by transformers' own classes, written down once more."""
    name = {"t5": "T5EncoderModel", "bert": "BertModel"}.get(kind, "CLIPTextModel")
    model = getattr(transformers, name).from_pretrained(folder).eval()
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    tokens = tokenizer([text], padding="max_length", max_length=12, return_tensors="pt")
    mask = tokens["attention_mask"]
    return model(tokens["input_ids"], attention_mask=mask).last_hidden_state[0], mask[0].bool()


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_those_of_transformers(hub, folders, kind):
    put(hub, folders[kind])
    model = encoder()
    assert model.config.kind == kind.removeprefix("whole-")
    assert model.width == 8
    found = model(["a boot", "", "a boot"], CPU)
    assert found.sequence.shape == (3, 12, 8)
    for row, text in enumerate(["a boot", "", "a boot"]):
        states, mask = theirs(kind, folders[kind], text)
        torch.testing.assert_close(found.sequence[row], states)
        assert found.mask is None if "clip" in kind else torch.equal(found.mask[row], mask)
    assert not found.sequence.requires_grad


def test_a_texts_states_are_the_same_bit_for_bit_whatever_it_is_encoded_with(hub, folders):
    put(hub, folders["clip"])
    one, other = encoder(), encoder()
    alone = one(["a boot"], CPU).sequence[0]
    assert torch.equal(other(["b", "c", "a boot"], CPU).sequence[2], alone)


def test_it_is_no_part_of_the_model(hub, folders):
    put(hub, folders["bert"])
    model = encoder()
    model(["a"], CPU)
    model.train()
    assert not model.state_dict()
    assert not list(model.parameters())
    assert not any(module.training for module in model.frozen.module().modules())
    assert copy.deepcopy(model).frozen.module() is model.frozen.module()


def test_nothing_is_fetched_until_a_text_is_encoded(hub, folders):
    put(hub, folders["t5"])
    config = pinned()
    asked = len(hub.requests)
    with torch.device("meta"):
        model = PretrainedTextEncoder(config)
    assert len(hub.requests) == asked
    assert model(["a"], CPU).sequence.shape == (1, 12, 8)


def test_no_condition_is_the_empty_text(hub, folders):
    put(hub, folders["t5"])
    embed = Embedder({"text": Text()}, encoder())
    null, told = embed.null(2, CPU), embed({"text": ["", "a boot"]}, CPU)
    assert torch.equal(null.tokens[1], told.tokens[0])
    assert null.mask.sum(1).tolist() == [1, 1]
    assert told.mask.sum(1).tolist() == [1, 3]


def test_a_text_that_is_too_long_is_refused(hub, folders):
    put(hub, folders["t5"])
    with pytest.raises(ConditionError, match="has 14 tokens; this model's encoder takes at most"):
        encoder()(["a " * 13], CPU)


# Refusals.


def changed(folder, **values):
    return json.dumps(json.loads((folder / "config.json").read_text()) | values).encode()


def test_other_kinds_are_refused_by_name(hub, folders):
    put(hub, folders["bert"], config_json=changed(folders["bert"], model_type="gpt2"))
    with pytest.raises(ConfigFileError, match=r"has the kind 'gpt2'.*: clip, t5, bert"):
        pinned()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"kind": "t5"}, "is a bert encoder, not t5"),
        ({"width": 9}, "has states of size 8; the config says 9"),
        ({"max_length": 13}, "takes at most 12 tokens; the config says max_length 13"),
    ],
)
def test_another_encoder_than_the_configs_is_refused(hub, folders, values, why):
    put(hub, folders["bert"])
    with pytest.raises(ConfigFileError, match=why):
        encoder(**values)(["a"], CPU)


@pytest.mark.parametrize("values", [{"vocab_size": 10**9}, {"num_hidden_layers": 10**7}])
def test_a_config_that_asks_for_more_than_the_weights_hold_is_refused(hub, folders, values):
    put(hub, folders["bert"], config_json=changed(folders["bert"], **values))
    with pytest.raises(LoadError, match="cannot be loaded"):
        encoder()(["a"], CPU)


def test_missing_weights_are_refused(hub, folders):
    weights = load((folders["bert"] / "model.safetensors").read_bytes())
    name = "embeddings.word_embeddings.weight"
    weights["unused"] = weights.pop(name)
    put(hub, folders["bert"], **{"model.safetensors": save(weights, metadata={"format": "pt"})})
    with pytest.raises(LoadError, match=f"lacks weights, the first of them {name}"):
        encoder()(["a"], CPU)


def test_an_unpinned_encoder_is_refused():
    values = {"repo": REPOSITORY, "commit": "main", "sha256": "0" * 64}
    with pytest.raises(ConfigError, match="is not a full commit"):
        PretrainedTextConfig(component=values, kind="clip", width=8)
