"""Every registered model, and a toy of every family, passes every check; no list kept by hand."""

import pytest

import families  # noqa: F401  Registers the toys.
from genzoo import registry
from genzoo.testing import CHECKS, Case


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", registry.names("models"))
def test_model_passes(name, check):
    check(Case(name, registry.load("models", name)))
