"""The same in another library's layout: a pipeline of diffusers, with one thing changed."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from folders import CONFIG, write_header

MARKER, UNET, SCHEDULER = "model_index.json", "unet/config.json", "scheduler/scheduler_config.json"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
CASES: dict[str, Callable[[Path], object]] = {}


def save_sound(folder: Path) -> None:
    """Write a small pipeline that loads."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    sizes = {"block_out_channels": (8, 8), "norm_num_groups": 4, "layers_per_block": 1}
    unet = UNet2DModel(sample_size=8, in_channels=1, out_channels=1, **blocks, **sizes)
    scheduler = DDPMScheduler(num_train_timesteps=20, beta_schedule="squaredcos_cap_v2")
    DDPMPipeline(unet, scheduler).save_pretrained(folder)


def foreign(change: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return what puts a pipeline in a folder's place, and changes it."""

    def put(folder: Path) -> None:
        shutil.rmtree(folder)
        shutil.copytree(folder.parent.parent / "foreign", folder)
        change(folder)

    return put


def _set(name: str, values: dict) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(found | values))

    return change


_TEXTS = {
    "empty": b"",
    "binary": b"\xff",
    "a list": b"[]",
    "a pickle": pickle.dumps([1]),
    "a key twice": b'{"a": 1, "a": 2}',
    "a list within a list": b"[" * 10**5,
    "a megabyte of lists": b"[" + b"[]," * (2**20 // 3 - 2) + b"1]",
    "too large": b"{}".ljust(2**20 + 1),
}
for _name in (MARKER, UNET, SCHEDULER):
    for _title, _text in _TEXTS.items():
        CASES[f"foreign: {_name} is {_title}"] = foreign(
            lambda f, n=_name, t=_text: (f / n).write_bytes(t)
        )
    CASES[f"foreign: {_name} is a link out"] = foreign(
        lambda f, n=_name: ((f / n).unlink(), (f / n).symlink_to("/etc/passwd"))
    )
    CASES[f"foreign: {_name} is a pipe"] = foreign(
        lambda f, n=_name: ((f / n).unlink(), os.mkfifo(f / n))
    )

_VALUES = {
    MARKER: [
        {"_class_name": "StableDiffusionPipeline"},
        {"_class_name": ["pipeline.py", "Evil"]},
        {"_class_name": None},
        {"unet": ["modeling", "Evil"]},
        {"unet": ["diffusers", "../evil"]},
        {"unet": "UNet2DModel"},
        {"scheduler": ["scheduling_evil", "DDPMScheduler"]},
    ],
    UNET: [
        {"auto_map": {"UNet": "modeling.Evil"}},
        {"trust_remote_code": True},
        {"act_fn": "os.system"},
        {"act_fn": None},
        {"down_block_types": [5, 5]},
        {"up_block_types": [None, None]},
        {"down_block_types": ["os.system", "DownBlock2D"]},
        {"layers_per_block": 10**12},
        {"layers_per_block": 2**16},
        {"layers_per_block": -1},
        {"block_out_channels": [2**16, 2**16]},
        {"block_out_channels": [10**12, 8]},
        {"block_out_channels": [[8], 8]},
        {"block_out_channels": [8] * 10**5},
        {"norm_num_groups": 0},
        {"in_channels": 10**12, "out_channels": 10**12},
        {"in_channels": "1"},
        {"sample_size": 10**12},
        {"sample_size": [8, 8, 8]},
        {"sample_size": None},
        {"num_class_embeds": 2**16},
        {"attention_head_dim": {"a": 1}},
    ],
    SCHEDULER: [
        {"num_train_timesteps": 10**12},
        {"num_train_timesteps": 0},
        {"num_train_timesteps": "20"},
        {"beta_schedule": "os.system"},
        {"beta_schedule": "linear", "beta_end": 1e308},
        {"trained_betas": [0.1] * 20},
        {"prediction_type": "evil"},
        {"clip_sample_range": 1e308},
    ],
}
for _name, _changes in _VALUES.items():
    for _values in _changes:
        CASES[f"foreign: {_name} with {str(_values)[:60]}"] = foreign(_set(_name, _values))

CASES["foreign: a folder that is a link out"] = foreign(
    lambda f: ((f / "unet").rename(f.parent / "outside"), (f / "unet").symlink_to("../outside"))
)
CASES["foreign: weights that are a link out"] = foreign(
    lambda f: (
        (f / WEIGHTS).rename(f.parent / "outside"),
        (f / WEIGHTS).symlink_to(f.parent / "outside"),
    )
)
CASES["foreign: a pickle in the place of weights"] = foreign(
    lambda f: ((f / WEIGHTS).unlink(), (f / WEIGHTS).with_suffix(".bin").write_bytes(b"x"))
)
CASES["foreign: weights of torch.save"] = foreign(lambda f: torch.save({}, f / WEIGHTS))
CASES["foreign: a header of nothing"] = foreign(lambda f: write_header(f / WEIGHTS, {}))
CASES["foreign: our config next to it, that is none"] = foreign(
    lambda f: (f / CONFIG).write_text("{}")
)

_TENSORS = {
    "missing": lambda state: state.pop("conv_in.bias"),
    "added": lambda state: state.update({"evil": torch.zeros(1)}),
    "named as with its prefix": lambda state: state.update({"network.unet.x": torch.zeros(1)}),
    "of another shape": lambda state: state.update({"conv_in.bias": torch.zeros(9)}),
    "with NaN": lambda state: state["conv_in.bias"].fill_(float("nan")),
}
for _name, _change in _TENSORS.items():

    def _tensors(folder: Path, change: Callable[[dict], object] = _change) -> None:
        state = load_file(folder / WEIGHTS)
        change(state)
        save_file(state, folder / WEIGHTS)

    CASES[f"foreign: a tensor {_name}"] = foreign(_tensors)
