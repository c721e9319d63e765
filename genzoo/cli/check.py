"""genzoo check: the conformance suite for one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from genzoo.cli.arguments import CheckArguments
from genzoo.cli.texts import write, write_json
from genzoo.errors import ConfigError
from genzoo.testing import CheckFailed, run_checks
from genzoo.text_safety import one_line


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
            said = f": {one_line(outcome.message)}" if outcome.message else ""
            write(f"{outcome.status:<14}  {outcome.check}{said}")
    if arguments.json:
        write_json([asdict(outcome) for outcome in outcomes])
    if failed := [outcome.check for outcome in outcomes if outcome.status == "failed"]:
        share = f"{len(failed)} of {len(outcomes)}"
        raise CheckFailed(f"{arguments.name} fails {share}: {', '.join(failed)}.")


def _excuses(given: Iterable[str]) -> Mapping[str, str]:
    """Return CHECK=REASON texts as a dictionary."""
    pairs = [text.partition("=") for text in given]
    for check, _, reason in pairs:
        if not reason:
            raise ConfigError(f"--expect takes CHECK=REASON, got {check!r}. Say why it may fail.")
    return {check: reason for check, _, reason in pairs}
