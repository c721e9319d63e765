"""What is fuzzed: a sound folder of each kind that is loaded, and how it is loaded.

Every field that holds a mapping is filled with all that the library behind it has, so that changes
reach what another library is given.
"""

import inspect
import json
import shutil
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import hostile_foreign
import hostile_pipelines
from genzoo import GenModel, create_model, registry
from genzoo.evaluation.transformers_features import load_image_model
from genzoo.plugin import HubComponent

COMPONENT = {"repo": "ada/encoder", "commit": "0" * 40, "sha256": "0" * 64}
ENCODERS = ("clip", "whole-clip", "t5", "bert")
IMAGES = ("vit", "deit", "dinov2", "clip_vision_model", "convnext", "convnextv2", "resnet")
_SMALL = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}


@dataclass(frozen=True)
class Subject:
    """A kind of folder.

    Arguments:
        save: Writes a sound one.
        load: Loads one, and uses it where it is used without a model.
        share: How many of the cases it gets, as a weight.
    """

    save: Callable[[Path], object]
    load: Callable[[Path], object]
    share: float = 1.0


# Models, with their mappings filled.


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config of another library as plain values, without what it notes for itself."""
    found = json.loads(json.dumps({k: v for k, v in values.items() if not k.startswith("_")}))
    return {name: value for name, value in found.items() if not isinstance(value, dict)}


def _of_class(cls: Any, **values: Any) -> dict[str, Any]:
    """Return every field of a class of diffusers, with its default where it is not given."""
    known = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return plain({p.name: p.default for p in known} | values)


def unet(text_width: int | None = None) -> dict[str, Any]:
    """Return all fields of a small U-Net of diffusers."""
    from diffusers import UNet2DConditionModel, UNet2DModel

    told = "" if text_width is None else "CrossAttn"
    blocks = {"down_block_types": [f"{told}DownBlock2D"], "up_block_types": [f"{told}UpBlock2D"]}
    sizes = {"block_out_channels": [8], "norm_num_groups": 4, "layers_per_block": 1}
    images = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "attention_head_dim": 2}
    if text_width is None:
        return _of_class(UNet2DModel, **blocks, **sizes, **images)
    width = {"cross_attention_dim": text_width}
    return _of_class(UNet2DConditionModel, **blocks, **sizes, **images, **width)


def autoencoder() -> dict[str, Any]:
    """Return all fields of a small autoencoder of diffusers."""
    from diffusers import AutoencoderKL

    sizes = {"block_out_channels": [8, 8], "norm_num_groups": 4, "latent_channels": 1}
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * 2}
    blocks["up_block_types"] = ["UpDecoderBlock2D"] * 2
    images = {"in_channels": 1, "out_channels": 1, "sample_size": 16}
    return _of_class(AutoencoderKL, **sizes, **blocks, **images)


def stored_text() -> dict[str, Any]:
    """Return an encoder that is stored with a model, with all fields of its CLIP."""
    from transformers import CLIPTextConfig

    tokenizer = {"merges": "a b\nab c</w>", "max_length": 8, "lowered": []}
    known = inspect.get_annotations(CLIPTextConfig)
    defaults = CLIPTextConfig().to_dict()
    sizes = {**_SMALL, "intermediate_size": 8, "vocab_size": 520, "max_position_embeddings": 8}
    clip = {name: defaults[name] for name in known if name in defaults}
    return {"clip": plain(clip | sizes), "tokenizer": tokenizer, "frozen": True}


_TEXT = {"vocabulary": ["a", "boot"], "max_length": 8, "width": 8, "num_layers": 1, "num_heads": 2}
_FROZEN = {"component": COMPONENT, "kind": "t5", "width": 8, "max_length": 12}
_DIFFUSION = {"channels": [8], "num_train_timesteps": 10, "schedule": "cosine"}
_OF_TEXT = {**_DIFFUSION, "conditions": {"text": {"name": "text"}}}
_FLOW_OF_TEXT = {"channels": [8], "conditions": {"text": {"name": "text"}}}
_IMAGE = {"event": {"name": "unit", "config": {"shape": [1, 8, 8], "levels": 256}}}
_LARGER = {"event": {"name": "unit", "config": {"shape": [1, 16, 16]}}}
_FLAT = {"event": {"name": "real", "config": {"shape": [4]}}}
_CATEGORIES = {
    "event": {"name": "categorical", "config": {"shape": [4], "num_categories": 3}},
    "conditions": {"text": {"name": "text"}},
    "network": "flat",
    "hidden_dim": 8,
}
_OVER = {
    "autoencoder": {
        "name": "autoencoder-kl",
        "config": {**_LARGER, "autoencoder": autoencoder},
    },
    "latent_shape": [1, 8, 8],
}
FILLED: dict[str, list[dict[str, Any]]] = {
    "vae": [
        {
            "event": {"name": "unit", "config": {"shape": [4], "levels": 17}},
            "conditions": {
                "label": {"name": "label", "config": {"num_classes": 2, "names": ["a", "b"]}},
                "mood": {"name": "categorical", "config": {"shape": [2], "num_categories": 3}},
            },
            "hidden_dims": [8],
            "latent_dim": 2,
            "decoder": {"name": "made", "config": {"hidden_dims": [4]}},
            "posterior": {"name": "semi-amortised", "config": {"num_steps": 2}},
        }
    ],
    "discrete-vae": [
        {
            "event": {"name": "binary", "config": {"shape": [4]}},
            "hidden_dims": [8],
            "latent_dim": 2,
            "prior": {"name": "made", "config": {"hidden_dims": [4]}},
            "decoder": {"name": "made", "config": {"hidden_dims": [4]}},
            "conditions": {"label": {"name": "label", "config": {"num_classes": 2}}},
            "posterior": {"name": "semi-amortised", "config": {"num_steps": 2}},
        }
    ],
    "sbn": [
        {
            "event": {"name": "binary", "config": {"shape": [4]}},
            "hidden_dims": [3, 2],
            "autoregressive": True,
            "conditions": {"label": {"name": "label", "config": {"num_classes": 2}}},
            "posterior": {"name": "mean-field", "config": {"ascent": "coordinate"}},
        }
    ],
    "autoencoder-kl": [{**_LARGER, "autoencoder": autoencoder}],
    "ddpm": [
        {**_DIFFUSION, **_IMAGE, "unet": unet},
        {**_OF_TEXT, **_IMAGE, "text": _TEXT, "unet": lambda: unet(8)},
        {**_OF_TEXT, **_IMAGE, "stored_text": stored_text},
        {**_OF_TEXT, **_IMAGE, "frozen_text": _FROZEN},
        {**_OF_TEXT, **_FLAT, "text": _TEXT, "hidden_dim": 8},
        {**_OF_TEXT, **_IMAGE, "text": _TEXT, "hidden_dim": 8, "network": "transformer"},
        {**_DIFFUSION, **_IMAGE, "prediction_type": "edm", "schedule": "karras"},
    ],
    "discrete-diffusion": [
        {**_CATEGORIES, "text": _TEXT},
        {**_CATEGORIES, "stored_text": stored_text},
        {**_CATEGORIES, "frozen_text": _FROZEN},
    ],
    "rectified-flow": [
        {**_IMAGE, "unet": unet},
        {**_FLOW_OF_TEXT, **_IMAGE, "text": _TEXT, "unet": lambda: unet(8)},
        {**_FLOW_OF_TEXT, **_IMAGE, "stored_text": stored_text},
        {**_FLOW_OF_TEXT, **_IMAGE, "frozen_text": _FROZEN},
    ],
    "latent-rectified-flow": [
        {**_OVER, "unet": unet},
        {**_OVER, **_FLOW_OF_TEXT, "stored_text": stored_text, "unet": lambda: unet(8)},
    ],
    "latent-ddpm": [
        {**_OVER, **_DIFFUSION, "unet": unet},
        {**_OVER, **_OF_TEXT, "stored_text": stored_text, "unet": lambda: unet(8)},
    ],
}
"""Configs of models next to their examples; what is a function is called."""


def _called(value: Any) -> Any:
    if callable(value):
        return value()
    return {k: _called(v) for k, v in value.items()} if isinstance(value, dict) else value


def _example(name: str) -> dict[str, Any]:
    return registry.load("models", name).example()[0].to_dict()


def _model(name: str, config: Callable[[], dict[str, Any]], share: float) -> Subject:
    def save(folder: Path) -> None:
        create_model(name, **config()).save_pretrained(folder)

    return Subject(save, GenModel.from_pretrained, share)


def _models() -> dict[str, Subject]:
    found = {}
    for name in registry.names("models"):
        if not registry.distribution_of("models", name)[0]:
            continue  # One that a test registers.
        filled = FILLED.get(name, [])
        share = 1 / (1 + len(filled))
        found[name] = _model(name, lambda n=name: _example(n), share)
        for i, values in enumerate(filled, start=1):
            found[f"{name}, filled {i}"] = _model(name, lambda v=values: _called(v), share)
    return found


# Pipelines of diffusers.

_PIPELINES = {
    "DDPMPipeline": Subject(hostile_foreign.save_sound, GenModel.from_pretrained, 0.35),
    "StableDiffusionPipeline": Subject(
        hostile_pipelines.save_sound, GenModel.from_pretrained, 0.35
    ),
}


# Text encoders of others.


def _clip_config() -> Any:
    from transformers import CLIPTextConfig

    more = {"intermediate_size": 16, "max_position_embeddings": 12, "vocab_size": 96}
    return CLIPTextConfig(**_SMALL, **more)


def encoder(kind: str) -> Any:
    """Return a small encoder of transformers."""
    import transformers

    if kind == "clip":
        return transformers.CLIPTextModel(_clip_config())
    if kind == "whole-clip":
        vision = transformers.CLIPVisionConfig(
            **_SMALL, intermediate_size=8, image_size=8, patch_size=4
        )
        both = {"text_config": _clip_config().to_dict(), "vision_config": vision.to_dict()}
        return transformers.CLIPModel(transformers.CLIPConfig(**both))
    if kind == "t5":
        sizes = {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2}
        return transformers.T5EncoderModel(transformers.T5Config(**sizes, vocab_size=96))
    more = {"intermediate_size": 16, "max_position_embeddings": 12, "vocab_size": 96}
    return transformers.BertModel(transformers.BertConfig(**_SMALL, **more))


def tokenizer(kind: str) -> Any:
    """Return a small tokenizer of transformers."""
    import transformers

    if "clip" in kind:
        letters = [letter + end for letter in string.ascii_lowercase for end in ("", "</w>")]
        names = [*letters, "ab", "<|startoftext|>", "<|endoftext|>"]
        vocab = {name: i for i, name in enumerate(names)}
        return transformers.CLIPTokenizerFast(vocab=vocab, merges=[("a", "b")])
    if kind == "bert":
        words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "a", "boot", "##s"]
        return transformers.BertTokenizerFast(vocab={word: i for i, word in enumerate(words)})
    pieces = ["<pad>", "</s>", "<unk>", "▁a", "▁boot", "▁", "s"]
    vocab = [(piece, -float(i)) for i, piece in enumerate(pieces)]
    return transformers.T5TokenizerFast(vocab=vocab, extra_ids=2)


def save_encoder(kind: str, folder: Path) -> None:
    """Write a sound encoder as transformers saves it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder(kind).save_pretrained(folder)
    tokenizer(kind).save_pretrained(folder)


def load_encoder(kind: str, folder: Path) -> torch.Tensor:
    """Return the states of two texts by a folder's encoder."""
    from genzoo_diffusion.pretrained_text import PretrainedTextConfig, load_folder

    given = {"component": HubComponent(**COMPONENT), "kind": kind.removeprefix("whole-")}
    encode = load_folder(folder, PretrainedTextConfig(**given, width=8, max_length=12))
    cpu = torch.device("cpu")
    return torch.stack([encode(text, cpu)[0] for text in ("a boot ab", "")])


def _encoder(kind: str) -> Subject:
    return Subject(
        lambda folder: save_encoder(kind, folder),
        lambda folder: load_encoder(kind, folder),
        share=0.35,
    )


# Image models of others.


def image_model(kind: str) -> Any:
    """Return a small image model of transformers."""
    import transformers

    patches = {**_SMALL, "image_size": 16, "patch_size": 8}
    stages = {"hidden_sizes": [8, 8], "depths": [1, 1]}
    if kind == "vit":
        config = transformers.ViTConfig(**patches, intermediate_size=16)
        return transformers.ViTModel(config)
    if kind == "deit":
        config = transformers.DeiTConfig(**patches, intermediate_size=16)
        return transformers.DeiTModel(config)
    if kind == "dinov2":
        return transformers.Dinov2Model(transformers.Dinov2Config(**patches))
    if kind == "clip_vision_model":
        config = transformers.CLIPVisionConfig(**patches, intermediate_size=16)
        return transformers.CLIPVisionModel(config)
    if kind == "convnext":
        return transformers.ConvNextModel(transformers.ConvNextConfig(**stages, num_stages=2))
    if kind == "convnextv2":
        config = transformers.ConvNextV2Config(**stages, num_stages=2)
        return transformers.ConvNextV2Model(config)
    sizes = {**stages, "embedding_size": 8, "layer_type": "basic"}
    return transformers.ResNetModel(transformers.ResNetConfig(**sizes))


PROCESSORS = {
    "vit": "ViT",
    "deit": "DeiT",
    "dinov2": "Bit",
    "clip_vision_model": "CLIP",
    "convnext": "ConvNext",
    "convnextv2": "ConvNext",
    "resnet": "ConvNext",
}


def save_image_model(kind: str, folder: Path) -> None:
    """Write a sound image model as transformers saves it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        image_model(kind).save_pretrained(folder)
    side = {"height": 16, "width": 16}
    family = PROCESSORS[kind]
    prepared = {
        "image_processor_type": f"{family}ImageProcessor",
        "do_resize": True,
        "size": side if family in ("ViT", "DeiT") else {"shortest_edge": 16},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    more = {"do_center_crop": True, "crop_size": side} if family in ("Bit", "CLIP", "DeiT") else {}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared | more))


def load_image(folder: Path) -> torch.Tensor:
    """Return the features of two images by a folder's model."""
    features, _ = load_image_model(str(folder), "cpu")
    with torch.no_grad():
        return features(torch.full((2, 3, 16, 16), 0.5))


def _image(kind: str) -> Subject:
    return Subject(lambda folder: save_image_model(kind, folder), load_image, share=0.1)


def subjects() -> dict[str, Subject]:
    """Return all subjects by name."""
    return {
        **_models(),
        **_PIPELINES,
        **{f"encoder {kind}": _encoder(kind) for kind in ENCODERS},
        **{f"images {kind}": _image(kind) for kind in IMAGES},
    }


def copied(sound: Path, folder: Path) -> Path:
    """Put a copy of a sound folder in a folder's place."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sound, folder)
    return folder
