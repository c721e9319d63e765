"""The state of a run, in a file of its folder: running, finished, stopped or failed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from genzoo.errors import GenzooError, TrainingInterrupted
from genzoo.files import replace_text
from genzoo.parsing import strict_json

State = Literal["running", "finished", "stopped", "failed"]
_MOST = 2000


@dataclass(frozen=True)
class Status:
    """The state of a run.

    Arguments:
        state: Running, finished, stopped by a signal, or failed.
        reason: Why it was stopped or failed.
        since: The time, in UTC.
    """

    state: State
    reason: str = ""
    since: str = ""


@contextlib.contextmanager
def recorded(path: Path | None) -> Iterator[None]:
    """Record in a file that a run is running, and afterwards how it ended.

    A run that is killed leaves "running"; its folder is then not locked.

    Arguments:
        path: The file; None records nothing.
    """
    _write(path, "running")
    try:
        yield
    except (TrainingInterrupted, KeyboardInterrupt) as error:
        _write(path, "stopped", str(error))
        raise
    except BaseException as error:
        _write(path, "failed", f"{type(error).__name__}: {error}")
        raise
    _write(path, "finished")


def read_status(text: str | None) -> Status | None:
    """Return a state from an untrusted text, or None if it has none."""
    try:
        stored: Any = strict_json(text or "")
    except ValueError:
        return None
    if not isinstance(stored, dict) or stored.get("state") not in get_args(State):
        return None
    texts = {name: stored.get(name) for name in ("reason", "since")}
    return Status(stored["state"], **{k: v for k, v in texts.items() if isinstance(v, str)})


def _write(path: Path | None, state: State, reason: str = "") -> None:
    if path is None:
        return
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    values = {"state": state, "reason": reason[:_MOST], "since": now}
    with contextlib.suppress(GenzooError, OSError):  # A full disk must not hide the reason.
        replace_text(path, json.dumps(values, indent=2) + "\n")
