"""Layouts that diffusers and transformers can load."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genzoo.plugin import Layout
from genzoo_diffusion.ddpm_pipeline import UNET, WEIGHTS
from genzoo_diffusion.dependencies import diffusers, transformers
from genzoo_diffusion.diffusers_schedulers import SCHEDULER
from genzoo_diffusion.diffusion import Diffusion
from genzoo_diffusion.fitted_text import END, PAD, START, FittedTextEncoder
from genzoo_diffusion.flow import Flow
from genzoo_diffusion.gaussian_path import GaussianPath
from genzoo_diffusion.pipelines import MARKER
from genzoo_diffusion.stored_text import StoredTextEncoder

_UNET_PREFIX, _TEXT_PREFIX = "network.unet.", "embedder.encoder.clip."
_TEXT, _TEXT_WEIGHTS = "text_encoder/config.json", "text_encoder/model.safetensors"
_VAE, _VAE_WEIGHTS = "vae/config.json", "vae/diffusion_pytorch_model.safetensors"
_TOKENIZER = "tokenizer"
_SCHEDULES: dict[str, Mapping[str, Any]] = {
    "linear": {"beta_schedule": "linear"},
    "scaled-linear": {"beta_schedule": "scaled_linear"},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "zero-terminal-snr": {"beta_schedule": "linear", "rescale_betas_zero_snr": True},
}


def layout_of(model: GaussianPath) -> Layout:
    """Return the layout of a model's parts; the plain layout if its network is not diffusers'.

    A U-Net is stored in ``unet/`` with a scheduler in ``scheduler/``, and a text encoder that
    belongs to the model in ``text_encoder/`` with its tokenizer in ``tokenizer/``. Frozen encoders
    that are published elsewhere are not stored.
    """
    if not has_unet(model):
        return Layout()
    return joined(unet_layout(model, scheduler_of(model)), text_layout(model))


def has_unet(model: GaussianPath) -> bool:
    """Whether the network is a U-Net of diffusers, whose output diffusers' schedulers take."""
    velocity = not isinstance(model, Flow) or model.config.prediction_type == "flow_prediction"
    return model.config.network == "image" and velocity


def pipeline_layout(model: Diffusion) -> Layout:
    """Return the layout of a whole `DDPMPipeline`, if the model is one, else of its parts.

    It is one if the data are images in [0, 1] and the U-Net is unconditional. Such a pipeline does
    not scale the U-Net's input, as EDM does.
    """
    parts = layout_of(model)
    of_ddpm = model.config.prediction_type != "edm"
    if not parts.weights or model.conditions or not model.is_bounded or not of_ddpm:
        return parts
    classes = {
        "scheduler": ["diffusers", "DDPMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    }
    return joined(parts, marker_layout("DDPMPipeline", classes))


def marker_layout(name: str, parts: Mapping[str, Any]) -> Layout:
    """Return the layout of a pipeline: its model_index.json and its parts."""
    marker = {"_class_name": name, "_diffusers_version": diffusers().__version__, **parts}
    return Layout(files={MARKER: json.dumps(marker, indent=2) + "\n"})


def joined(*layouts: Layout) -> Layout:
    """Return the union of several layouts."""
    weights = {path: prefix for one in layouts for path, prefix in one.weights.items()}
    return Layout(weights=weights, files={k: v for one in layouts for k, v in one.files.items()})


def unet_layout(model: GaussianPath, scheduler: Any) -> Layout:
    """Return the layout of a model's U-Net and of a scheduler."""
    network: Any = model.network
    files = {UNET: network.unet.to_json_string(), SCHEDULER: scheduler.to_json_string()}
    return Layout(weights={WEIGHTS: _UNET_PREFIX}, files=files)


def vae_layout(vae: Any, prefix: str, **said: Any) -> Layout:
    """Return the layout of an `AutoencoderKL` of diffusers.

    Arguments:
        vae: The network.
        prefix: The prefix of the names of its tensors in the model.
        said: Fields that override its config.
    """
    config = json.loads(vae.to_json_string()) | said
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    return Layout(weights={_VAE_WEIGHTS: prefix}, files={_VAE: text})


def text_layout(model: GaussianPath) -> Layout:
    """Return the layout of a text encoder that is stored with the model; plain if there is none.

    The tokenizer is a fast one for other libraries; genzoo builds its own from the config.
    """
    encoder = getattr(model.embedder, "encoder", None)
    if not isinstance(encoder, (FittedTextEncoder, StoredTextEncoder)):
        return Layout()
    config = json.loads(encoder.clip.config.to_json_string())
    config |= {"architectures": ["CLIPTextModel"], "dtype": str(model.dtype).split(".")[1]}
    files = {_TEXT: json.dumps(config, indent=2, sort_keys=True) + "\n"}
    return Layout(weights={_TEXT_WEIGHTS: _TEXT_PREFIX}, files=files | _tokenizer_files(encoder))


def scheduler_of(model: GaussianPath) -> Any:
    """Return a model's `DDPMScheduler`, `EDMEulerScheduler` or `FlowMatchEulerDiscreteScheduler`.

    The ᾱ of a chain are the model's in float32; 1 − ᾱ is accurate to three digits at the first
    times.
    """
    if not isinstance(model, Diffusion):
        times = model.config.num_train_timesteps
        return diffusers().FlowMatchEulerDiscreteScheduler(num_train_timesteps=times)
    if model.config.prediction_type == "edm":
        return edm_of(model)
    chain = {"variance_type": model.config.variance_type, "clip_sample": model.is_bounded}
    return diffusers().DDPMScheduler(**noise_of(model), **chain)


def edm_of(model: Diffusion) -> Any:
    """Return the `EDMEulerScheduler` of a model that predicts EDM's F.

    Its S steps have the σ of "karras" from the schedule's largest to its least one, whatever the
    schedule is: F is a function of σ. Its name for a prediction with our sign is "epsilon".
    """
    config, log_sigma = model.config, model.schedule.log_sigma
    ends = config.sigma_min, config.sigma_max
    if config.schedule != "karras":
        ends = log_sigma[0].exp().item(), log_sigma[-1].exp().item()
    return diffusers().EDMEulerScheduler(
        sigma_min=ends[0],
        sigma_max=ends[1],
        sigma_data=config.sigma_data,
        num_train_timesteps=config.num_train_timesteps,
        prediction_type="epsilon",
        rho=config.rho,
    )


def noise_of(model: Diffusion) -> dict[str, Any]:
    """Return the fields of diffusers' schedulers for a model's noise and the samplers' times."""
    config, name = model.config, model.config.schedule
    # diffusers has no schedule of this kind for chains, but takes any β.
    if name == "karras":
        noise: Mapping[str, Any] = {"trained_betas": model.schedule.beta.tolist()}
    else:
        noise = _SCHEDULES[name]
    return {
        "num_train_timesteps": config.num_train_timesteps,
        "beta_start": config.beta_start,
        "beta_end": config.beta_end,
        "prediction_type": config.prediction_type,
        "timestep_spacing": "trailing",
        **noise,
    }


def _tokenizer_files(encoder: FittedTextEncoder | StoredTextEncoder) -> dict[str, str]:
    """Return the files of an encoder's tokenizer, as transformers saves it."""
    tokenizer = _fast(encoder) if isinstance(encoder, FittedTextEncoder) else encoder.tokenizer
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        paths = sorted(Path(folder).iterdir())
        return {f"{_TOKENIZER}/{path.name}": path.read_text("utf-8") for path in paths}


def _fast(encoder: FittedTextEncoder) -> Any:
    """Return a tokenizer of transformers that pads to the encoder's length."""
    return transformers().PreTrainedTokenizerFast(
        tokenizer_object=encoder.tokenizer,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        model_max_length=encoder.max_length,
        split_special_tokens=True,
    )
