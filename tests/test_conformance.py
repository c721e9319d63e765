"""Every registered model, and a toy of every family, passes both tiers; no list kept by hand."""

import pytest

import families  # noqa: F401  Registers the toys.
from genzoo import registry
from genzoo.testing import Case, checks_for, run_check

CASES = [Case(name, registry.load("models", name)) for name in registry.names("models")]
PAIRS = [(case, check) for case in CASES for check in checks_for(case.cls)]


@pytest.mark.parametrize(
    ("case", "check"), PAIRS, ids=[f"{case.name}-{check.__name__}" for case, check in PAIRS]
)
def test_model_passes(case, check):
    outcome = run_check(check, case)
    assert outcome.status in ("passed", "not applicable"), outcome.message
