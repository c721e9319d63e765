"""Models of 2 × 2 pixels whose latents can be summed over."""

import torch

from genzoo import Binary, create_model
from genzoo_vae import enumeration
from genzoo_vae.posteriors.proposal import Recognised, Rows

EVENT = Binary(shape=(1, 2, 2))
EVERY = torch.cartesian_prod(*[torch.arange(2.0)] * 4).double().view(-1, 1, 2, 2)
"""All rows."""
X = torch.tensor([[1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 1]]).double().view(3, 1, 2, 2)
MODELS = {
    "sbn": ("sbn", {"hidden_dims": (3,)}),
    "deep sbn": ("sbn", {"hidden_dims": (2, 2)}),
    "autoregressive sbn": ("sbn", {"hidden_dims": (2, 2), "autoregressive": True}),
    "bits": ("discrete-vae", {"latent_dim": 3, "hidden_dims": (4,)}),
    "categories": ("discrete-vae", {"latent_dim": 2, "num_categories": 3, "hidden_dims": (4,)}),
    "bits with made": (
        "discrete-vae",
        {"latent_dim": 3, "hidden_dims": (4,), "prior": {"name": "made"}},
    ),
}


def made(name, seed=0, **config):
    """Return a model of 2 × 2 pixels with large weights, in float64."""
    model, given = MODELS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = create_model(model, event=EVENT, **{**given, **config}).double()
        for parameter in found.parameters():
            parameter.data.normal_(std=1.0)
    return found


def exact_bound(model, aggregate, num_samples, rows=None, proposal=None):
    """Return E[F] of K draws, (B,), by the sum over all values of K draws."""
    rows = rows or Rows(X)
    proposal = proposal or Recognised(model, rows)
    z = enumeration.states(model, len(rows.x))
    log_q = enumeration.log_q(proposal, z)
    log_w = enumeration.log_joint(model, rows, z) - log_q
    choice = torch.cartesian_prod(*[torch.arange(len(log_q))] * num_samples).view(-1, num_samples)
    p = log_q[choice].sum(1).exp()  # (S^K, B)
    return (p * aggregate.value(log_w[choice].transpose(0, 1))).sum(0)
