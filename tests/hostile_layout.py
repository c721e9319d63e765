"""The same in a layout of our own: a U-Net where diffusers looks for it, with one change."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from escapes import ESCAPES
from folders import CONFIG, WEIGHTS, change_config, write_header
from genzoo import Unit, create_model

UNET, PREFIX = "unet/diffusion_pytorch_model.safetensors", "network.unet."
CASES: dict[str, Callable[[Path], object]] = {}


def save_sound(folder: Path) -> None:
    """Write a small model that loads."""
    event = Unit(shape=(1, 4, 4))
    sizes = {"event": event, "channels": (8, 8), "num_train_timesteps": 20}
    create_model("ddpm", schedule="cosine", **sizes).save_pretrained(folder)


def placed(change: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return what puts the model in a folder's place, and changes it."""

    def put(folder: Path) -> None:
        shutil.rmtree(folder)
        shutil.copytree(folder.parent.parent / "placed", folder)
        change(folder)

    return put


def _says(title: str, layout: Any) -> None:
    CASES[f"layout: {title}"] = placed(
        lambda f: change_config(f, lambda values: values.update(layout=layout))
    )


_VALUES: list[Any] = [
    None,
    [],
    1,
    "unet",
    {},
    {"weights": {}},
    {"files": []},
    {"weights": {}, "files": []},
    {"weights": {UNET: PREFIX}, "files": [], "code": "modeling.py"},
    {"weights": [UNET], "files": []},
    {"weights": {UNET: PREFIX}, "files": {"a.json": "{}"}},
    {"weights": {UNET: PREFIX}, "files": "a.json"},
]
for _value in _VALUES:
    _says(f"{str(_value)[:60]}", _value)
_says("10^5 files", {"weights": {UNET: PREFIX}, "files": ["a"] * 10**5})
_says(
    "4 * 10^4 files of weights",
    {"weights": {f"a/{i}.safetensors": "a." for i in range(4 * 10**4)}, "files": []},
)

_NO_WEIGHTS = ["unet/x.bin", "unet/x.pt", "unet/config.json", "x.safetensors", WEIGHTS, CONFIG]
_NO_FILES = [CONFIG, WEIGHTS, "environment.json", "model.safetensors.index.json", "modeling.py"]
_NO_FILES += ["unet/evil.py", "unet/x.pt", "unet/x.bin", "unet", "README.md", ".env", "a/.b.json"]
for _name in (*ESCAPES, *_NO_WEIGHTS, "a/b/c.safetensors", ""):
    _says(f"weights in {_name!r}", {"weights": {_name: PREFIX}, "files": []})
for _name in (*ESCAPES, *_NO_FILES, "a/b/c.json", "", UNET, None, 1, ["a.json"]):
    _says(f"a file {_name!r}", {"weights": {UNET: PREFIX}, "files": [_name]})
for _names in (
    ["a.json", "a.json"],
    ["a.json", "A.json"],
    ["a.json", "a.json/b.json"],
    [f"{UNET}/b.json"],
):
    _says(f"files {_names}", {"weights": {UNET: PREFIX}, "files": _names})

_PREFIXES: list[Any] = ["", ".", "network", "network.", "network.unet", "network.unet..", "../"]
_PREFIXES += ["network.unet.conv_in.", "other.", "a." * 101, "\u202e.", "a\n.", None, 3, ["a."]]
for _prefix in _PREFIXES:
    _says(f"the prefix {str(_prefix)[:30]!r}", {"weights": {UNET: _prefix}, "files": []})
for _prefix in (PREFIX, "network.", "network.unet.conv_in."):
    _says(
        f"a second file of {_prefix}",
        {"weights": {UNET: PREFIX, "unet/b.safetensors": _prefix}, "files": []},
    )


def _tensors(change: Callable[[dict], object]) -> Callable[[Path], object]:
    def put(folder: Path) -> None:
        state = load_file(folder / UNET)
        change(state)
        save_file(state, folder / UNET)

    return placed(put)


_ONE = {"network.unet.conv_in.bias": torch.zeros(8)}
CASES |= {
    "layout: no file of its weights": placed(lambda f: (f / UNET).unlink()),
    "layout: a folder for its weights": placed(
        lambda f: ((f / UNET).unlink(), (f / UNET).mkdir())
    ),
    "layout: a pipe for its weights": placed(lambda f: ((f / UNET).unlink(), os.mkfifo(f / UNET))),
    "layout: a pickle for its weights": placed(
        lambda f: (f / UNET).write_bytes(pickle.dumps([1]))
    ),
    "layout: weights of torch.save": placed(lambda f: torch.save({}, f / UNET)),
    "layout: a header of nothing": placed(lambda f: write_header(f / UNET, {})),
    "layout: weights that are a link out": placed(
        lambda f: (
            (f / UNET).rename(f.parent / "outside"),
            (f / UNET).symlink_to(f.parent / "outside"),
        )
    ),
    "layout: a folder that is a link out": placed(
        lambda f: (
            (f / "unet").rename(f.parent / "outside"),
            (f / "unet").symlink_to("../outside"),
        )
    ),
    "layout: a tensor next to it too": placed(lambda f: save_file(_ONE, f / WEIGHTS)),
    "layout: another tensor next to it": placed(
        lambda f: save_file({"evil": torch.zeros(1)}, f / WEIGHTS)
    ),
    "layout: an index of weights elsewhere": placed(
        lambda f: (f / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": {"a": UNET}}))
    ),
    "layout: a tensor missing": _tensors(lambda state: state.pop("conv_in.bias")),
    "layout: a tensor added": _tensors(lambda state: state.update(evil=torch.zeros(1))),
    "layout: a tensor named as with its prefix": _tensors(
        lambda state: state.update({"network.unet.x": torch.zeros(1)})
    ),
    "layout: a tensor with NaN": _tensors(lambda state: state["conv_in.bias"].fill_(torch.nan)),
}


def _moved(folder: Path) -> None:
    state = load_file(folder / UNET)
    save_file({"network.unet.conv_in.bias": state.pop("conv_in.bias")}, folder / WEIGHTS)
    save_file(state, folder / UNET)


CASES["layout: a tensor moved next to it"] = placed(_moved)
