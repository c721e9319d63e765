"""The suite run over a model, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from genzoo import registry
from genzoo.errors import UnknownNameError
from genzoo.testing.cases import Case, CheckFailed, NotApplicable
from genzoo.testing.tiers import CHECKS, Check, capability_of, checks_for, declared

Status = Literal["passed", "failed", "excused", "not applicable"]


@dataclass(frozen=True)
class Outcome:
    """What came of one check.

    Arguments:
        check: Its name.
        status: "excused" is a failure that was expected, with its reason.
        message: What is wrong, why it is excused, or why there was nothing to look at.
    """

    check: str
    status: Status
    message: str = ""


def run_checks(
    name: str, *, expected_failures: Mapping[str, str] | None = None
) -> Iterator[Outcome]:
    """Run both tiers over a registered model, and yield what comes of each check.

    Arguments:
        name: The model's registered name.
        expected_failures: For a check's name, the reason why the model may fail it; a check that
            then passes is a failure too.

    Raises:
        UnknownNameError: There is no such model, or no such check in ``expected_failures``.
    """
    excuses = expected_failures or {}
    demand_known(excuses)
    case = Case(name, registry.load("models", name))
    asked: set[type | None] = set()
    for check in checks_for(case.cls):
        outcome = judged(run_check(check, case), excuses)
        if outcome.status != "not applicable":
            asked.add(capability_of(check))
        yield outcome
    for capability in declared(case.cls):
        if capability not in asked:
            yield _never(capability)


def check_model(name: str, *, expected_failures: Mapping[str, str] | None = None) -> None:
    """Run both tiers over a registered model.

    Arguments:
        name: The model's registered name.
        expected_failures: For a check's name, the reason why the model may fail it; a check that
            then passes is a failure too.

    Raises:
        CheckFailed: Checks fail; the message names each, and what is wrong.
        UnknownNameError: There is no such model, or no such check in ``expected_failures``.
    """
    outcomes = run_checks(name, expected_failures=expected_failures)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed:
        lines = [f"{outcome.check}: {outcome.message}" for outcome in failed]
        raise CheckFailed("\n".join(lines))


def run_check(check: Check, case: Case) -> Outcome:
    """Run one check; whatever the model raises is what is wrong with it."""
    title = check.__name__
    try:
        check(case)
    except NotApplicable as reason:
        return Outcome(title, "not applicable", str(reason))
    except CheckFailed as failure:
        return Outcome(title, "failed", str(failure))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
        return Outcome(title, "failed", f"{type(error).__name__}: {error}")
    return Outcome(title, "passed")


def judged(outcome: Outcome, excuses: Mapping[str, str]) -> Outcome:
    """Return an outcome in the light of the failures that are expected."""
    reason = excuses.get(outcome.check)
    if reason is None:
        return outcome
    if outcome.status == "failed":
        return Outcome(outcome.check, "excused", reason)
    said = f"{outcome.check} passes; take it off expected_failures (given: {reason})."
    return Outcome(outcome.check, "failed", said)


def _never(capability: type) -> Outcome:
    title = capability.__name__
    return Outcome(
        "check_capabilities",
        "failed",
        f"{title} is declared and never exercised: no check of it had anything to look at.",
    )


def demand_known(excuses: Mapping[str, str]) -> None:
    """Raise UnknownNameError where an expected failure is of no check there is."""
    titles = [check.__name__ for check in CHECKS]
    for check in excuses:
        if check not in titles:
            raise UnknownNameError("check", check, titles)
