"""genzoo check: the conformance suite for one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from genzoo.cli.arguments import CheckArguments
from genzoo.cli.texts import plain, write, write_json
from genzoo.errors import ConfigError
from genzoo.testing import CheckFailed, Outcome, run_checks


def run(arguments: CheckArguments) -> None:
    """Print the result of each check.

    Raises:
        CheckFailed: A check fails; all checks are run.
    """
    excuses = _excuses(arguments.expect)
    outcomes = []
    for outcome in run_checks(arguments.name, expected_failures=excuses):
        outcomes.append(outcome)
        if not arguments.json:
            write(_line(outcome))
    if arguments.json:
        write_json([asdict(outcome) for outcome in outcomes])
    _demand_none_failed(arguments.name, outcomes)


def _demand_none_failed(name: str, outcomes: Iterable[Outcome]) -> None:
    found = list(outcomes)
    failed = [outcome.check for outcome in found if outcome.status == "failed"]
    if failed:
        raise CheckFailed(f"{name} fails {len(failed)} of {len(found)}: {', '.join(failed)}.")


def _line(outcome: Outcome) -> str:
    said = f": {plain(outcome.message)}" if outcome.message else ""
    return f"{outcome.status:<14}  {outcome.check}{said}"


def _excuses(given: Iterable[str]) -> Mapping[str, str]:
    """Return CHECK=REASON texts as a dictionary."""
    pairs = [text.partition("=") for text in given]
    for check, _, reason in pairs:
        if not reason:
            raise ConfigError(f"--expect takes CHECK=REASON, got {check!r}. Say why it may fail.")
    return {check: reason for check, _, reason in pairs}
