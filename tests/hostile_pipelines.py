"""The same for a pipeline of many parts: Stable Diffusion's, with one thing changed."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from escapes import ESCAPES
from folders import write_header

MARKER, SCHEDULER = "model_index.json", "scheduler/scheduler_config.json"
UNET, VAE, TEXT = "unet/config.json", "vae/config.json", "text_encoder/config.json"
TOKENIZER, TOKENS = "tokenizer/tokenizer_config.json", "tokenizer/tokenizer.json"
PARTS = {
    "unet": "unet/diffusion_pytorch_model.safetensors",
    "vae": "vae/diffusion_pytorch_model.safetensors",
    "text_encoder": "text_encoder/model.safetensors",
}
"""The weights of each part."""
CASES: dict[str, Callable[[Path], object]] = {}


def save_sound(folder: Path) -> None:
    """Write a small pipeline that loads."""
    from diffusers import (
        AutoencoderKL,
        PNDMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel as UNet,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(f"{a}</w>" for a in letters), "<|startoftext|>", "<|endoftext|>"]
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    clip = CLIPTextConfig(
        vocab_size=len(tokens),
        num_hidden_layers=1,
        max_position_embeddings=8,
        bos_token_id=len(tokens) - 2,
        eos_token_id=len(tokens) - 1,
        **sizes,
    )
    ids = {token: i for i, token in enumerate(tokens)}
    small = {"block_out_channels": (8,), "norm_num_groups": 4, "layers_per_block": 1}
    blocks = {"down_block_types": ("CrossAttnDownBlock2D",)}
    blocks["up_block_types"] = ("CrossAttnUpBlock2D",)
    told = {"cross_attention_dim": 8, "attention_head_dim": 2, "sample_size": 8}
    StableDiffusionPipeline(
        vae=AutoencoderKL(sample_size=8, **small),
        text_encoder=CLIPTextModel(clip),
        tokenizer=CLIPTokenizer(vocab=ids, merges=[], model_max_length=8),
        unet=UNet(in_channels=4, out_channels=4, **small, **blocks, **told),
        scheduler=PNDMScheduler(beta_schedule="scaled_linear", beta_end=0.02, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def piped(change: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return what puts the pipeline in a folder's place, and changes it."""

    def put(folder: Path) -> None:
        shutil.rmtree(folder)
        shutil.copytree(folder.parent.parent / "piped", folder)
        change(folder)

    return put


def _says(name: str, values: dict) -> None:
    def change(folder: Path) -> None:
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(found | values))

    CASES[f"pipeline: {name} with {str(values)[:70]}"] = piped(change)


# Parts of other classes, of other libraries, and too many of them.

_MARKERS: list[dict] = [
    {"unet": ["modeling", "UNet2DConditionModel"]},
    {"unet": ["diffusers", "UNet2DModel"]},
    {"unet": ["diffusers", ["UNet2DConditionModel"]]},
    {"vae": ["diffusers", "AutoencoderTiny"]},
    {"vae": ["diffusers", "VQModel"]},
    {"vae": ["os", "system"]},
    {"text_encoder": ["transformers", "T5EncoderModel"]},
    {"text_encoder": ["transformers", "CLIPTextModelWithProjection"]},
    {"text_encoder": ["transformers_modules.ada.evil", "CLIPTextModel"]},
    {"text_encoder": None},
    {"tokenizer": ["transformers", "AutoTokenizer"]},
    {"tokenizer": ["tokenization_evil", "CLIPTokenizer"]},
    {"tokenizer": [None, None]},
    {"scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"]},
    {"scheduler": ["scheduling_evil", "DDIMScheduler"]},
    {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]},
    {"safety_checker": ["checker", "Evil"]},
    {"safety_checker": ["../..", "StableDiffusionSafetyChecker"]},
    {"image_encoder": ["transformers", "CLIPVisionModelWithProjection"]},
    {"controlnet": ["diffusers", "ControlNetModel"]},
    {"unet_2": ["diffusers", "UNet2DConditionModel"]},
    {"_class_name": "StableDiffusionXLPipeline"},
    {"_class_name": ["pipeline.py", "StableDiffusionPipeline"]},
]
for _values in _MARKERS:
    _says(MARKER, _values)

# Sizes, classes and code within the configs of the parts.

_VALUES: dict[str, list[dict]] = {
    UNET: [
        {"cross_attention_dim": 2**16},
        {"cross_attention_dim": [8, 9]},
        {"cross_attention_dim": []},
        {"attention_head_dim": []},
        {"layers_per_block": []},
        {"down_block_types": [], "up_block_types": []},
        {"transformer_layers_per_block": []},
        {"transformer_layers_per_block": {}},
        {"only_cross_attention": []},
        {"num_attention_heads": []},
        {"down_block_types": "CrossAttnDownBlock2D"},
        {"resnet_time_scale_shift": None},
        {"cross_attention_dim": 10**12},
        {"mid_block_type": "os.system"},
        {"down_block_types": [5]},
        {"act_fn": None},
        {"down_block_types": ["os.system"]},
        {"layers_per_block": 2**16},
        {"transformer_layers_per_block": 2**16},
        {"block_out_channels": [2**16]},
        {"attention_head_dim": 0},
        {"encoder_hid_dim_type": "image_proj"},
        {"addition_embed_type": "text_image"},
        {"class_embed_type": "timestep"},
        {"auto_map": {"UNet": "modeling.Evil"}},
        {"sample_size": 10**12},
        {"sample_size": [8, 8, 8]},
    ],
    VAE: [
        {"block_out_channels": [8] * 10**4},
        {"block_out_channels": [2**16]},
        {"block_out_channels": "8"},
        {"block_out_channels": []},
        {"down_block_types": ["os.system"]},
        {"layers_per_block": 2**16},
        {"layers_per_block": []},
        {"norm_num_groups": []},
        {"down_block_types": [], "up_block_types": []},
        {"latent_channels": 2**16},
        {"latent_channels": 8},
        {"in_channels": 10**12},
        {"in_channels": None},
        {"act_fn": "os.system"},
        {"act_fn": None},
        {"down_block_types": [5]},
        {"scaling_factor": 0},
        {"scaling_factor": 1e300},
        {"scaling_factor": "0.18215"},
        {"scaling_factor": None},
        {"auto_map": {"VAE": "modeling.Evil"}},
    ],
    TEXT: [
        {"model_type": "t5"},
        {"auto_map": {"AutoModel": "modeling.Evil"}},
        {"trust_remote_code": True},
        {"hidden_act": "os.system"},
        {"hidden_size": 10**12},
        {"hidden_size": 2**16},
        {"hidden_size": 7},
        {"num_hidden_layers": 2**16},
        {"num_hidden_layers": -1},
        {"vocab_size": 10**12},
        {"vocab_size": 2**16},
        {"vocab_size": 8},
        {"max_position_embeddings": 2**16},
        {"num_attention_heads": 0},
        {"intermediate_size": "8"},
        {"quantization_config": {"load_in_8bit": True}},
        {"attn_implementation": "evil/kernel@main:fn"},
        {"transformers_weights": "other.safetensors"},
        {"num_attention_heads": None},
        {"hidden_act": None},
    ],
    TOKENIZER: [
        {"model_max_length": 10**30},
        {"model_max_length": -1},
        {"model_max_length": 77},
        {"bos_token": "x" * 10**5},
        {"bos_token": {"content": ["a"]}},
        {"eos_token": "no such token"},
        {"added_tokens_decoder": {str(i): {"content": str(i)} for i in range(5000)}},
        {"added_tokens_decoder": {"1": {"content": "<|endoftext|>", "lstrip": True}}},
        {"padding_side": "left"},
        {"split_special_tokens": True},
        {"chat_template": "{{ 1/0 }}"},
        {"auto_map": {"AutoTokenizer": ["tokenization.Evil", None]}},
    ],
    SCHEDULER: [
        {"num_train_timesteps": 10**12},
        {"beta_schedule": "os.system"},
        {"trained_betas": [0.1] * 1000},
        {"rescale_betas_zero_snr": True},
        {"prediction_type": "flow_prediction"},
    ],
}
for _name, _changes in _VALUES.items():
    for _values in _changes:
        _says(_name, _values)


# Files that are missing, links, pipes, or of other kinds.


def _gone(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _linked(name: str, to: str = "/etc/passwd") -> Callable[[Path], object]:
    return lambda folder: ((folder / name).unlink(), (folder / name).symlink_to(to))


def _piped(name: str) -> Callable[[Path], object]:
    return lambda folder: ((folder / name).unlink(), os.mkfifo(folder / name))


def _moved(name: str) -> Callable[[Path], object]:
    outside = "../outside"
    return lambda folder: (
        (folder / name).rename(folder.parent / "outside"),
        (folder / name).symlink_to(outside),
    )


for _name in (UNET, VAE, TEXT, TOKENIZER, TOKENS, SCHEDULER, *PARTS.values()):
    CASES[f"pipeline: {_name} is missing"] = piped(_gone(_name))
for _name in (VAE, TEXT, TOKENIZER, TOKENS, PARTS["vae"], PARTS["text_encoder"]):
    CASES[f"pipeline: {_name} is a link out"] = piped(_linked(_name))
    CASES[f"pipeline: {_name} is a pipe"] = piped(_piped(_name))
for _name in ("vae", "text_encoder", "tokenizer"):
    CASES[f"pipeline: {_name} is a folder that is a link out"] = piped(_moved(_name))
for _part, _name in PARTS.items():
    CASES[f"pipeline: a pickle in the place of the weights of {_part}"] = piped(
        lambda f, n=_name: (f / n).write_bytes(pickle.dumps([1]))
    )
    CASES[f"pipeline: the weights of {_part} are named as of old"] = piped(
        lambda f, n=_name: (f / n).rename((f / n).with_name("pytorch_model.bin"))
    )
    CASES[f"pipeline: a header of nothing in {_part}"] = piped(
        lambda f, n=_name: write_header(f / n, {})
    )


# Tokens.


def _tokens(title: str, change: Callable[[dict], object]) -> None:
    def put(folder: Path) -> None:
        whole = json.loads((folder / TOKENS).read_text())
        change(whole)
        (folder / TOKENS).write_text(json.dumps(whole))

    CASES[f"pipeline: tokens {title}"] = piped(put)


_RAW = {
    "that are not JSON": b"{",
    "that are binary": b"\xff\xfe",
    "that are a list": b"[]",
    "of lists within lists": b"[" * 10**5,
    "of four megabytes of lists": b"[" + b"[]," * (2**22 // 3 - 2) + b"1]",
    "of two million numbers": b"[" + b"1," * (2**21 - 2) + b"1]",
    "larger than is read": b"{}".ljust(2**22 + 1),
    "with a key twice": b'{"model": {}, "model": {}}',
}
for _title, _text in _RAW.items():
    CASES[f"pipeline: tokens {_title}"] = piped(lambda f, t=_text: (f / TOKENS).write_bytes(t))
_tokens("of another kind", lambda whole: whole["model"].update(type="Unigram"))
_tokens("that no text makes", lambda whole: whole["model"].update(vocab={"a": 0}))
_tokens("numbered past the weights", lambda w: w["model"]["vocab"].update(evil=10**12))
_tokens("numbered by fractions", lambda w: w["model"]["vocab"].update(evil=0.5))
_tokens("with one more than the weights", lambda w: w["model"]["vocab"].update(evil=514))
_tokens("merged of none", lambda whole: whole["model"].update(merges=[["evil", "ones"]]))
_tokens("merged by threes", lambda whole: whole["model"].update(merges=["a b c"]))
_tokens("merged without end", lambda w: w["model"].update(merges=[["a", "b"]] * 10**5))
_tokens("added to", lambda w: w["added_tokens"].append({"id": 514, "content": "evil"}))
_tokens("of a megabyte each", lambda w: w["added_tokens"].append({"content": "x" * 2**20}))
for _name in ESCAPES:
    _tokens(
        f"that are added by the name {_name[:40]!r}",
        lambda whole, n=_name: whole["added_tokens"].append({"content": n}),
    )
    _says(MARKER, {"vae": ["diffusers", _name]})
    _says(MARKER, {_name: ["diffusers", "UNet2DConditionModel"]})


# Tensors: in the wrong file, in two of them, or too many.


def _changed(part: str, change: Callable[[dict], object]) -> Callable[[Path], object]:
    def put(folder: Path) -> None:
        state = load_file(folder / PARTS[part])
        change(state)
        save_file(state, folder / PARTS[part])

    return put


_FIRST = {
    "unet": "conv_in.bias",
    "vae": "quant_conv.bias",
    "text_encoder": "final_layer_norm.bias",
}
_TENSORS: dict[str, Callable[[dict, str], object]] = {
    "missing": lambda state, name: state.pop(name),
    "added": lambda state, name: state.update(evil=torch.zeros(1)),
    "of another shape": lambda state, name: state.update({name: torch.zeros(3)}),
    "with NaN": lambda state, name: state[name].fill_(float("nan")),
    "of whole numbers": lambda state, name: state.update({name: state[name].int()}),
    "of two other parts": lambda state, name: state.update(
        {"network.unet.conv_in.bias": torch.zeros(8), "autoencoder.vae.x": torch.zeros(1)}
    ),
}
for _part, _name in _FIRST.items():
    for _title, _change in _TENSORS.items():
        CASES[f"pipeline: a tensor of {_part} {_title}"] = piped(
            _changed(_part, lambda state, c=_change, n=_name: c(state, n))
        )


def _swapped(first: str, second: str) -> Callable[[Path], object]:
    def put(folder: Path) -> None:
        one, two = folder / PARTS[first], folder / PARTS[second]
        one.rename(folder / "x")
        two.rename(one)
        (folder / "x").rename(two)

    return put


def _twice(first: str, second: str) -> Callable[[Path], object]:
    def put(folder: Path) -> None:
        state = load_file(folder / PARTS[second]) | load_file(folder / PARTS[first])
        save_file(state, folder / PARTS[second])

    return put


for _one, _two in (("unet", "vae"), ("vae", "text_encoder"), ("text_encoder", "unet")):
    CASES[f"pipeline: {_one} and {_two} in each other's place"] = piped(_swapped(_one, _two))
    CASES[f"pipeline: the tensors of {_one} in {_two} too"] = piped(_twice(_one, _two))
