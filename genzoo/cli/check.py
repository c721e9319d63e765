"""genzoo check: the conformance suite for one model."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict

from genzoo.cli.arguments import CheckArguments
from genzoo.cli.texts import command_line, write, write_json
from genzoo.errors import ConfigError
from genzoo.progress import hidden, progress_bar
from genzoo.testing import CheckFailed, Outcome, run_checks
from genzoo.text_safety import one_line

_MOST = 100


def run(arguments: CheckArguments) -> None:
    """Print the failures, the first cause first, and a summary.

    Raises:
        CheckFailed: A check fails; all checks are run.
    """
    excuses, outcomes = _excuses(arguments.expect), []
    # The calls that are checked show no bars of their own.
    with progress_bar("Checking", "check", None) as shown, hidden(), _quiet():
        for outcome in run_checks(arguments.name, expected_failures=excuses):
            outcomes.append(outcome)
            shown.update()
            if arguments.verbose and not arguments.json:
                said = f": {one_line(outcome.message)}" if outcome.message else ""
                write(f"{outcome.status:<14}  {outcome.check}{said}")
    if arguments.json:
        write_json([asdict(outcome) for outcome in outcomes])
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if not (arguments.verbose or arguments.json):
        for line in _causes(failed):
            write(line)
    if failed:
        raise CheckFailed(_error(arguments.name, failed, outcomes, all_said=arguments.verbose))
    if not arguments.json:
        write(f"{arguments.name}: {_summary(outcomes)}.")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Log warnings only: the trainings of the checks are of no interest."""
    logger = logging.getLogger("genzoo")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _causes(failed: Sequence[Outcome]) -> list[str]:
    """Return a line for each cause: the first in full, and others in short.

    Checks that fail with one message have one cause. The order is that of the suite, whose later
    checks need what the earlier ones check.
    """
    causes: dict[str, list[str]] = {}
    for outcome in failed:
        causes.setdefault(one_line(outcome.message), []).append(outcome.check)
    lines = []
    for i, (message, checks) in enumerate(causes.items()):
        more = f" (and {len(checks) - 1} more with this message)" if len(checks) > 1 else ""
        cut = len(message) > _MOST and i > 0
        lines.append(f"{checks[0]}{more}: {f'{message[:_MOST]}…' if cut else message}")
    return lines


def _error(
    name: str, failed: Sequence[Outcome], outcomes: Sequence[Outcome], *, all_said: bool
) -> str:
    """Return the last line: how many checks fail, and where to begin."""
    command = command_line("genzoo", "check", name, "--verbose")
    remedy = "" if all_said else f" All of it: {command}"
    return (
        f"{name} fails {len(failed)} of {len(outcomes)} checks ({_summary(outcomes)}). Begin with "
        f"{failed[0].check}.{remedy}"
    )


def _summary(outcomes: Sequence[Outcome]) -> str:
    """Return how many checks have each status.

    >>> _summary([Outcome("check_a", "passed"), Outcome("check_b", "not applicable")])
    '1 passed, 1 not applicable'
    """
    every = ("passed", "failed", "excused", "not applicable")
    counts = {status: sum(o.status == status for o in outcomes) for status in every}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def _excuses(given: Iterable[str]) -> Mapping[str, str]:
    """Return CHECK=REASON texts as a dictionary."""
    pairs = [text.partition("=") for text in given]
    for check, _, reason in pairs:
        if not reason:
            raise ConfigError(f"--expect takes CHECK=REASON, got {check!r}. Say why it may fail.")
    return {check: reason for check, _, reason in pairs}
