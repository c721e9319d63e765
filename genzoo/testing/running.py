"""Running the suite on a model, with its outcomes; and running a command of genzoo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

from genzoo import registry
from genzoo.errors import ConfigError, GenzooError, UnknownNameError
from genzoo.testing.cases import Case, CheckFailed, NotApplicable
from genzoo.testing.checks import CHECKS, Check, capability_of, checks_for, declared
from genzoo.testing.side_effects import minding_manners

Status = Literal["passed", "failed", "excused", "not applicable"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a check.

    Arguments:
        check: Its name.
        status: "excused" is an expected failure.
        message: The failure, the reason of an excuse, or why the check does not apply.
    """

    check: str
    status: Status
    message: str = ""


def run_checks(
    name: str, *, expected_failures: Mapping[str, str] | None = None
) -> Iterator[Outcome]:
    """Run both tiers on a registered model, and yield the outcome of each check.

    Arguments:
        name: The model's registered name.
        expected_failures: The reasons of expected failures by check; if such a check passes, that
            is a failure too.

    Raises:
        ConfigError: An expected failure has no reason.
        UnknownNameError: The model, or a check in ``expected_failures``, does not exist.
    """
    excuses = expected_failures or {}
    demand_known(excuses)
    try:
        case = case_of(name)
    except CheckFailed as failure:
        yield Outcome("check_import", "failed", str(failure))
        return
    asked: set[type | None] = set()
    for check in checks_for(case.cls):
        outcome = judged(run_check(check, case), excuses)
        if outcome.status != "not applicable":
            asked.add(capability_of(check))
        yield outcome
    for capability in declared(case.cls):
        if capability not in asked:
            yield never_exercised(capability)
    for check in CHECKS:
        if check not in checks_for(case.cls) and check.__name__ in excuses:
            yield judged(Outcome(check.__name__, "not applicable"), excuses)


def check_model(name: str, *, expected_failures: Mapping[str, str] | None = None) -> None:
    """Run both tiers on a registered model; the arguments are those of `run_checks`.

    Raises:
        CheckFailed: Checks fail; the message names each failure.
        ConfigError: An expected failure has no reason.
        UnknownNameError: The model, or a check in ``expected_failures``, does not exist.
    """
    outcomes = run_checks(name, expected_failures=expected_failures)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed:
        lines = [f"{outcome.check}: {outcome.message}" for outcome in failed]
        raise CheckFailed("\n".join(lines))


def case_of(name: str) -> Case:
    """Return the case of a registered model.

    Raises:
        CheckFailed: The import of its plugin raises an error, or ends the process.
        GenzooError: The registry refuses it.
    """
    try:
        return Case(name, registry.load("models", name))
    except GenzooError:
        raise
    except (Exception, SystemExit) as error:
        said = f"Importing the plugin of {name!r} fails: {type(error).__name__}: {error}."
        raise CheckFailed(said) from error


def run_check(check: Check, case: Case) -> Outcome:
    """Run one check; any error of the model is a failure."""
    title = check.__name__
    # Other checks watch the side effects of what every model does; here, those of capabilities.
    own = capability_of(check) is not None
    manners: AbstractContextManager[Any] = minding_manners() if own else nullcontext()
    try:
        with manners:
            check(case)
    except NotApplicable as reason:
        return Outcome(title, "not applicable", str(reason))
    except CheckFailed as failure:
        return Outcome(title, "failed", str(failure))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
        return Outcome(title, "failed", f"{type(error).__name__}: {error}")
    return Outcome(title, "passed")


def judged(outcome: Outcome, excuses: Mapping[str, str]) -> Outcome:
    """Apply expected failures to an outcome."""
    reason = excuses.get(outcome.check)
    if reason is None:
        return outcome
    if outcome.status == "failed":
        return Outcome(outcome.check, "excused", reason)
    how = "passes" if outcome.status == "passed" else "is not for this model"
    said = f"{outcome.check} {how}; take it off expected_failures (given: {reason})."
    return Outcome(outcome.check, "failed", said)


def never_exercised(capability: type) -> Outcome:
    """Return the failure of a declared capability that no check applies to."""
    said = "is declared and never exercised: no check of it had anything to look at."
    return Outcome("check_capabilities", "failed", f"{capability.__name__} {said}")


def demand_known(excuses: Mapping[str, str]) -> None:
    """Raise UnknownNameError for an unknown check, ConfigError for one without a reason."""
    titles = [check.__name__ for check in CHECKS]
    for check, reason in excuses.items():
        if check not in titles:
            raise UnknownNameError("check", check, titles)
        if not str(reason or "").strip():
            raise ConfigError(f"The expected failure of {check} has no reason. Say why.")


def run_command(args: Sequence[str]) -> None:
    """Run a command in this process, such as ``["list", "models"]``.

    Raises:
        SystemExit: The command has ended; the code is that of the process.
    """
    # The command line is in a higher layer, so it is found like a shell finds it.
    (command,) = metadata.entry_points(group="console_scripts", name="genzoo")
    command.load()(args)
