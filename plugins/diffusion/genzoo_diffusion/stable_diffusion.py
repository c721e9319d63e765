"""A `StableDiffusionPipeline` of diffusers as a `latent-ddpm`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genzoo.plugin import ConfigFileError, TranslatedModel, shown
from genzoo_diffusion.diffusers_schedulers import OF_NOISE, SCHEDULER, noise
from genzoo_diffusion.diffusers_text import (
    TEXT_ENCODER,
    TEXT_WEIGHTS,
    TOKENIZER,
    TOKENIZER_TEXTS,
    stored_text,
)
from genzoo_diffusion.pipelines import Pipeline, fields, image_shape, unit_space

UNET, VAE = "unet/config.json", "vae/config.json"
WEIGHTS = {
    "unet/diffusion_pytorch_model.safetensors": "network.unet.",
    TEXT_WEIGHTS: "embedder.encoder.clip.",
    "vae/diffusion_pytorch_model.safetensors": "autoencoder.vae.",
}
PARTS = {
    "unet": ("diffusers", ("UNet2DConditionModel",)),
    "scheduler": ("diffusers", OF_NOISE),
    "text_encoder": ("transformers", ("CLIPTextModel",)),
    "tokenizer": ("transformers", ("CLIPTokenizer", "CLIPTokenizerFast")),
    "vae": ("diffusers", ("AutoencoderKL",)),
}
REFUSED = {
    "safety_checker": (
        "It replaces pictures that it considers harmful. genzoo does not support it, and does not "
        "ignore it silently: save the pipeline with safety_checker=None to do without it."
    ),
    "image_encoder": "Images as conditions are not supported.",
}
_MOST_LEVELS = 16
UNUSED = ("feature_extractor",)
"""It prepares images only for the safety checker and the image encoder."""


def denoiser(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a latent diffusion: network, noise and texts.

    Raises:
        ConfigFileError: The kind of a part is not supported.
    """
    return {
        "network": "image",
        "conditions": {"text": {"name": "text"}},
        "unet": fields(found[UNET]),
        "stored_text": stored_text(found),
        **noise(found[SCHEDULER]),
    }


def latent_shape(found: Mapping[str, Any]) -> list[Any]:
    """Return the shape (C, H, W) of the codes."""
    return image_shape(UNET, found[UNET])


def autoencoder(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an `autoencoder-kl`, for the images of the codes.

    Raises:
        ConfigFileError: Its levels are missing.
    """
    vae, (_, *sides) = fields(found[VAE]), latent_shape(found)
    widths = vae.get("block_out_channels")
    if not isinstance(widths, list) or len(widths) > _MOST_LEVELS:
        raise ConfigFileError(f"{VAE}: block_out_channels cannot be {shown(widths)}.")
    if not all(type(side) is int for side in sides):
        raise ConfigFileError(f"{UNET}: sample_size cannot be {shown(sides)}.")
    larger = [side * 2 ** (len(widths) - 1) for side in sides]
    return {"event": unit_space([vae.get("in_channels"), *larger]), "autoencoder": vae}


def translate(found: Mapping[str, Any]) -> TranslatedModel:
    """Return the pipeline as a model of images given texts.

    Raises:
        ConfigFileError: The kind of a part is not supported.
    """
    config = {
        "autoencoder": {"name": "autoencoder-kl", "config": autoencoder(found)},
        "latent_shape": latent_shape(found),
        "known_scale": found[VAE].get("scaling_factor"),
        **denoiser(found),
    }
    if config["known_scale"] is None:
        raise ConfigFileError(f"{VAE}: scaling_factor is missing. Save the pipeline again.")
    return TranslatedModel(model="latent-ddpm", config=config, weights=WEIGHTS)


STABLE_DIFFUSION = Pipeline(
    parts=PARTS,
    configs=(UNET, SCHEDULER, TEXT_ENCODER, TOKENIZER, VAE),
    texts=TOKENIZER_TEXTS,
    translate=translate,
    refused=REFUSED,
    unused=UNUSED,
)
