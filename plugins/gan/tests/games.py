"""Small games in float64, and a critic that is trained to convergence."""

import torch

from genzoo import Real, create_model, registry
from genzoo.plugin import Step

GAMES = ["hinge", "least-squares", "minimax", "non-saturating", "unrolled"]
GAMES += ["wasserstein", "wasserstein-gp"]


def made(name, seed=0, **config):
    """Return a seeded model, in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_model(name, **config).double()


MODELS = ["bigan", "conditional-gan", "gan"]
"""Which play against a critic; a semi-supervised GAN has a game of its own."""


def example(name, seed=0, **config):
    """Return the model of a class's example, in float64, and its batch."""
    cls = registry.load("models", name)
    found, batch = cls.example()
    model = made(name, seed, **{**found.to_dict(), **config})
    return model, {k: v.double() if v.is_floating_point() else v for k, v in batch.items()}


def gan(**config):
    given = {"event": Real(shape=(3,)), "latent_dim": 2, "hidden_dims": (6,), **config}
    return made("gan", **given)


def game(name, model, seed=0, **config):
    """Return a seeded objective, in the model's type."""
    cls = registry.load("objectives", name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(model, cls.Config.from_dict(config)).to(model.dtype)


def step(index=0, total=1000, slot=0, seed=1):
    return Step(index, total, slot, torch.Generator().manual_seed(seed))


def rows(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def quantiles(num, mean=0.0, deviation=1.0):
    """Return values of a normal distribution equally spaced in probability, (num, 1)."""
    p = (torch.arange(num).double() + 0.5) / num
    return (mean + deviation * torch.special.ndtri(p))[:, None]


def converge(critic, loss, rounds=10):
    """Lower ``loss()`` by the critic's parameters until nothing changes, and return it."""
    optimizer = torch.optim.LBFGS(
        critic.parameters(), max_iter=100, line_search_fn="strong_wolfe", tolerance_change=1e-12
    )

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    for _ in range(rounds):
        optimizer.step(closure)
    return loss().item()
