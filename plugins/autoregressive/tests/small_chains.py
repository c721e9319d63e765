"""Small autoregressive models in float64, their probabilities by enumeration, and a χ² test."""

import torch

from genzoo import Binary, Categorical, Label, Real, Text, Unit, create_model

EVENTS = {
    "binary": Binary(shape=(1, 2, 3)),
    "channels": Binary(shape=(2, 2, 1)),
    "categorical": Categorical(shape=(4,), num_categories=3),
    "grey": Unit(shape=(1, 2, 2), levels=4),
}
ORDERS = {
    "raster": {},
    "random": {"order": "random", "order_seed": 3},
    "given": {"permutation": None},
}
SPACES = {
    "label": Label(num_classes=3),
    "mood": Real(shape=(2,)),
    "text": Text(templates=("a {label=cat|dog} here",)),
}
GIVEN = {"label": 2, "mood": [0.5, -1.0], "text": "a dog"}


def net(name="fvsbn", event="binary", *, std=1.0, seed=0, order="raster", **config):
    """Return a model whose weights are normal, so that its values depend on each other."""
    space = EVENTS.get(event, event)
    chosen = dict(ORDERS[order])
    if "permutation" in chosen:
        chosen["permutation"] = tuple(range(space.num_dims))[::-1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = create_model(name, event=space, **chosen, **config).double().eval()
        for parameter in model.parameters():
            parameter.data += std * torch.randn_like(parameter)
    return model


def rows_of(model):
    """Return all rows of a model's space, as the model computes with them."""
    return model.event.place(model.event.enumerate(), model.device, model.dtype)


@torch.no_grad()
def probabilities(model, condition=None):
    """Return p(x) of all rows, in their order."""
    return model.log_prob(rows_of(model), condition=condition).values.exp()


def numbers_of(model, x):
    """Return the index of each row among `rows_of`."""
    gaps = rows_of(model).flatten(1)[None] - x.flatten(1)[:, None]
    found = (gaps.abs() < 1e-6).all(-1)  # A third is rounded in float32.
    assert bool(found.any(1).all())
    return found.double().argmax(1)


def excess(numbers, p):
    """Return by how many standard deviations χ² of drawn numbers is above its mean."""
    expected = p * len(numbers)
    counts = torch.bincount(numbers, minlength=len(p)).double()
    rare = expected < 5
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    counts = torch.cat([counts[~rare], counts[rare].sum()[None]])
    there = expected > 0
    assert not bool(counts[~there].any())
    expected, counts = expected[there], counts[there]
    free = max(1, len(expected) - 1)
    return ((counts - expected).square() / expected).sum().sub(free).item() / (2 * free) ** 0.5
