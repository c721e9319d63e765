"""Small diffusion models."""

import torch

from genzoo import Label, Real, Unit, create_model

IMAGE = {"event": Unit(shape=(1, 4, 4)), "channels": (8, 8)}
FLAT = {"event": Real(shape=(3,)), "hidden_dim": 8, "num_blocks": 2}
LABELS = {"label": Label(num_classes=3)}


def model(shape=FLAT, seed=0, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        given = {"num_train_timesteps": 20, "schedule": "cosine", **shape, **config}
        return create_model("ddpm", **given)


def labelled(shape=FLAT, **config):
    return model(shape, conditions=LABELS, **config)


def states(num, like, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, *like.event_shape, generator=generator, dtype=like.dtype)
