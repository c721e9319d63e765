"""Repositories whose harm is in files that loading does not read: cards, code, pickles.

What does read a card takes it for text; nothing reads the rest. `IGNORED` is the list, by name.
"""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

from hostile import MEGABYTE, Bomb

CARD = "README.md"
IGNORED: dict[str, Callable[[Path], object]] = {}

# Cards

_FIGURES = """model-index:
- name: x
  results:
  - task: {{type: t}}
    dataset: {{type: digits, name: d, split: test, config: '{config}'}}
    metrics: [{{type: log-likelihood, value: {value}}}]"""
_HEADS = {
    "script": "license: <script>alert(1)</script>\nmodel_name: '<img src=x onerror=alert(1)>'",
    "a Python object": "license: !!python/object/apply:os.system ['touch /tmp/genzoo-was-here']",
    "a Python name": "license: !!python/name:os.system",
    "a module": "tags: [!!python/module:os]",
    "a list for a licence": "license: [mit, apache-2.0]",
    "commands for a terminal": 'license: "\\e[2J\\e]0;owned\\a"',
    "an index that is a word": "model-index: evil",
    "an index of nothing": "model-index:\n- name: x\n  results: null",
    "an index of numbers": "model-index: [1, 2, 3]",
    "a key twice": "license: mit\nlicense: apache-2.0",
    "a list within a list": "a: " + "[" * 10**5,
    "an open quote": 'license: "mit',
    "a laugh, a billion times": "\n".join(
        ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]
    ),
    "a list that holds itself": "a: &a [*a]",
    "a merge that laughs": "a: &a {x: 1}\nb: {<<: [*a, *a, *a]}",
    "a config of brackets": _FIGURES.format(config="[" * 10**5, value=1),
    "a config of a table within a table": _FIGURES.format(config='{"a":' * 40_000, value=1),
    "a config with a key twice": _FIGURES.format(config='{"a": 1, "a": 2}', value=1),
    "a figure that is infinite": _FIGURES.format(config="{}", value=".inf"),
    "a figure of sixties": _FIGURES.format(config="{}", value="1" + ":1" * 100_000),
    "a figure of sixties and a half": _FIGURES.format(
        config="{}", value="1" + ":1" * 9_000 + ".5"
    ),
    "a megabyte of lists": "a: [" + "[]," * (MEGABYTE // 3) + "]",
    "a megabyte of one word": "license: " + "a" * MEGABYTE,
}
for _name, _head in _HEADS.items():
    IGNORED[f"card: {_name}"] = lambda f, h=_head: (f / CARD).write_text(f"---\n{h}\n---\n# x\n")
_BODIES = {
    "binary": b"\xff\xfe",
    "no end of its head": b"---\nlicense: mit\n",
    "five megabytes": b"x" * 5 * 10**6,
    "a pickle": pickle.dumps(Bomb()),
}
for _name, _text in _BODIES.items():
    IGNORED[f"card: {_name}"] = lambda f, t=_text: (f / CARD).write_bytes(t)
IGNORED["card: a link out"] = lambda f: (f / CARD).symlink_to("/etc/passwd")
IGNORED["card: a pipe"] = lambda f: os.mkfifo(f / CARD)

# Next to the model

for _name in ("modeling.py", "__init__.py", "setup.py", "conftest.py", "sitecustomize.py"):
    IGNORED[f"next to the model: {_name}"] = lambda f, n=_name: (f / n).write_text(
        "import os; os.system('touch /tmp/genzoo-was-here')"
    )
for _name in ("pytorch_model.bin", "optimizer.pt", "scheduler.pkl", "custom.pth"):
    IGNORED[f"next to the model: {_name}"] = lambda f, n=_name: (f / n).write_bytes(
        pickle.dumps(Bomb())
    )
