"""Defaults that follow from the data: sizes, and how models learn."""

from __future__ import annotations

from genzoo.plugin import Component, Stage


def regressions() -> Stage:
    """Return maximum likelihood for regressions, whose learning rate falls to zero."""
    return Stage(
        objective=Component(name="nll", config={"lr": 0.01}),
        trainer={"max_steps": 4000, "batch_size": 100, "lr_scheduler": "linear"},
    )
