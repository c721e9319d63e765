"""Small VAEs, and rows for them."""

import torch

from genzoo import Binary, Label, Real, create_model

REAL = {"event": Real(shape=(1, 3, 3))}


def vae(seed=0, **config):
    """Return a seeded VAE of 3 × 3 pixels, of zeros and ones by default."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        given = {"event": Binary(shape=(1, 3, 3)), "latent_dim": 2, "hidden_dims": (6,), **config}
        return create_model("vae", **given)


def labelled(**config):
    """Return one that is given one of three labels."""
    return vae(conditions={"label": Label(num_classes=3)}, **config)


def bits(num, *shape, seed=0):
    """Return zeros and ones, (num, *shape)."""
    return torch.rand(num, *shape, generator=torch.Generator().manual_seed(seed)).round()
