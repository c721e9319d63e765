"""Repositories of someone who means harm: each is a sound model folder with one thing changed.

`CASES` is the list that the tests go through, by name: loading must refuse every one of them with
an error of the library's own. Those whose harm is in files that loading does not read are in
`hostile_cards.py`.
"""

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from escapes import ESCAPES
from folders import CONFIG, INDEX, WEIGHTS, change_config, change_weights, split, write_header

MEGABYTE = 2**20
CASES: dict[str, Callable[[Path], object]] = {}


class Bomb:
    """What runs a command when it is unpickled."""

    def __reduce__(self):
        """Return the command."""
        return os.system, ("touch /tmp/genzoo-was-here",)


# config.json as a text

_TEXTS = {
    "empty": b"",
    "cut": b'{"genzoo": 1',
    "binary": b"\xff\xfe\x00",
    "a pickle": pickle.dumps(Bomb()),
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "code": b"__import__('os').system('true')",
    "a key twice": b'{"genzoo": 1, "genzoo": 1}',
    "NaN": b'{"genzoo": NaN}',
    "infinity": b'{"config": {"rate": -Infinity}}',
    "a list within a list": b"[" * 10**5,
    "an object within an object": b'{"a":' * 10**5,
    "a number of 10,000 digits": b"1" * 10**4,
    "an exponent": b'{"genzoo": 1e999999}',
    "too large": b"{}".ljust(MEGABYTE + 1),
    "a megabyte of lists": b"[" + b"[]," * (MEGABYTE // 3 - 2) + b"1]",
    "a megabyte of objects": b"[" + b"{}," * (MEGABYTE // 3 - 2) + b"1]",
    "a megabyte of keys": b"{" + b",".join(b'"%06x":0' % i for i in range(90_000)) + b"}",
    "a megabyte of one word": b'{"genzoo": "' + b"a" * (MEGABYTE - 20) + b'"}',
    "a megabyte of wide letters": b'{"' + "\U0001f600".encode() * (MEGABYTE // 4 - 10) + b'": 1}',
    "a lone surrogate": b'{"\\ud800": 1}',
    "a null byte": b'{"genzoo": 1\x00}',
    "comments": b'// {"genzoo": 1}',
}
for _name, _text in _TEXTS.items():
    CASES[f"config.json: {_name}"] = lambda f, t=_text: (f / CONFIG).write_bytes(t)
CASES["config.json: none"] = lambda f: (f / CONFIG).unlink()
CASES["config.json: a folder"] = lambda f: ((f / CONFIG).unlink(), (f / CONFIG).mkdir())
CASES["config.json: a pipe"] = lambda f: ((f / CONFIG).unlink(), os.mkfifo(f / CONFIG))

# What config.json says

_DESCRIBED = [
    {"auto_map": {"AutoModel": "modeling.Model"}},
    {"_target_": "os.system"},
    {"architectures": ["os.system"]},
    {"trust_remote_code": True},
    {"requires": ["evil"]},
    {"genzoo": 2},
    {"genzoo": True},
    {"genzoo": "1"},
    {"genzoo": None},
    {"genzoo": 10**4000},
    {"model": "os:system"},
    {"model": "os.system"},
    {"model": "genzoo_boltzmann.rbm:RBM"},
    {"model": "__import__('os')"},
    {"model": "rbm\n"},
    {"model": "RBM"},
    {"model": "rbm\u200b"},
    {"model": ""},
    {"model": None},
    {"model": 3},
    {"model": ["rbm"]},
    {"model": {"rbm": 1}},
    {"model": "x" * 10**5},
    {"plugin": "genzoo"},
    {"plugin": None},
    {"plugin": {"distribution": "genzoo"}},
    {"plugin": {"distribution": "genzoo", "version": 1}},
    {"plugin": {"distribution": "evil", "version": "1", "index": "https://example.com"}},
    {"model": "no-such-model", "plugin": {"distribution": "evil; rm -rf /", "version": "1"}},
    {"model": "no-such-model", "plugin": {"distribution": "\x1b[2J", "version": "1"}},
    {"dtype": "int8"},
    {"dtype": "os"},
    {"dtype": "__class__"},
    {"dtype": ["float32"]},
    {"dtype": None},
    {"dtype": "x" * 10**5},
    {"config": None},
    {"config": []},
    {"config": "event"},
]
for _values in _DESCRIBED:
    CASES[f"description: {str(_values)[:70]}"] = lambda f, v=_values: change_config(
        f, lambda found: found.update(v)
    )
CASES["description: a model that nobody knows"] = lambda f: change_config(
    f, lambda found: found.update(model="no-such-model")
)
for _key in ("genzoo", "model", "plugin", "dtype", "config"):
    CASES[f"description: no {_key}"] = lambda f, k=_key: change_config(
        f, lambda found: found.pop(k)
    )
for _name in ESCAPES:
    CASES[f"description: the model {_name!r}"] = lambda f, n=_name: change_config(
        f, lambda found: found.update(model=n)
    )

_CONFIGS = [
    {"num_hiden": 4},
    {"__class__": "os.system"},
    {"__init__": 1},
    {"_num_hidden": 4},
    {"trust_remote_code": True},
    {"num_hidden": "4"},
    {"num_hidden": 4.0},
    {"num_hidden": True},
    {"num_hidden": None},
    {"num_hidden": [4]},
    {"num_hidden": {"_target_": "os.system"}},
    {"num_hidden": 0},
    {"num_hidden": -4},
    {"num_hidden": 10**12},
    {"num_hidden": 10**4000},
    {"num_hidden": 2**20},
    {"num_hidden": 5},
    {"event": []},
    {"event": "binary"},
    {"event": None},
    {"event": {"name": "binary"}},
    {"event": {"name": "no-such-space", "config": {}}},
    {"event": {"name": "../../binary", "config": {}}},
    {"event": {"name": "x" * 10**5, "config": {}}},
    {"event": {"name": ["binary"], "config": {}}},
    {"event": {"name": "binary", "config": [1]}},
    {"event": {"name": "binary", "config": {"shape": [1, 2, 3]}, "__class__": "os.system"}},
    {"event": {"name": "binary", "config": {"shape": [1, 2, 3], "__class__": "os.system"}}},
    {"event": {"name": "label", "config": {"num_classes": 2**60}}},
    {"event": {"name": "label", "config": {"num_classes": 6, "names": ["\x1b[2J"] * 6}}},
    {"event": {"name": "categorical", "config": {"shape": [6], "num_categories": 10**9}}},
    {"event": {"name": "text", "config": {"templates": ["{a=b|c}" * 1000]}}},
    *(
        {"event": {"name": "binary", "config": {"shape": shape}}}
        for shape in (
            [],
            6,
            "123",
            [1, -2, -3],
            [0, 2, 3],
            [2**20] * 8,
            [2**13, 2**14],
            [1] * 10**5,
            [[1, 2, 3]],
            {"0": 1},
            [1, 2, "3"],
        )
    ),
    {"conditions": {"label": {"name": "label", "config": {"num_classes": 3}}}},
]
for _values in _CONFIGS:
    CASES[f"config: {str(_values)[:70]}"] = lambda f, v=_values: change_config(
        f, lambda found: found["config"].update(v)
    )

# Which files

for _name in ("pytorch_model.bin", "model.pt", "model.pkl", "model.ckpt", "weights.npz"):

    def _pickled(folder: Path, name: str = _name) -> None:
        (folder / WEIGHTS).unlink()
        (folder / name).write_bytes(pickle.dumps(Bomb()))

    CASES[f"files: {_name} alone"] = _pickled
CASES["files: a pickle under the name of weights"] = lambda f: (f / WEIGHTS).write_bytes(
    pickle.dumps(Bomb())
)
CASES["files: weights of torch.save"] = lambda f: torch.save({"W": torch.ones(1)}, f / WEIGHTS)
CASES["files: no weights"] = lambda f: (f / WEIGHTS).unlink()
CASES["files: weights that are a folder"] = lambda f: (
    (f / WEIGHTS).unlink(),
    (f / WEIGHTS).mkdir(),
)
CASES["files: weights that are a pipe"] = lambda f: (
    (f / WEIGHTS).unlink(),
    os.mkfifo(f / WEIGHTS),
)

# Links

_TARGETS = {"a file elsewhere": "../outside", "/etc/passwd": "/etc/passwd", "nothing": "nowhere"}
for _file in (CONFIG, WEIGHTS, INDEX):
    for _title, _target in _TARGETS.items():

        def _linked(folder: Path, file: str = _file, target: str = _target) -> None:
            source = folder / file
            text = source.read_bytes() if source.exists() else b"{}"
            (folder.parent / "outside").write_bytes(text)
            source.unlink(missing_ok=True)
            source.symlink_to(target)

        CASES[f"links: {_file} to {_title}"] = _linked
    CASES[f"links: {_file} to itself"] = lambda f, n=_file: (
        (f / n).unlink(missing_ok=True),
        (f / n).symlink_to(n),
    )

# The index

_INDEXES = {
    "empty": b"",
    "a list": b"[]",
    "no map": b"{}",
    "a map that is a list": b'{"weight_map": ["model.safetensors"]}',
    "a map of nothing": b'{"weight_map": null}',
    "a tensor twice": b'{"weight_map": {"W": "model.safetensors", "W": "model.safetensors"}}',
    "binary": b"\xff",
    "a list within a list": b"[" * 10**5,
    "a number for a name": b'{"weight_map": {"W": 3}}',
    "a list for a name": b'{"weight_map": {"W": ["model.safetensors"]}}',
    "an object for a name": b'{"weight_map": {"W": {"a": 1}}}',
    "a file that is not there": b'{"weight_map": {"W": "model-2.safetensors"}}',
    "a pickle": b'{"weight_map": {"W": "pytorch_model.bin"}}',
    "too large": b"{}".ljust(MEGABYTE + 1),
    "a megabyte of files": json.dumps(
        {"weight_map": {f"{i:05x}": f"m{i:05x}.safetensors" for i in range(29_000)}}
    ).encode(),
    "a megabyte of lists": b'{"weight_map": [' + b"[]," * (MEGABYTE // 3 - 10) + b"1]}",
}
for _name, _text in _INDEXES.items():
    CASES[f"index: {_name}"] = lambda f, t=_text: (f / INDEX).write_bytes(t)
for _name in (*ESCAPES, "deeper/model.safetensors", ".hidden.safetensors", "model.safetensors\n"):
    CASES[f"index: {_name!r}"] = lambda f, n=_name: (f / INDEX).write_text(
        json.dumps({"metadata": {}, "weight_map": {"W": n}})
    )


def _twice(folder: Path) -> None:
    split(folder)
    first, second = sorted(folder.glob("model-*"))
    second.write_bytes(first.read_bytes())


def _link_of_a_shard(folder: Path) -> None:
    split(folder)
    first, _ = sorted(folder.glob("model-*"))
    first.rename(folder.parent / "outside")
    first.symlink_to("../outside")


def _crowded(folder: Path) -> None:
    """Nine files of as many tensors as a header holds: each is sound, and all are too many."""
    names = [f"m{i}.safetensors" for i in range(9)]
    for i, name in enumerate(names):
        entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
        write_header(folder / name, {f"{i}.{j:04x}": entry for j in range(9_000)})
    (folder / INDEX).write_text(json.dumps({"weight_map": {n: n for n in names}}))


CASES["index: a shard is missing"] = lambda f: (
    split(f),
    (f / "model-00002-of-00002.safetensors").unlink(),
)
CASES["index: a tensor in two shards"] = _twice
CASES["index: a shard that is a link out"] = _link_of_a_shard
CASES["index: too many tensors over several files"] = _crowded

# Headers


def _entry(shape=(1,), offsets=(0, 4), dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


_HEADERS = {
    "no object": b"[]",
    "binary": b"\xff",
    "cut": b'{"a": {"dtype"',
    "a list within a list": b"[" * 10**5,
    "a tensor twice": b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {}}',
    "overlapping": {"a": _entry(), "b": _entry()},
    "half overlapping": {"a": _entry(), "b": _entry(offsets=(2, 6))},
    "a gap at first": {"a": _entry(offsets=(4, 8))},
    "a gap between": {
        "a": _entry(offsets=(0, 1), shape=(1,), dtype="U8"),
        "b": _entry((0,), (3, 3)),
    },
    "backwards": {"a": _entry(offsets=(4, 0))},
    "negative": {"a": _entry(offsets=(-4, 0))},
    "past the end": {"a": _entry((2,), (0, 8))},
    "far past the end": {"a": _entry((2**60,), (0, 2**62))},
    "beyond 64 bits": {"a": _entry((2**70,), (0, 2**72))},
    "numbers of 4,000 digits": {"a": _entry((10**4000,), (0, 10**4000))},
    "offsets that are fractions": {"a": _entry(offsets=(0.0, 4.0))},
    "offsets that are words": {"a": _entry(offsets=("0", "4"))},
    "offsets that are true": {"a": _entry((1,), (False, True), "U8")},
    "one offset": {"a": _entry(offsets=(0,))},
    "three offsets": {"a": _entry(offsets=(0, 2, 4))},
    "no offsets": {"a": {"dtype": "F32", "shape": [1]}},
    "a shape that is too large": {"a": _entry((10**12,))},
    "a shape that is negative": {"a": _entry((-1, -1))},
    "a shape of true": {"a": _entry((True,))},
    "a shape of fractions": {"a": _entry((1.0,))},
    "a shape of words": {"a": _entry("1")},
    "a shape of many numbers": {"a": _entry((1,) * 10**5)},
    "a shape that wraps": {"a": _entry((2**32, 2**32, 4), (0, 0))},
    "a type that is none": {"a": _entry(dtype="F8_E4M3")},
    "a type that is a list": {"a": _entry(dtype=["F32"])},
    "a type of nothing": {"a": _entry(dtype=None)},
    "an entry of nothing": {"a": None},
    "an entry that is a list": {"a": [1, 2, 3]},
    "no tensors": {},
    "a megabyte of objects": b'{"a":[' + b"{}," * (MEGABYTE // 3 - 5) + b"1]}",
    "a megabyte of lists": b'{"a":[' + b"[]," * (MEGABYTE // 3 - 5) + b"1]}",
    "a megabyte of keys": b"{" + b",".join(b'"%06x":0' % i for i in range(90_000)) + b"}",
    "a megabyte of metadata": json.dumps(
        {"__metadata__": {f"{i:06x}": "" for i in range(70_000)}}
    ).encode(),
    "too many tensors": json.dumps(
        {
            f"{i:x}": {"dtype": "U8", "shape": [], "data_offsets": [i, i + 1]}
            for i in range(10_001)
        },
        separators=(",", ":"),
    ).encode(),
}
for _name, _header in _HEADERS.items():
    CASES[f"header: {_name}"] = lambda f, h=_header: write_header(f / WEIGHTS, h, b"\0" * 4)
for _length in (2**20 + 1, 2**31, 2**63, 2**64 - 1):

    def _long(folder: Path, length: int = _length) -> None:
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", length))
        os.truncate(folder / WEIGHTS, 2**32)

    CASES[f"header: of {_length} bytes"] = _long
for _size in (0, 1, 7, 8, 9, 40):
    CASES[f"weights: cut at {_size} bytes"] = lambda f, n=_size: os.truncate(f / WEIGHTS, n)
CASES["weights: a byte short"] = lambda f: os.truncate(
    f / WEIGHTS, (f / WEIGHTS).stat().st_size - 1
)
CASES["weights: a terabyte, on the disk nothing"] = lambda f: os.truncate(f / WEIGHTS, 2**40)

# Tensors

_TENSORS = {
    "missing": lambda state: state.pop("b"),
    "added": lambda state: state.update({"W.evil": torch.zeros(1)}),
    "added under a name of Python's": lambda state: state.update({"__class__": torch.zeros(1)}),
    "added under an empty name": lambda state: state.update({"": torch.zeros(1)}),
    "under a long name": lambda state: state.update({"x" * 10**5: torch.zeros(1)}),
    "of a longer shape": lambda state: state.update(W=torch.zeros(6, 4, 1)),
    "turned": lambda state: state.update(W=torch.zeros(4, 6)),
    "of no dimension": lambda state: state.update(W=torch.zeros(())),
    "empty": lambda state: state.update(W=torch.zeros(0, 4)),
    "of another type": lambda state: state.update(c=state["c"].double()),
    "of whole numbers": lambda state: state.update(c=state["c"].int()),
    "with NaN": lambda state: state["W"].view(-1)[3:4].fill_(float("nan")),
    "with infinity": lambda state: state["c"][-1:].fill_(-float("inf")),
}
for _name, _change in _TENSORS.items():
    CASES[f"tensors: {_name}"] = lambda f, c=_change: change_weights(f, c)
CASES["tensors: of another model"] = lambda f: save_file({"x": torch.ones(3)}, f / WEIGHTS)
