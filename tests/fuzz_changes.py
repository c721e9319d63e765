"""Random changes of a folder: of the values in its JSON files and headers, of bytes, of files.

A change is a function of a seed alone, so that what it found can be found again.
"""

import contextlib
import itertools
import json
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from escapes import ESCAPES
from folders import header_of, write_header
from hostile import Bomb

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    5,
    7,
    64,
    1000,
    2**15,
    2**16,
    2**16 + 1,
    2**20,
    2**31,
    2**63,
    10**7,
    10**12,
    10**30,
    0.0,
    0.5,
    -0.5,
    1e-300,
    1e308,
    3.0,
    "",
    "a",
    "0",
    "gelu",
    "linear",
    "os.system",
    "evil/kernel@main:fn",
    "flash_attention_2",
    "paged|flash_attention_2",
    "other.safetensors",
    "float16",
    "left",
    "x" * 300,
    "x" * 100_000,
    "\x00",
    "\x1b[2J",
    "\ud800",
    "é\u200b",
    "a b",
    [],
    {},
    [5, 5],
    [None],
    [[]],
    [0],
    ["DownBlock2D"],
    ["CrossAttnDownBlock2D", "AttnUpBlock2D"],
    [8] * 70,
    [1] * 2000,
    {"a": 1},
    {"_target_": "os.system", "_args_": ["true"]},
    {"__type": "AddedToken", "content": "boot"},
    {"content": "x", "lstrip": True, "id": 10**6},
    {"": None},
    {"AutoModel": "modeling.Evil"},
    *ESCAPES,
]
KEYS = [
    "_attn_implementation",
    "_attn_implementation_internal",
    "_class_name",
    "_from_auto",
    "act_fn",
    "adapter_kwargs",
    "add_cross_attention",
    "additional_special_tokens",
    "added_tokens_decoder",
    "attn_implementation",
    "auto_map",
    "backend",
    "chat_template",
    "chunk_size_feed_forward",
    "dtype",
    "extra_ids",
    "extra_special_tokens",
    "fast_tokenizer_files",
    "fusion_config",
    "id2label",
    "init_inputs",
    "is_decoder",
    "kernel_config",
    "layout",
    "num_labels",
    "output_attentions",
    "per_layer_config",
    "precompiled_charsmap",
    "pruned_heads",
    "quantization_config",
    "return_dict",
    "rope_scaling",
    "torch_dtype",
    "transformers_weights",
    "trust_remote_code",
    "use_kernels",
    "vocab_file",
    "x" * 5000,
    "",
    "__class__",
    "__init__",
]
STRAYS: dict[str, bytes] = {
    "adapter_config.json": b'{"base_model_name_or_path": "evil/base", "peft_type": "LORA"}',
    "adapter_model.bin": pickle.dumps(Bomb()),
    "added_tokens.json": b'{"boot": 1, "<evil>": 95}',
    "chat_template.jinja": b"{{ 1/0 }}",
    "generation_config.json": b'{"custom_generate": "evil"}',
    "modeling_evil.py": b"import os\nos.system('true')\n",
    "other.safetensors": b"x",
    "pytorch_model.bin": pickle.dumps(Bomb()),
    "special_tokens_map.json": b'{"pad_token": "boot", "unk_token": "a", "cls_token": "a"}',
    "spiece.model": b"\x00\x01",
    "tokenizer.model": b"\x00\x01",
    "vocab.txt": b"a\nb\n",
}
_GROWN, _MOST_NODES = 3000, 60


def change(folder: Path, seed: str) -> None:
    """Change a folder, once or a few times."""
    chance = random.Random(seed)
    for _ in range(1 + min(3, int(chance.expovariate(1.2)))):
        kind = chance.choices(list(_KINDS), list(_KINDS.values()))[0]
        with contextlib.suppress(Exception):  # One may have spoilt what the next is about.
            kind(folder, chance)


def _files(folder: Path, suffix: str = "") -> list[Path]:
    found = [p for p in folder.rglob(f"*{suffix}") if p.is_file() and not p.is_symlink()]
    return sorted(found)


def _json(folder: Path, chance: random.Random) -> None:
    """Change a value in a JSON file: mostly in one that is read, where others are there too."""
    files = _files(folder, ".json")
    if (folder / "config.json") in files and chance.random() < 0.9:  # The marker is not read then.
        files = [p for p in files if p.parent == folder and p.name != "model_index.json"]
    path = chance.choice(files)
    found = changed(json.loads(path.read_text("utf-8")), chance)
    path.write_text(json.dumps(found, ensure_ascii=chance.random() < 0.9), "utf-8", "replace")


def _header(folder: Path, chance: random.Random) -> None:
    path = chance.choice(_files(folder, ".safetensors"))
    header, data = header_of(path)
    write_header(path, json.dumps(changed(header, chance)).encode(), data)


def _bytes(folder: Path, chance: random.Random) -> None:
    """Overwrite, cut, or double bytes of any file, more often near its beginning."""
    path = chance.choice(_files(folder))
    raw = bytearray(path.read_bytes())
    where = int(len(raw) * chance.random() ** 3)
    what = chance.randrange(3)
    if what == 0:
        raw[where : where + 4] = chance.randbytes(chance.randint(1, 8))
    elif what == 1:
        del raw[where:]
    else:
        raw[where:where] = raw[where : where + chance.randint(1, 200)] * chance.randint(1, 50)
    path.write_bytes(bytes(raw))


def _tensors(folder: Path, chance: random.Random) -> None:
    """Overwrite some values by bits that are NaN, infinite, or of a great number."""
    path = chance.choice(_files(folder, ".safetensors"))
    header, data = header_of(path)
    raw, at = bytearray(data), 4 * chance.randrange(len(data) // 4)
    raw[at : at + 4] = chance.choice(
        [b"\x00\x00\xc0\x7f", b"\x00\x00\x80\xff", b"\xff\xff\x7f\x7f"]
    )
    write_header(path, header, bytes(raw))


def _places(folder: Path, chance: random.Random) -> None:
    """Take a file away, or put a folder, a pipe, a link, or another file in its place."""
    path = chance.choice(_files(folder))
    others = [p for p in _files(folder) if p != path]
    what = chance.randrange(5)
    if what == 4:
        path.write_bytes(chance.choice(others).read_bytes())
        return
    path.unlink()
    if what == 1:
        path.mkdir()
    elif what == 2:
        os.mkfifo(path)
    elif what == 3:
        path.symlink_to(chance.choice(["/etc/passwd", "../../outside", path.name, others[0]]))


def _strays(folder: Path, chance: random.Random) -> None:
    """Put files there that another loader would look at."""
    for name in chance.sample(sorted(STRAYS), chance.randint(1, 4)):
        (folder / name).write_bytes(STRAYS[name])


_KINDS: dict[Callable[[Path, random.Random], None], float] = {
    _json: 70,
    _header: 10,
    _bytes: 6,
    _tensors: 3,
    _places: 4,
    _strays: 7,
}


# JSON


def changed(value: Any, chance: random.Random) -> Any:
    """Return JSON with one node changed, at any depth."""
    inner = _inner(value)
    if inner and chance.random() < 0.9:
        (key,) = chance.choices(list(inner), list(inner.values()))
        value[key] = changed(value[key], chance)
        return value
    if isinstance(value, dict):
        return _changed_object(value, chance)
    if isinstance(value, list):
        return _changed_list(value, chance)
    return _other(value, chance)


def _inner(value: Any) -> dict[Any, float]:
    """Return the keys of what is within a value, each with its weight: more for what holds more.

    So a field within a mapping is as near as one next to it; yet a vocabulary does not draw all
    changes to itself.
    """
    if not isinstance(value, (dict, list)):
        return {}
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return {key: _nodes(one) for key, one in pairs}


def _nodes(value: Any) -> int:
    """Return how many values there are in a value, itself included, counted up to the most.

    Without recursion and no further, as a value within thousands of others is counted for each.
    """
    found, left = 0, [value]
    while left and found < _MOST_NODES:
        one = left.pop()
        found += 1
        if isinstance(one, (dict, list)):
            inner = one.values() if isinstance(one, dict) else one
            left.extend(itertools.islice(inner, _MOST_NODES))
    return found


def _changed_object(value: dict[str, Any], chance: random.Random) -> Any:
    keys = list(value)
    what = chance.randrange(5)
    if what == 0 and keys:
        value.pop(chance.choice(keys))
    elif what == 1 and keys:
        value[chance.choice(KEYS)] = value.pop(chance.choice(keys))
    elif what == 2 and len(keys) > 1:
        first, second = chance.sample(keys, 2)
        value[first], value[second] = value[second], value[first]
    elif what == 3:
        return _other(value, chance)
    else:
        value[chance.choice(KEYS)] = chance.choice(VALUES)
    return value


def _changed_list(value: list[Any], chance: random.Random) -> Any:
    what = chance.randrange(5)
    if what == 0 and value:
        value.pop(chance.randrange(len(value)))
    elif what == 1:
        value.insert(chance.randint(0, len(value)), chance.choice(VALUES))
    elif what == 2 and value:
        return (value * _GROWN)[: chance.choice([2 * len(value), 100, _GROWN])]
    elif what == 3:
        chance.shuffle(value)
    else:
        return _other(value, chance)
    return value


def _other(value: Any, chance: random.Random) -> Any:
    """Return another value: one of a list, one near it, or it within more."""
    what = chance.random()
    if what < 0.15:
        return _nested(value, chance.choice([1, 2, 50, 900, 5000]), chance)
    if what < 0.4 and type(value) in (int, float):
        return chance.choice([value + 1, value - 1, 2 * value, -value, value * 10**6, value / 2])
    if what < 0.4 and isinstance(value, str):
        return chance.choice([value.upper(), value + "x", value * 1000, value[:-1], [value]])
    if what < 0.4 and isinstance(value, bool):
        return not value
    return chance.choice(VALUES)


def _nested(value: Any, depth: int, chance: random.Random) -> Any:
    as_list = chance.random() < 0.5
    for _ in range(depth):
        value = [value] if as_list else {"a": value}
    return value
