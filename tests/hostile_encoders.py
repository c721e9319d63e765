"""The same for a text encoder of others: transformers' own files, with one thing changed.

`CASES` are refused. `HARMLESS` load, and what they say changes no state: it is not read.
"""

import base64
import json
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from folders import write_header
from hostile import Bomb

CONFIG, WEIGHTS = "config.json", "model.safetensors"
WHOLE, SETTINGS = "tokenizer.json", "tokenizer_config.json"
Change = Callable[[Path], object]
CASES: dict[str, tuple[str, Change]] = {}
HARMLESS: dict[str, tuple[str, Change]] = {}
KERNEL = "evil/kernel@main:fn"


def _set(name: str, values: Mapping[str, Any]) -> Change:
    def change(folder: Path) -> None:
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**found, **values}))

    return change


def _within(name: str, change: Callable[[dict], object]) -> Change:
    def put(folder: Path) -> None:
        found = json.loads((folder / name).read_text())
        change(found)
        (folder / name).write_text(json.dumps(found))

    return put


def _says(kind: str, name: str, *many: Mapping[str, Any], into: dict = CASES) -> None:
    for values in many:
        into[f"{kind}: {name} with {str(values)[:70]}"] = (kind, _set(name, values))


# config.json: what another library would follow, and sizes.

_SPELT = [
    {"attn_implementation": KERNEL},
    {"_attn_implementation": KERNEL},
    {"_attn_implementation_internal": KERNEL},
    {"attn_implementation": {"": KERNEL}},
    {"attn_implementation": "kernels-community/flash-attn2"},
    {"attn_implementation": "paged|" + KERNEL},
    {"attn_implementation": "flash_attention_2"},
    {"attn_implementation": "eager"},
]
_ANY_KIND = [
    *_SPELT,
    {"experts_implementation": KERNEL},
    {"kernel_config": {"RMSNorm": "evil/kernel:RMSNorm"}},
    {"use_kernels": True},
    {"fusion_config": {"patch_embeddings": True}},
    {"transformers_weights": "other.safetensors"},
    {"auto_map": {"AutoModel": "modeling.Evil"}},
    {"trust_remote_code": True},
    {"quantization_config": {"load_in_8bit": True}},
    {"compression_config": {}},
    {"per_layer_config": {"0": {"hidden_size": 4}}},
    {"distributed_config": {}},
    {"rope_scaling": {"type": "linear", "factor": 1e9}},
    {"is_decoder": True},
    {"is_decoder": 0},
    {"add_cross_attention": True},
    {"pruned_heads": {"0": [0, 1]}},
    {"": None},
    {"__class__": "os.system"},
    {"x" * 10**5: 1},
    {"vocab_size": 10**9},
    {"vocab_size": 2**19},
    {"vocab_size": 0},
    {"vocab_size": "96"},
    {"vocab_size": 95},
    {"model_type": "gpt2"},
    {"model_type": ["bert"]},
    {"model_type": None},
]
_SIZES = [
    {"num_attention_heads": 0},
    {"num_attention_heads": 3},
    {"num_attention_heads": -2},
    {"num_hidden_layers": 10**7},
    {"num_hidden_layers": 100},
    {"num_hidden_layers": 2},
    {"num_hidden_layers": 0},
    {"num_hidden_layers": 1.0},
    {"hidden_size": 2**16},
    {"hidden_size": 7},
    {"hidden_size": None},
    {"intermediate_size": 2**16},
    {"intermediate_size": True},
    {"max_position_embeddings": 2**16},
    {"max_position_embeddings": 10**12},
    {"hidden_act": "os.system"},
    {"hidden_act": None},
    {"hidden_act": ["gelu"]},
    {"layer_norm_eps": None},
    {"layer_norm_eps": -1.0},
    {"layer_norm_eps": 1e308},
    {"layer_norm_eps": "1e-5"},
]
for _kind in ("clip", "bert"):
    _says(_kind, CONFIG, *_ANY_KIND, *_SIZES)
_says("bert", CONFIG, {"type_vocab_size": 2**20}, {"position_embedding_type": "relative_key"})
_says("t5", CONFIG, *_ANY_KIND)
_says(
    "t5",
    CONFIG,
    {"num_heads": 0},
    {"num_layers": 10**7},
    {"d_model": 2**16},
    {"d_kv": 0},
    {"feed_forward_proj": "gated-os.system"},
    {"feed_forward_proj": None},
    {"feed_forward_proj": "gated-gelu"},
    {"dense_act_fn": "os.system"},
    {"is_gated_act": True},
    {"relative_attention_num_buckets": 0},
    {"relative_attention_num_buckets": 2**30},
    {"relative_attention_max_distance": 1},
)
_says(
    "whole-clip",
    CONFIG,
    *_SPELT,
    {"text_config": None},
    {"text_config": []},
    {"text_config_dict": "x"},
    {"text_config_dict": {"hidden_size": 2**16}},
    {"text_config_dict": {"attn_implementation": KERNEL}},
    {"vision_config": 3},
    {"transformers_weights": "other.safetensors"},
)
for _values in _SPELT:
    CASES[f"whole-clip: within text_config {_values}"] = (
        "whole-clip",
        _within(CONFIG, lambda found, v=_values: found["text_config"].update(v)),
    )

# What is not read, because no state depends on it.

for _kind in ("clip", "t5", "bert"):
    _says(
        _kind,
        CONFIG,
        {"num_labels": 10**7},
        {"id2label": {"0": "a"}, "label2id": None},
        {"return_dict": False},
        {"output_hidden_states": True},
        {"output_attentions": True},
        {"torch_dtype": "os.system"},
        {"dtype": [1]},
        {"pad_token_id": 10**12},
        {"eos_token_id": "x"},
        {"architectures": "os.system"},
        {"transformers_version": "9" * 1000},
        {"tie_word_embeddings": False},
        into=HARMLESS,
    )
    _says(_kind, WHOLE, {"version": "9"}, {"post_processor": 3}, into=HARMLESS)
    _says(_kind, SETTINGS, {"tokenizer_class": "Evil"}, {"model_max_length": -1}, into=HARMLESS)
_says("whole-clip", CONFIG, {"vision_config": {"attn_implementation": KERNEL}}, into=HARMLESS)

# Files next to those that are read.

_NEXT: dict[str, bytes] = {
    "adapter_config.json": b'{"base_model_name_or_path": "evil/base", "peft_type": "LORA"}',
    "adapter_model.bin": pickle.dumps(Bomb()),
    "added_tokens.json": b'{"boot": 1, "<evil>": 95}',
    "chat_template.jinja": b"{{ 1/0 }}",
    "model.safetensors.index.json": b'{"weight_map": {"x": "other.safetensors"}}',
    "other.safetensors": b"x",
    "pytorch_model.bin": pickle.dumps(Bomb()),
    "special_tokens_map.json": b'{"pad_token": "a", "unk_token": "a", "cls_token": "a"}',
    "spiece.model": b"\x00\x01",
    "vocab.txt": b"a\nb\n",
}
for _kind in ("clip", "t5", "bert"):
    for _name, _raw in _NEXT.items():
        HARMLESS[f"{_kind}: {_name} next to it"] = (
            _kind,
            lambda f, n=_name, r=_raw: (f / n).write_bytes(r),
        )

# Texts that are not a config, or many times larger than one.

_RAW = {
    "empty": b"",
    "binary": b"\xff\xfe",
    "a list": b"[]",
    "a pickle": pickle.dumps(Bomb()),
    "a key twice": b'{"model_type": "bert", "model_type": "bert"}',
    "NaN": b'{"model_type": NaN}',
    "a list within a list": b"[" * 10**5,
    "30 MB of brackets": b"[" + b"[]," * 10**7 + b"1]",
    "30 MB of brackets within brackets": b'{"a":' + b"[" * 15 * 10**6 + b"]" * 15 * 10**6 + b"}",
    "30 MB of words": b'{"a": "' + "\U0001f600".encode() * (15 * 10**6 // 2) + b'"}',
    "a megabyte of numbers": b'{"a": [' + b"1," * (2**19 - 10) + b"1]}",
    "three megabytes of commas": b'{"a": [' + b"1," * (3 * 2**19) + b"1]}",
}
for _name in (CONFIG, SETTINGS, WHOLE):
    for _title, _raw in _RAW.items():
        CASES[f"bert: {_name} is {_title}"] = (
            "bert",
            lambda f, n=_name, r=_raw: (f / n).write_bytes(r),
        )
    for _title, _do in {
        "a pipe": lambda p: (p.unlink(), os.mkfifo(p)),
        "a folder": lambda p: (p.unlink(), p.mkdir()),
        "a link out": lambda p: (p.unlink(), p.symlink_to("/etc/passwd")),
        "missing": lambda p: p.unlink(),
    }.items():
        CASES[f"bert: {_name} is {_title}"] = ("bert", lambda f, n=_name, d=_do: d(f / n))

# tokenizer_config.json

_SETTINGS = [
    {"extra_ids": -1},
    {"extra_ids": "2"},
    {"padding_side": "left"},
    {"padding_side": None},
    {"split_special_tokens": True},
    {"add_prefix_space": True},
    {"auto_map": {"AutoTokenizer": ["tokenization.Evil", None]}},
    {"chat_template": "{{ 1/0 }}"},
    {"fast_tokenizer_files": ["tokenizer.4.0.json"]},
    {"init_inputs": [1]},
    {"model_specific_special_tokens": {"a_token": "a"}},
    {"convert_tokens_to_ids": 1},
    {"unk_token": 3},
    {"unk_token": None},
    {"unk_token": ""},
    {"pad_token": {"content": ["a"]}},
    {"pad_token": {"content": "a", "evil": True}},
    {"pad_token": {"content": "a", "lstrip": "yes"}},
    {"pad_token": "x" * 10**5},
    {"added_tokens_decoder": []},
    {"added_tokens_decoder": {"x": {"content": "<new>"}}},
    {"added_tokens_decoder": {"96": {"content": "<new>"}}},
    {"added_tokens_decoder": {"-1": {"content": "<new>"}}},
    {"added_tokens_decoder": {"1": "<new>", "2": "<new>"}},
    {"added_tokens_decoder": {str(i): {"content": f"<{i}>"} for i in range(5000)}},
    {"additional_special_tokens": "x"},
    {"additional_special_tokens": [["x"]]},
    {"extra_special_tokens": {"image_token": "a"}},
]
for _kind in ("t5", "bert"):
    _says(_kind, SETTINGS, *_SETTINGS)
_says("t5", SETTINGS, {"extra_ids": 10**7}, {"extra_ids": 1000}, {"sp_model_kwargs": {"a": 1}})
_says(
    "bert",
    SETTINGS,
    {"do_lower_case": "yes"},
    {"strip_accents": 1},
    {"tokenize_chinese_chars": None},
    {"do_basic_tokenize": False},
    {"never_split": ["a"]},
    {"additional_special_tokens": ["<new>"]},
)
_says("clip", SETTINGS, {"do_lower_case": False}, {"bos_token": 3}, {"padding_side": "left"})

# tokenizer.json


def _model(kind: str, title: str, change: Callable[[dict], object]) -> None:
    CASES[f"{kind}: tokens {title}"] = (kind, _within(WHOLE, lambda w: change(w["model"])))


for _kind, _other in {"clip": "WordPiece", "t5": "BPE", "bert": "Unigram"}.items():
    _model(_kind, "of another kind", lambda m, o=_other: m.update(type=o))
    _model(_kind, "that are none", lambda m: m.update(vocab=None))
    _model(_kind, "that are a number", lambda m: m.update(vocab=3))
    _model(_kind, "that are lists", lambda m: m.update(vocab=[[]] * 90))
    CASES[f"{_kind}: no tokens"] = (_kind, _within(WHOLE, lambda w: w.pop("model")))
    CASES[f"{_kind}: texts padded on the left"] = (
        _kind,
        _set(WHOLE, {"padding": {"direction": "Left", "strategy": "BatchLongest"}}),
    )
for _kind in ("clip", "bert"):
    _model(_kind, "beyond the embedding", lambda m: m["vocab"].update(evil=96))
    _model(_kind, "far beyond the embedding", lambda m: m["vocab"].update(evil=10**9))
    _model(_kind, "numbered by a text", lambda m: m["vocab"].update(evil="9"))
    _model(_kind, "numbered below zero", lambda m: m["vocab"].update(evil=-1))
    _model(_kind, "numbered by fractions", lambda m: m["vocab"].update(evil=0.5))
    _model(_kind, "with one number for two", lambda m: m["vocab"].update(evil=1))
    _model(
        _kind,
        "more than the embedding",
        lambda m: m["vocab"].update({f"e{i}": 60 + i for i in range(40)}),
    )
_model("bert", "with an empty one", lambda m: m["vocab"].update({"": 90}))
_model("clip", "merged of none", lambda m: m.update(merges=[["evil", "ones"]]))
_model("clip", "merged by threes", lambda m: m.update(merges=["a b c"]))
_model("clip", "merged by numbers", lambda m: m.update(merges=[[1, 2]]))
_model("t5", "of no score", lambda m: m["vocab"].append(["x"]))
_model("t5", "scored by a text", lambda m: m["vocab"].append(["x", "1"]))
_model("t5", "scored by a great number", lambda m: m["vocab"].append(["x", 1e300]))
_model("t5", "that are empty", lambda m: m["vocab"].append(["", 0.0]))
_model("t5", "that stand twice", lambda m: m["vocab"].append(["s", 0.0]))
_model("t5", "fewer than the special ones", lambda m: m.update(vocab=m["vocab"][:2]))
_model(
    "t5", "more than the embedding", lambda m: m["vocab"].extend([f"{i}", 0] for i in range(99))
)
for _kind in ("t5", "bert"):
    for _title, _token in {
        "beyond the embedding": {"id": 96, "content": "<evil>"},
        "without a number": {"content": "<evil>"},
        "without a text": {"id": 9},
        "with a field of its own": {"id": 9, "content": "<evil>", "evil": 1},
        "under another's number": {"id": 1, "content": "<evil>"},
    }.items():
        CASES[f"{_kind}: an added token {_title}"] = (
            _kind,
            lambda f, t=_token: (
                _within(WHOLE, lambda w: w.update(added_tokens=[t]))(f),
                _within(SETTINGS, lambda s: s.pop("added_tokens_decoder", None))(f),
            ),
        )


def _charsmap(raw: bytes | str) -> Change:
    text = raw if isinstance(raw, str) else base64.b64encode(raw).decode()
    return _set(WHOLE, {"normalizer": {"type": "Precompiled", "precompiled_charsmap": text}})


def _trie(cells: int, text: bytes, cell: bytes = b"\xff\xff\xff\xff") -> bytes:
    return (4 * cells).to_bytes(4, "little") + cell * cells + text


for _title, _map in {
    "that is none": "no base64",
    "that is empty": b"",
    "of one byte": b"\x01",
    "with a trie of nothing": (0).to_bytes(4, "little") + b"a\0",
    "with a trie beyond it": (2**31).to_bytes(4, "little") + b"a\0",
    "with a trie of leaves to nowhere": _trie(256, b"a\0"),
    "with a trie of random cells": _trie(256, b"a\0", b"\x01\x02\x03\x04"),
    "with replacements that have no end": _trie(8, b"a" * 1000),
    "with replacements of a megabyte": _trie(8, b"a" * 2**19 + b"\0"),
    "with replacements that are not a text": _trie(8, b"\xff\xff\0"),
}.items():
    CASES[f"t5: a map of characters {_title}"] = ("t5", _charsmap(_map))
CASES["t5: normalizers that are numbers"] = (
    "t5",
    _set(WHOLE, {"normalizer": {"type": "Sequence", "normalizers": [3]}}),
)
CASES["t5: a normalizer that is a list"] = ("t5", _set(WHOLE, {"normalizer": [3]}))

# Weights


def _state(change: Callable[[dict], object]) -> Change:
    def put(folder: Path) -> None:
        state = load_file(folder / WEIGHTS)
        change(state)
        save_file({k: v.clone() for k, v in state.items()}, folder / WEIGHTS, {"format": "pt"})

    return put


def _first(state: dict) -> str:
    return next(name for name in sorted(state) if state[name].dim() == 2)


for _kind in ("clip", "whole-clip", "t5", "bert"):
    for _title, _do in {
        "with NaN": lambda s: s[_first(s)].view(-1)[:1].fill_(float("nan")),
        "with infinity": lambda s: s[_first(s)].view(-1)[-1:].fill_(-float("inf")),
        "of bytes": lambda s: s.update({_first(s): s[_first(s)].to(torch.uint8)}),
        "of another shape": lambda s: s.update({_first(s): torch.zeros(96, 9)}),
        "under another name": lambda s: s.update({"x" * 10**5: s.pop(_first(s))}),
        "that are none": lambda s: s.clear(),
    }.items():
        if (_kind, _title) != ("whole-clip", "under another name"):
            CASES[f"{_kind}: weights {_title}"] = (_kind, _state(_do))
    CASES[f"{_kind}: a header of nothing"] = (_kind, lambda f: write_header(f / WEIGHTS, {}))
    CASES[f"{_kind}: weights cut"] = (_kind, lambda f: os.truncate(f / WEIGHTS, 400))
    CASES[f"{_kind}: weights that are a pipe"] = (
        _kind,
        lambda f: ((f / WEIGHTS).unlink(), os.mkfifo(f / WEIGHTS)),
    )
    CASES[f"{_kind}: a pickle for weights"] = (
        _kind,
        lambda f: (f / WEIGHTS).write_bytes(pickle.dumps(Bomb())),
    )
