"""How fast DDIM with guidance draws, compared with the loop of diffusers' pipeline.

A U-Net with cross-attention of two million parameters at 1 × 32 × 32, 50 steps, guidance 2, both
branches in one batch. diffusers has no pipeline of text-conditioned models of pixels; the nearest
is `StableDiffusionPipeline` without its autoencoder (`output_type="latent"`), given the same
U-Net, DDIM on the same times, the same noise, and the texts' states, which genzoo computes each
time. Samples of both are compared, too. Times are the processor's, of one thread.

Usage: python benchmarks/diffusion_sampling_speed.py [--rounds 5] [--num 4] [--steps 50]
"""

from __future__ import annotations

import argparse
import logging
import time
from typing import Any

import diffusers
import torch
from timing import circumstances, in_turn, ratio, say
from torch import Tensor

import genzoo
from genzoo_diffusion.samplers import DDIM, DDIMConfig

SHAPE, CHANNELS, GUIDANCE = (1, 32, 32), (32, 64, 80), 2.0
TEXT = "a photo of a sneaker"


def make_model() -> Any:
    """Return a model that has learned nothing."""
    torch.manual_seed(0)
    return genzoo.create_model(
        "ddpm",
        event=genzoo.Unit(shape=SHAPE),
        channels=CHANNELS,
        conditions={"text": genzoo.Text()},
        text={"vocabulary": ["a", "photo", "of", "sneaker"]},
    ).eval()


def make_pipeline(unet: Any) -> Any:
    """Return diffusers' pipeline around a U-Net."""
    scheduler = diffusers.DDIMScheduler(
        clip_sample=False, steps_offset=1, timestep_spacing="trailing"
    )
    pipeline = diffusers.StableDiffusionPipeline(
        vae=None,
        text_encoder=None,
        tokenizer=None,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def main() -> None:
    """Print seconds a draw, the ratio round by round, and how far the samples are apart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--num", type=int, default=4)
    parser.add_argument("--steps", type=int, default=50)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.ERROR)
    diffusers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    model = make_model()
    pipeline = make_pipeline(model.network.unet)
    sampler = DDIM(
        DDIMConfig(num_inference_steps=given.steps, guidance_scale=GUIDANCE, clip_sample=False)
    )
    noise = torch.randn(given.num, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        told = model.signal(TEXT, given.num).tokens
        nothing = model.embedder.null(given.num, model.device).tokens

    def ours() -> Tensor:
        return model.sample(given.num, condition=TEXT, sampler=sampler, seed=0)

    def theirs() -> Tensor:
        side = 8 * SHAPE[1]
        drawn = pipeline(
            prompt_embeds=told,
            negative_prompt_embeds=nothing,
            latents=noise,
            height=side,
            width=side,
            num_inference_steps=given.steps,
            guidance_scale=GUIDANCE,
            output_type="latent",
            return_dict=False,
        )[0]
        return model.to_data(drawn)

    seconds = in_turn({"genzoo": ours, "diffusers": theirs}, given.rounds, time.process_time)
    apart = (ours() - theirs()).abs().max().item()
    size = sum(p.numel() for p in model.network.parameters())
    say(
        circumstances(1),
        f"{size / 1e6:.2f} M parameters, {given.num} samples in {given.steps} steps, "
        f"{given.rounds} rounds; samples differ by {apart:.1e} at most",
    )
    for who, taken in seconds.items():
        say(f"{who}: {min(taken):.2f} s at best")
    say(f"genzoo takes {ratio(seconds, 'genzoo', 'diffusers')} times as long")


if __name__ == "__main__":
    main()
