"""The suite for pytest or unittest; this module can be imported without either."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from unittest import SkipTest

from genzoo.testing.cases import Case, CheckFailed
from genzoo.testing.checks import BY_CAPABILITY, CHECKS, Check, capability_of, checks_for
from genzoo.testing.running import (
    Outcome,
    case_of,
    demand_known,
    judged,
    never_exercised,
    run_check,
)

Excuses = Mapping[str, str]


def conformance(name: str, *, expected_failures: Excuses | None = None) -> Callable[[Any], Any]:
    """Make a test function one test for each check: a decorator, for pytest.

        @conformance("flow")
        def test_flow(check):
            check()

    The model is loaded when the tests run, not when they are collected. Checks for capabilities
    that the model lacks are skipped.

    Arguments:
        name: The model's registered name.
        expected_failures: The reasons of expected failures by check.
    """
    import pytest

    demand_known(expected_failures or {})
    runs = [functools.partial(run_one, check, name, expected_failures) for check in CHECKS]
    decorate: Callable[[Any], Any] = pytest.mark.parametrize(
        "check", runs, ids=[check.__name__ for check in CHECKS]
    )
    return decorate


def run_one(check: Check, name: str, expected_failures: Excuses | None = None) -> None:
    """Run one check on a registered model.

    Raises:
        CheckFailed: The model fails it.
        SkipTest: It is for a capability that the model lacks, or does not apply.
    """
    case = case_of(name)
    outcome = judged(_outcome(check, case), expected_failures or {})
    if outcome.status == "failed":
        raise CheckFailed(f"{outcome.check}: {outcome.message}")
    if outcome.status == "not applicable":
        raise SkipTest(outcome.message)


def _outcome(check: Check, case: Case) -> Outcome:
    """Return the outcome of a check; if it does not apply, run its capability's others."""
    if check not in checks_for(case.cls):
        said = f"{case.name} does not declare what {check.__name__} is for."
        return Outcome(check.__name__, "not applicable", said)
    outcome = run_check(check, case)
    capability = capability_of(check)
    if outcome.status != "not applicable" or capability is None:
        return outcome
    others = (run_check(other, case).status for other in BY_CAPABILITY[capability])
    idle = all(status == "not applicable" for status in others)
    return never_exercised(capability) if idle else outcome


class ModelSuite:
    """A test for each check; subclass it with a name that pytest collects.

        class TestFlow(ModelSuite):
            name = "flow"

    Class attributes:
        name: The model's registered name.
        expected_failures: The reasons of expected failures by check.
    """

    name: ClassVar[str]
    expected_failures: ClassVar[Excuses] = {}


def _test_of(check: Check) -> Callable[[ModelSuite], None]:
    def test(self: ModelSuite) -> None:
        demand_known(self.expected_failures)
        run_one(check, self.name, self.expected_failures)

    test.__name__, test.__doc__ = check.__name__.replace("check_", "test_", 1), check.__doc__
    return test


for _check in CHECKS:
    _made = _test_of(_check)
    setattr(ModelSuite, _made.__name__, _made)
