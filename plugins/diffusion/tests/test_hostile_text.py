"""A text encoder of others is data: nothing that its files say, or lies next to them, is followed.

Each case goes through the tests' Hub, as a model's config names it. The whole list, with memory,
time and an audit hook, is in the core's `test_hostile.py`.
"""

import base64
import hashlib
import json

import pytest
import torch
import transformers
from safetensors.torch import load, save
from tokenizers.normalizers import Precompiled

import fuzz_subjects
import hostile_encoders
from genzoo import External, GenzooError, LoadError
from genzoo.errors import ConfigFileError, MissingDependencyError
from genzoo.foreign_fields import Allowed, ForeignFields, check_file, read_object, refusing
from genzoo.hub.fetching import Snapshot
from genzoo.hub.reference import Reference
from genzoo_diffusion import pretrained_text
from genzoo_diffusion.charsmaps import charsmap
from genzoo_diffusion.pretrained_text import PretrainedTextConfig, PretrainedTextEncoder
from genzoo_diffusion.text_kinds import CLASSES, describe
from genzoo_diffusion.text_tokenizers import SETTINGS_OF

CPU = torch.device("cpu")
REPOSITORY = "ada/encoder"
WEIGHTS = "model.safetensors"
WIDTH = {"clip": "hidden_size", "t5": "d_model", "bert": "hidden_size"}
TEXTS = ["a boot ab", "", "<evil>"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each kind, as transformers saves it."""
    made = {kind: tmp_path_factory.mktemp(kind) for kind in fuzz_subjects.ENCODERS}
    for kind, folder in made.items():
        fuzz_subjects.save_encoder(kind, folder)
    return made


def states(hub, kind, folder, texts=TEXTS):
    """Return the states of texts by an encoder that the Hub has, all files of it in the cache."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    commit = hub.put(REPOSITORY, files)
    with Snapshot(Reference(REPOSITORY, commit)) as snapshot:
        for name in files:  # As a cache is that another library has used too.
            snapshot.file(name)
    external = External(
        repo=REPOSITORY, commit=commit, sha256=hashlib.sha256(files[WEIGHTS]).hexdigest()
    )
    given = {"external": external, "kind": kind.removeprefix("whole-"), "max_length": 12}
    return PretrainedTextEncoder(PretrainedTextConfig(**given, width=8))(texts, CPU).sequence


def changed(folders, tmp_path, kind, change):
    fuzz_subjects.copied(folders[kind], tmp_path / "encoder")
    change(tmp_path / "encoder")
    return tmp_path / "encoder"


# What was seen to go wrong.

SEEN = [
    "clip: config.json with {'attn_implementation': 'evil/kernel@main:fn'}",
    "clip: config.json with {'_attn_implementation': 'evil/kernel@main:fn'}",
    "bert: config.json with {'attn_implementation': {'': 'evil/kernel@main:fn'}}",
    "t5: config.json with {'_attn_implementation_internal': 'evil/kernel@main:fn'}",
    "whole-clip: within text_config {'attn_implementation': 'evil/kernel@main:fn'}",
    "t5: tokenizer_config.json with {'extra_ids': 10000000}",
    "bert: config.json is 30 MB of brackets",
    "bert: tokenizer_config.json is 30 MB of brackets",
    "bert: tokenizer.json is 30 MB of brackets",
    "bert: config.json with {'transformers_weights': 'other.safetensors'}",
    "clip: config.json with {'num_attention_heads': 0}",
    "bert: config.json with {'num_attention_heads': 0}",
    "t5: config.json with {'num_heads': 0}",
    "bert: tokens beyond the embedding",
    "clip: tokens beyond the embedding",
    "t5: an added token beyond the embedding",
    "t5: a map of characters with a trie of leaves to nowhere",
    "t5: a map of characters of one byte",
    "bert: weights with NaN",
    "t5: weights with NaN",
    "clip: weights with infinity",
]


@pytest.mark.parametrize("name", SEEN)
def test_what_was_seen_to_go_wrong_is_refused(hub, folders, tmp_path, name):
    kind, change = hostile_encoders.CASES[name]
    with pytest.raises(LoadError) as caught:
        states(hub, kind, changed(folders, tmp_path, kind, change))
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000


@pytest.mark.parametrize("kind", ["clip", "t5", "bert"])
def test_files_next_to_it_change_no_state(hub, folders, tmp_path, kind):
    sound = states(hub, kind, folders[kind])
    everything = [c for k, c in hostile_encoders.HARMLESS.values() if k == kind]
    folder = changed(folders, tmp_path, kind, lambda f: [change(f) for change in everything])
    assert len([*folder.iterdir()]) > len([*folders[kind].iterdir()]) + 5
    assert torch.equal(states(hub, kind, folder), sound)


def test_weights_are_those_of_the_checksum_and_no_others(hub, folders, tmp_path):
    def put(folder):
        state = load((folder / WEIGHTS).read_bytes())
        other = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
        (folder / "other.safetensors").write_bytes(save(other, {"format": "pt"}))
        config = json.loads((folder / "config.json").read_text())
        config["transformers_weights"] = "other.safetensors"
        (folder / "config.json").write_text(json.dumps(config))

    with pytest.raises(LoadError, match="the field 'transformers_weights' is not one that is rea"):
        states(hub, "bert", changed(folders, tmp_path, "bert", put))


def test_the_attention_is_the_one_that_is_set_here(hub, folders, monkeypatch):
    seen = []
    make = pretrained_text.make_published

    def noting(*args, **kwargs):
        seen.append(make(*args, **kwargs))
        return seen[-1]

    monkeypatch.setattr(pretrained_text, "make_published", noting)
    for kind in ("clip", "t5", "bert"):
        states(hub, kind, folders[kind])
    assert [model.config._attn_implementation for model, _ in seen] == ["sdpa"] * 3


@pytest.mark.parametrize("kind", ["clip", "t5", "bert"])
def test_transformers_is_given_no_folder(hub, folders, monkeypatch, kind):
    given = []
    for name in {CLASSES[kind].model, CLASSES[kind].config}:
        cls = getattr(transformers, name)
        real = cls.from_pretrained.__func__
        monkeypatch.setattr(
            cls,
            "from_pretrained",
            classmethod(
                lambda c, at, *a, real=real, **k: given.append(at) or real(c, at, *a, **k)
            ),
        )
    states(hub, kind, folders[kind])
    assert given == [None]


@pytest.mark.parametrize("kind", ["clip", "t5", "bert"])
def test_defaults_are_transformers_own(kind):
    classes = CLASSES[kind]
    theirs = getattr(transformers, classes.config)()
    ours = classes.allowed.fields()
    assert ours.to_dict() == {name: getattr(theirs, name) for name in ours.to_dict()}


def test_a_vocabulary_is_in_proportion_to_the_weights():
    pretrained_text._check_tokens(30_522, 4_000_000, "It")
    pretrained_text._check_tokens(501_153, 4 * 501_153 * 768, "It")
    with pytest.raises(ConfigFileError, match="tells of 500,000 tokens; weights of 2,000,000 byt"):
        pretrained_text._check_tokens(500_000, 2_000_000, "It")


# Maps of characters.


def trie(letter, leaf, cells=256):
    """Return a map of one letter to the text at a place: of cells as SentencePiece has them."""
    array = [0] * cells
    array[ord(letter)] = ord(letter) | 1 << 8 | 1 << 10  # It has a leaf, at the offset 1.
    array[ord(letter) ^ 1] = 2**31 | leaf
    packed = b"".join(cell.to_bytes(4, "little") for cell in array)
    return len(packed).to_bytes(4, "little") + packed


def whole(raw):
    return {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Strip"},
                {
                    "type": "Precompiled",
                    "precompiled_charsmap": base64.b64encode(raw).decode(),
                },
            ],
        }
    }


def test_a_sound_map_of_characters_is_taken_and_used(hub, folders, tmp_path):
    raw = trie("B", 2) + b"x\0b\0"
    assert charsmap(whole(raw)) == raw
    assert Precompiled(raw).normalize_str("Boot") == "boot"
    sound = states(hub, "t5", folders["t5"], ["a boot", "a Boot"])
    assert not torch.equal(*sound)

    def put(folder):
        found = json.loads((folder / "tokenizer.json").read_text())
        (folder / "tokenizer.json").write_text(json.dumps(found | whole(raw)))

    mapped = states(hub, "t5", changed(folders, tmp_path, "t5", put), ["a boot", "a Boot"])
    assert torch.equal(*mapped)
    assert torch.equal(mapped[0], sound[0])


@pytest.mark.parametrize(
    "raw",
    [
        trie("B", 4) + b"x\0b\0",  # A leaf just past the text.
        trie("B", 2, cells=255) + b"x\0b\0",
        trie("B", 2)[:-4] + b"x\0b\0",
        trie("B", 2) + b"x\0b",
        trie("B", 2) + b"x" * 257 + b"\0",
        trie("B", 2) + b"\xff\0",
    ],
)
def test_a_map_that_leads_out_of_itself_is_refused(raw):
    with pytest.raises(ConfigFileError, match="precompiled_charsmap"):
        charsmap(whole(raw))


def test_the_library_gives_up_on_such_a_map_by_what_is_no_exception():
    bad = Precompiled(trie("B", 10**6) + b"x\0b\0")
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - it is the type that is shown
        bad.normalize_str("Boot")
    assert not isinstance(caught.value, Exception)
    with pytest.raises(LoadError, match="It cannot be loaded"), refusing("It"):
        bad.normalize_str("Boot")


def test_what_a_tokenizer_gives_up_on_while_it_encodes_is_a_refusal(hub, folders, monkeypatch):
    monkeypatch.setattr("genzoo_diffusion.text_tokenizers.charsmap", lambda whole: bad)
    bad = trie("B", 10**6) + b"x\0b\0"
    assert states(hub, "t5", folders["t5"], ["a boot"]).shape == (1, 12, 8)
    with pytest.raises(LoadError, match="The text encoder ada/encoder cannot be loaded"):
        states(hub, "t5", folders["t5"], ["a Boot"])


# What refuses.


class Fields(ForeignFields):
    """None."""


def test_what_is_allowed_is_named_and_bounded(tmp_path):
    allowed = Allowed(fields=Fields, inert={"a": (False, {})}, ignored=frozenset({"b"}))
    assert allowed.passed({"a": False, "b": [1]}, "It") == {}
    assert allowed.passed({"a": {}}, "It") == {}
    for wrong in ({"a": 0}, {"a": None}, {"a": []}, {"c": 1}, {"": 1}):
        with pytest.raises(ConfigFileError, match=r"^It: "):
            allowed.passed(wrong, "It")


@pytest.mark.parametrize("error", [AttributeError, NameError, RecursionError, MemoryError])
def test_whatever_a_library_raises_is_a_refusal(error):
    with pytest.raises(LoadError, match="It cannot be loaded: no way"), refusing("It"):
        raise error("no\nway")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_is_not(error):
    with pytest.raises(error), refusing("It"):
        raise error


@pytest.mark.parametrize("error", [ConfigFileError, MissingDependencyError])
def test_our_own_errors_pass(error):
    with pytest.raises(GenzooError) as caught, refusing("It"):
        raise error("as it is")
    assert str(caught.value) == "as it is"


def test_only_a_file_of_the_folder_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_object(tmp_path / "a.json") == {"a": 1}
    with pytest.raises(ConfigFileError, match="larger than 7 bytes"):
        read_object(tmp_path / "a.json", 7)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.json").symlink_to(tmp_path / "a.json")
    with pytest.raises(LoadError, match="is a link out of its folder"):
        read_object(tmp_path / "in" / "b.json")
    with pytest.raises(ConfigFileError, match="is no file"):
        check_file(tmp_path / "in", tmp_path)


# What published encoders say is taken.

_TASK = {"early_stopping": True, "length_penalty": 2.0, "max_length": 200, "prefix": "summarize: "}
_CLIP_TEXT = {
    **{"_name_or_path": "", "add_cross_attention": False, "architectures": None},
    **{"attention_dropout": 0.0, "bad_words_ids": None, "bos_token_id": 0, "do_sample": False},
    **{"chunk_size_feed_forward": 0, "cross_attention_hidden_size": None, "dropout": 0.0},
    **{"decoder_start_token_id": None, "diversity_penalty": 0.0, "early_stopping": False},
    **{"encoder_no_repeat_ngram_size": 0, "eos_token_id": 2, "finetuning_task": None},
    **{"forced_bos_token_id": None, "hidden_act": "quick_gelu", "hidden_size": 768},
    **{"id2label": {"0": "LABEL_0"}, "initializer_factor": 1.0, "initializer_range": 0.02},
    **{"intermediate_size": 3072, "is_decoder": False, "is_encoder_decoder": False},
    **{"label2id": {"LABEL_0": 0}, "layer_norm_eps": 1e-05, "length_penalty": 1.0},
    **{"max_length": 20, "max_position_embeddings": 77, "min_length": 0, "num_beams": 1},
    **{"model_type": "clip_text_model", "no_repeat_ngram_size": 0, "num_attention_heads": 12},
    **{"num_beam_groups": 1, "num_hidden_layers": 12, "num_return_sequences": 1},
    **{"output_attentions": False, "output_scores": False, "pad_token_id": 1, "prefix": None},
    **{"problem_type": None, "projection_dim": 768, "pruned_heads": {}, "return_dict": True},
    **{"remove_invalid_values": False, "repetition_penalty": 1.0, "sep_token_id": None},
    **{"task_specific_params": None, "temperature": 1.0, "tie_encoder_decoder": False},
    **{"tie_word_embeddings": True, "tokenizer_class": None, "top_k": 50, "top_p": 1.0},
    **{"torch_dtype": None, "torchscript": False, "transformers_version": "4.16.0.dev0"},
    **{"typical_p": 1.0, "use_bfloat16": False, "vocab_size": 49408},
}
PUBLISHED = {
    "CLIP ViT-L/14": (
        {
            **{"_name_or_path": "clip-vit-large-patch14/", "architectures": ["CLIPModel"]},
            **{"initializer_factor": 1.0, "logit_scale_init_value": 2.6592, "model_type": "clip"},
            **{"projection_dim": 768, "torch_dtype": "float32", "transformers_version": None},
            "text_config": _CLIP_TEXT,
            "text_config_dict": {"hidden_size": 768, "projection_dim": 768},
            "vision_config": {"hidden_size": 1024},
            "vision_config_dict": None,
        },
        768,
    ),
    "T5 small": (
        {
            **{"architectures": ["T5ForConditionalGeneration"], "d_ff": 2048, "d_kv": 64},
            **{"d_model": 512, "decoder_start_token_id": 0, "dropout_rate": 0.1},
            **{"eos_token_id": 1, "initializer_factor": 1.0, "is_encoder_decoder": True},
            **{"layer_norm_epsilon": 1e-06, "model_type": "t5", "n_positions": 512},
            **{"num_heads": 8, "num_layers": 6, "output_past": True, "pad_token_id": 0},
            **{"relative_attention_num_buckets": 32, "vocab_size": 32128},
            "task_specific_params": {"summarization": _TASK},
        },
        512,
    ),
    "T5 1.1": (
        {
            **{"architectures": ["T5ForConditionalGeneration"], "d_ff": 1024, "d_kv": 64},
            **{"d_model": 512, "feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new"},
            **{"is_gated_act": True, "model_type": "t5", "num_decoder_layers": 8},
            **{"num_heads": 6, "num_layers": 8, "tie_word_embeddings": False},
            **{"use_cache": True, "vocab_size": 32128, "relative_attention_max_distance": 128},
        },
        512,
    ),
    "BERT multilingual": (
        {
            **{"architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.1},
            **{"directionality": "bidi", "hidden_act": "gelu", "hidden_dropout_prob": 0.1},
            **{"hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072},
            **{"layer_norm_eps": 1e-12, "max_position_embeddings": 512, "model_type": "bert"},
            **{"num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 0},
            **{"pooler_fc_size": 768, "pooler_num_attention_heads": 12, "pooler_type": "first"},
            **{"pooler_num_fc_layers": 3, "pooler_size_per_head": 128, "type_vocab_size": 2},
            **{"vocab_size": 119547, "position_embedding_type": "absolute", "use_cache": True},
        },
        768,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_published_encoders_say_is_taken(name):
    config, width = PUBLISHED[name]
    assert describe(config, "It").width == width


def _special(content):
    flags = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    return {"__type": "AddedToken", "content": content, **flags}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (
            "clip",
            {
                **{"add_prefix_space": False, "bos_token": _special("<|startoftext|>")},
                **{"do_lower_case": True, "eos_token": _special("<|endoftext|>")},
                **{"errors": "replace", "model_max_length": 77, "pad_token": "<|endoftext|>"},
                **{"name_or_path": "openai/clip-vit-large-patch14"},
                **{"special_tokens_map_file": "./special_tokens_map.json"},
                **{"tokenizer_class": "CLIPTokenizer", "unk_token": _special("<|endoftext|>")},
            },
        ),
        (
            "t5",
            {
                **{"additional_special_tokens": ["<extra_id_0>"], "eos_token": "</s>"},
                **{"extra_ids": 100, "model_max_length": 512, "pad_token": "<pad>"},
                **{"legacy": True, "clean_up_tokenization_spaces": True, "sp_model_kwargs": {}},
                **{"tokenizer_class": "T5Tokenizer", "unk_token": "<unk>"},
            },
        ),
        (
            "bert",
            {
                **{"do_lower_case": True, "unk_token": "[UNK]", "sep_token": "[SEP]"},
                **{"pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"},
                **{"tokenize_chinese_chars": True, "strip_accents": None, "never_split": None},
                **{"do_basic_tokenize": True, "tokenizer_class": "BertTokenizer"},
                **{"max_length": 128, "pad_to_multiple_of": None, "pad_token_type_id": 0},
                **{"padding_side": "right", "stride": 0, "truncation_side": "right"},
                **{"truncation_strategy": "longest_first", "model_max_length": 512},
            },
        ),
    ],
)
def test_what_published_tokenizers_say_is_taken(kind, settings):
    SETTINGS_OF[kind].passed(settings, "It")
