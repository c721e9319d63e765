"""Every registered model, and a toy of every family, passes both tiers; no list kept by hand."""

import contextlib
from unittest import SkipTest

import pytest

import families  # noqa: F401  Registers the toys.
from genzoo import registry
from genzoo.testing import checks_for, manners
from genzoo.testing.suites import run_one

MODELS = {name: registry.load("models", name) for name in registry.names("models")}
INSTALLED = [entry for entry in registry.entries("models") if entry.distribution]


def modules(entry):
    """Return what `check_import` imports for a model: all that its package registers."""
    return frozenset(manners._modules(entry.target.partition(":")[0], entry))


IMPORTING = {modules(entry): entry.name for entry in INSTALLED}.values()
"""One model of each package: for another one the same modules would be imported again."""
OTHERS = {entry.name for entry in INSTALLED} - set(IMPORTING)
PAIRS = [
    (name, check)
    for name, cls in MODELS.items()
    for check in checks_for(cls)
    if check is not manners.check_import or name not in OTHERS
]


@pytest.mark.parametrize(
    ("name", "check"), PAIRS, ids=[f"{name}-{check.__name__}" for name, check in PAIRS]
)
def test_model_passes(name, check):
    with contextlib.suppress(SkipTest):
        run_one(check, name)


def test_every_model_of_ours_is_among_them():
    assert {entry.name for entry in INSTALLED} <= MODELS.keys()


def test_every_models_module_is_imported_alone_by_the_check_of_some_model():
    checked = {name for name, check in PAIRS if check is manners.check_import}
    imported = [modules(entry) for entry in INSTALLED if entry.name in checked]
    for entry in INSTALLED:
        assert any(modules(entry) == found for found in imported), entry.name
    assert {MODELS[entry.name].__module__ for entry in INSTALLED} <= frozenset().union(*imported)
