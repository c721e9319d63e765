"""Defaults that follow from the data: sizes, and how models learn."""

from __future__ import annotations

from genzoo.plugin import Component, Space, Stage

_MOST_HIDDEN, _HIDDEN_PER_PLACE = 500, 4


def num_hidden(event: Space) -> int:
    """Return four hidden units for each place, at most 500 and at least 16."""
    return max(16, min(_MOST_HIDDEN, _HIDDEN_PER_PLACE * event.num_dims))


def hidden_dims(event: Space) -> tuple[int, ...]:
    """Return one hidden layer of as many units as `num_hidden` says."""
    return (num_hidden(event),)


def regressions() -> Stage:
    """Return maximum likelihood for regressions, whose learning rate falls to zero."""
    return _maximum_likelihood(lr=0.01, max_steps=4000)


def learning(event: Space) -> Stage:
    """Return maximum likelihood for networks with hidden units."""
    return _maximum_likelihood(lr=1e-3, max_steps=4000)


def image_learning(event: Space) -> Stage:
    """Return maximum likelihood for networks of images."""
    return _maximum_likelihood(lr=3e-3, max_steps=1600, batch_size=50)


def attention_learning(event: Space) -> Stage:
    """Return maximum likelihood for transformers."""
    return _maximum_likelihood(lr=3e-3, max_steps=1200, batch_size=50)


def _maximum_likelihood(lr: float, max_steps: int, batch_size: int = 100) -> Stage:
    return Stage(
        objective=Component(name="nll", config={"lr": lr}),
        trainer={"max_steps": max_steps, "batch_size": batch_size, "lr_scheduler": "linear"},
    )
