"""The parts of a `StableDiffusionPipeline` in the terms of the zoo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genzoo_diffusion.diffusers_schedulers import OF_NOISE, SCHEDULER, noise
from genzoo_diffusion.diffusers_text import TEXT_ENCODER, TOKENIZER, TOKENIZER_TEXTS, stored_text
from genzoo_diffusion.pipelines import fields, image_shape

UNET, VAE = "unet/config.json", "vae/config.json"
CONFIGS = (UNET, SCHEDULER, TEXT_ENCODER, TOKENIZER, VAE)
TEXTS = TOKENIZER_TEXTS
PARTS = {
    "unet": ("diffusers", ("UNet2DConditionModel",)),
    "scheduler": ("diffusers", OF_NOISE),
    "text_encoder": ("transformers", ("CLIPTextModel",)),
    "tokenizer": ("transformers", ("CLIPTokenizer", "CLIPTokenizerFast")),
    "vae": ("diffusers", ("AutoencoderKL",)),
}
REFUSED = {
    "safety_checker": (
        "It blackens pictures that it takes for harmful. Nothing here does, and it is not left "
        "out without your saying so: save the pipeline with safety_checker=None to go without it."
    ),
    "image_encoder": "Conditions that are pictures are not supported.",
}
UNUSED = ("feature_extractor",)
"""It prepares pictures for the safety checker and for the image encoder alone."""


def denoiser(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a diffusion over latents: its network, its noise and its texts.

    Raises:
        ConfigFileError: A part is of a kind that is not supported.
    """
    return {
        "network": "image",
        "condition": "text",
        "unet": fields(found[UNET]),
        "stored_text": stored_text(found),
        **noise(found[SCHEDULER]),
    }


def latent_shape(found: Mapping[str, Any]) -> list[Any]:
    """Return the (C, H, W) of what is denoised."""
    return image_shape(UNET, found[UNET])


def autoencoder(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of diffusers' `AutoencoderKL`, its ``scaling_factor`` among them."""
    return fields(found[VAE])
