"""A `DDPMPipeline` of diffusers as a `ddpm`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genzoo.plugin import TranslatedModel
from genzoo_diffusion.diffusers_schedulers import SCHEDULER, chain
from genzoo_diffusion.pipelines import Pipeline, fields, image_shape, unit_space

UNET = "unet/config.json"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


def translate(found: Mapping[str, Any]) -> TranslatedModel:
    """Return the pipeline's U-Net and chain as a model.

    Raises:
        ConfigFileError: Their kind is not supported.
    """
    unet = fields(found[UNET])
    config = {
        "event": unit_space(image_shape(UNET, unet)),
        "network": "image",
        "unet": unet,
        **chain(found[SCHEDULER]),
    }
    return TranslatedModel(model="ddpm", config=config, weights={WEIGHTS: "network.unet."})


DDPM_PIPELINE = Pipeline(
    parts={
        "unet": ("diffusers", ("UNet2DModel",)),
        "scheduler": ("diffusers", ("DDPMScheduler",)),
    },
    configs=(UNET, SCHEDULER),
    translate=translate,
)
