"""Every registered model, and a toy of every family, passes both tiers; no list kept by hand.

Of each model `make test` runs the tier that is for all and the checks of the likelihood; a check
for another capability it runs for one model of each family. `make test-all` runs them all.
"""

import contextlib
from unittest import SkipTest

import pytest

import families  # noqa: F401  Registers the toys.
import stacks  # noqa: F401  Registers one more.
from genzoo import registry
from genzoo.capabilities import SupportsLogProb
from genzoo.testing import checks_for, side_effects
from genzoo.testing.checks import capability_of
from genzoo.testing.suites import run_one

MODELS = {name: registry.load("models", name) for name in registry.names("models")}
INSTALLED = [entry for entry in registry.entries("models") if entry.distribution]
OURS = {entry.name for entry in INSTALLED}


def modules(entry):
    """Return what `check_import` imports for a model: all that its package registers."""
    return frozenset(side_effects._modules(entry.target.partition(":")[0], entry))


IMPORTING = {modules(entry): entry.name for entry in INSTALLED}.values()
"""One model of each package: for another one the same modules would be imported again."""
OTHERS = OURS - set(IMPORTING)
PAIRS = [
    (name, check)
    for name, cls in MODELS.items()
    for check in checks_for(cls)
    if check is not side_effects.check_import or name not in OTHERS
]


def family(name):
    """Return what a model is one of: its package's models; a toy stands for itself."""
    return MODELS[name].__module__.partition(".")[0] if name in OURS else name


def marks(name, check):
    """Return the mark of a check for which another model of the family stands in `make test`."""
    if capability_of(check) in (None, SupportsLogProb):
        return ()
    first = next(other for other, its in PAIRS if its is check and family(other) == family(name))
    return () if name == first else pytest.mark.full


@pytest.mark.parametrize(
    ("name", "check"),
    [
        pytest.param(name, check, id=f"{name}-{check.__name__}", marks=marks(name, check))
        for name, check in PAIRS
    ],
)
def test_model_passes(name, check):
    with contextlib.suppress(SkipTest):
        run_one(check, name)


def test_every_model_of_ours_is_among_them():
    assert MODELS.keys() >= OURS


def test_every_models_module_is_imported_alone_by_the_check_of_some_model():
    checked = {name for name, check in PAIRS if check is side_effects.check_import}
    imported = [modules(entry) for entry in INSTALLED if entry.name in checked]
    for entry in INSTALLED:
        assert any(modules(entry) == found for found in imported), entry.name
    assert {MODELS[entry.name].__module__ for entry in INSTALLED} <= frozenset().union(*imported)
