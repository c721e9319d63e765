"""The layout of models of codes: a `StableDiffusionPipeline`, or the parts of one."""

from __future__ import annotations

from typing import Any

from genzoo.plugin import Label, Layout
from genzoo_diffusion.autoencoder_kl import AutoencoderKL
from genzoo_diffusion.code_states import CodeStates
from genzoo_diffusion.conditioning import named
from genzoo_diffusion.dependencies import diffusers
from genzoo_diffusion.diffusers_layout import (
    has_unet,
    joined,
    marker_layout,
    noise_of,
    scheduler_of,
    text_layout,
    unet_layout,
    vae_layout,
)
from genzoo_diffusion.diffusion import Diffusion
from genzoo_diffusion.stored_text import StoredTextEncoder

_NONE = [None, None]


def latent_layout(model: CodeStates) -> Layout:
    """Return the layout of a whole `StableDiffusionPipeline`, if the model is one.

    It is one if it is a diffusion, the data are images in [0, 1], the autoencoder is an
    `autoencoder-kl`, and the only condition is a text whose encoder is stored with the model; else
    only the common parts are stored this way. s is the autoencoder's ``scaling_factor``, and also
    a tensor of the model if it was measured.
    """
    parts = joined(_autoencoder(model), _denoiser(model))
    return joined(parts, _marker(model)) if _is_whole(model, parts) else parts


def ddim_of(model: Diffusion) -> Any:
    """Return the `DDIMScheduler` with the steps of genzoo's DDIM, if they divide T."""
    # A pipeline warns of another offset, which has no effect on trailing times.
    options = {"clip_sample": False, "set_alpha_to_one": True, "steps_offset": 1}
    return diffusers().DDIMScheduler(**noise_of(model), **options)


def _autoencoder(model: CodeStates) -> Layout:
    if not isinstance(model.autoencoder, AutoencoderKL):
        return Layout()
    scale = model.latent_scale.item() if model.known_scale is None else model.known_scale
    return vae_layout(model.autoencoder.vae, "autoencoder.vae.", scaling_factor=scale)


def _denoiser(model: CodeStates) -> Layout:
    if not has_unet(model):
        return Layout()
    if isinstance(model, Diffusion) and model.config.prediction_type != "edm":
        scheduler = ddim_of(model)
    else:
        scheduler = scheduler_of(model)
    return joined(unet_layout(model, scheduler), text_layout(model))


def _is_whole(model: CodeStates, parts: Layout) -> bool:
    folders = {path.partition("/")[0] for path in parts.weights}
    bounded = isinstance(model.autoencoder, AutoencoderKL) and model.autoencoder.is_bounded
    of_text_alone = named(model.conditions, Label) is None
    diffusion = isinstance(model, Diffusion)
    return diffusion and folders == {"unet", "vae", "text_encoder"} and bounded and of_text_alone


def _marker(model: CodeStates) -> Layout:
    encoder = getattr(model.embedder, "encoder", None)
    own = isinstance(encoder, StoredTextEncoder)
    is_edm = model.config.prediction_type == "edm"
    scheduler = "EDMEulerScheduler" if is_edm else "DDIMScheduler"
    parts = {
        "feature_extractor": _NONE,
        "image_encoder": _NONE,
        "requires_safety_checker": False,
        "safety_checker": _NONE,
        "scheduler": ["diffusers", scheduler],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer" if own else "PreTrainedTokenizerFast"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    return marker_layout("StableDiffusionPipeline", parts)
