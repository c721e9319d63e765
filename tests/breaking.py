"""Means to register models that are broken on purpose, and the list of them."""

import families
from families_common import drawn_by
from genzoo import Unit, registry
from likelihoods import log_prob_of

ANY = None
BROKEN = {}


def broken(check, says, also=()):
    """Note a function that registers a model which ``check`` must fail, saying ``says``."""

    def decorate(function):
        name = function.__name__.replace("_", "-")
        BROKEN[name] = (lambda: function(name), check, says, also)
        return function

    return decorate


def put(name, base=families.Linear, **methods):
    registry.register("models", name)(type("Broken", (base,), methods))


def put_with_loss(
    name, losses, base=families.LeastSquares, model=families.Linear, config=None, **methods
):
    """Register a model that learns by an objective of other losses, or of another config."""
    own = {"losses": losses, "Config": config or base.Config}
    registry.register("objectives", name)(type("Objective", (base,), own))
    put(
        name,
        model,
        default_stages=classmethod(lambda cls, config: families.stage(name)),
        **methods,
    )


def sampler(trajectory, base=families.Fixed):
    return drawn_by(type("Broken", (base,), {"trajectory": trajectory}))


def put_config(name, made, **methods):
    def example(cls):
        return made(event=Unit(shape=(3,))), {"x": families.rows(8, 3)}

    put(name, Config=made, example=classmethod(example), **methods)


def estimate(function, kind):
    """A log_prob of per-row figures."""

    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        self.check_rows(x)
        self.checked_condition(condition, len(x))
        return log_prob_of(function(self, x, generator, num_samples), kind)

    return log_prob
