"""Defaults of discrete diffusion that follow from the data: the network, and training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from genzoo.plugin import Component, Space, Stage

_MOST_TOKENS = 64


def suited(event: Space, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a model for data of a space, without those that are given.

    Every place is a token of a transformer; of images with more than 64 places, a square patch of
    them is, so that attention to all tokens stays cheap.

    Arguments:
        event: The space of the data.
        given: Fields of the config that the user sets.
    """
    shape = event.event_shape
    fields: dict[str, Any] = {}
    if given.get("network", "transformer") == "transformer" and len(shape) == 3:
        fields["patch_size"] = patch_size(shape)
    return {name: value for name, value in fields.items() if name not in given}


def patch_size(shape: tuple[int, ...]) -> int:
    """Return the smallest side that divides an image (C, H, W) into at most 64 patches.

    >>> patch_size((1, 28, 28)), patch_size((1, 8, 8)), patch_size((3, 31, 31))
    (4, 1, 31)
    """
    height, width = shape[1:]
    sides = [p for p in range(1, min(height, width) + 1) if height % p == width % p == 0]
    few = [p for p in sides if (height // p) * (width // p) <= _MOST_TOKENS]
    return few[0] if few else math.gcd(height, width)


def learning(config: Any) -> Stage:
    """Return training by the bound of the model's time."""
    name = "continuous-time-bound" if config.num_timesteps is None else "discrete-time-bound"
    return Stage(
        objective=Component(name=name, config={"lr": 2e-3}),
        trainer={
            "max_steps": 4_000,
            "batch_size": 64,
            "warmup_steps": 100,
            "lr_scheduler": "cosine",
            "max_grad_norm": 1.0,
            "ema_decay": 0.995,
        },
    )
