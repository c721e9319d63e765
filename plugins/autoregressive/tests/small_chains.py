"""Small autoregressive models in float64, their probabilities by enumeration, and a χ² test."""

import torch

from genzoo import Binary, Categorical, Label, Real, Text, Unit, create_model

EVENTS = {
    "binary": Binary(shape=(1, 2, 3)),
    "channels": Binary(shape=(2, 2, 1)),
    "categorical": Categorical(shape=(1, 2, 2), num_categories=3),
    "grey": Unit(shape=(1, 2, 2), levels=4),
}
MODELS = {
    "fvsbn": {},
    "made": {"hidden_dims": (8, 7)},
    "nade": {"hidden_dim": 5},
    "pixelcnn": {"hidden_channels": 8, "num_layers": 3, "first_kernel_size": 3},
    "pixelrnn": {"layer": "diagonal", "hidden_channels": 6, "first_kernel_size": 3},
    "transformer": {"hidden_dim": 8, "num_layers": 2, "num_heads": 2},
}
PIXELS = ("pixelcnn", "pixelrnn")
"""Models that read images in raster order alone."""
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


def net(name="fvsbn", event="binary", *, std=None, seed=0, order="raster", **config):
    """Return a model whose weights are normal, so that its values depend on each other."""
    space = EVENTS[event] if isinstance(event, str) else event
    chosen = {} if name in PIXELS else dict(ORDERS[order])
    if "permutation" in chosen:
        chosen["permutation"] = tuple(range(space.num_dims))[::-1]
    if std is None:
        std = 0.5 if name in PIXELS else 1.0  # Gates of larger sums are 0 or 1.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = create_model(name, event=space, **chosen, **config).double().eval()
        for parameter in model.parameters():
            parameter.data += std * torch.randn_like(parameter)
    return model


def rows_of(model):
    """Return all rows of a model's space, as the model computes with them."""
    return model.event.place(model.event.enumerate(), model.device, model.dtype)


def dependence(model):
    """Return which places depend on which, (D, D) bool, both in the order of the first chain."""
    x = torch.rand(32, model.num_places, dtype=torch.float64)  # Units may be off for one row.
    chain = model.chains()[0]
    slopes = torch.autograd.functional.jacobian(lambda x: chain.parameters(x, None).sum(0), x)
    found = slopes.ne(0).flatten(1, 1).any(1).any(1)
    return found[chain.order][:, chain.order]


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
