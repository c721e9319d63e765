"""How a command ends: said on standard error, or told to the command that has started it.

``--num-processes`` starts processes that would all say the same. They write their last words into
files instead, of which the command that has started them says one.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from genzoo.text_safety import visible

FOLDER = "GENZOO_ENDS"
"""The variable with the folder of the files, in processes that ``--num-processes`` has started."""
PASSED_ON = frozenset({signal.SIGINT, signal.SIGTERM})
"""The signals that the command passes on to its processes."""
_PARENT_DIED = 1  # PR_SET_PDEATHSIG of Linux


@dataclass(frozen=True)
class End:
    """How a process ended.

    Arguments:
        rank: Its number.
        code: Its exit code.
        text: Its last words.
        when: The time, in seconds.
        follows: Whether another process ended first, so that this one had to.
    """

    rank: int
    code: int
    text: str
    when: float
    follows: bool = False


class _Teller:
    """Where the last words go."""

    folder: Path | None = None


def begin() -> None:
    """Prepare a process that ``--num-processes`` has started; nothing in any other."""
    # Taken out: a command that this one starts speaks for itself.
    folder = os.environ.pop(FOLDER, None)
    if folder is None:
        return
    _Teller.folder = Path(folder)
    sys.excepthook = _tell_traceback
    if _rank() > 0:
        # Warnings and bars of libraries, which the first process shows.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    if sys.platform == "linux":
        # If the command is killed, its processes save and stop.
        ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGTERM)


def listen() -> None:
    """Receive signals from now on, in a process that ``--num-processes`` has started.

    They were blocked: in the middle of an import they would end a process with a traceback.
    """
    if _Teller.folder is not None and hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)


def end(text: str, code: int, *, follows: bool = False, saved: bool = False) -> int:
    """Say the last words, and return the exit code.

    Arguments:
        text: The words; one line is made of them.
        code: The exit code of a process alone.
        follows: Whether another process ended first.
        saved: Whether all processes of the group have saved and end like this one.
    """
    # Runs of spaces stay: a command in the text may name a folder with two of them.
    said = visible(" ".join(line.strip() for line in text.splitlines()))
    if _Teller.folder is None:
        sys.stderr.write(f"{said}\n")
        return code
    # It leaves already: a further Ctrl-C would only cut its last words.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _tell(f"{said}\n", code, follows=follows)
    # The launcher ends all processes when the first one fails. The main process may still have
    # something to write.
    return 0 if saved and _rank() > 0 else code


def read(folder: Path) -> list[End]:
    """Return how processes ended, of those that said so."""
    return [End(**json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.json"))]


def verdict(ends: Collection[End], codes: Mapping[int, int]) -> tuple[int, str]:
    """Return the exit code of a group, and its last words: those of the process that ended first.

    Arguments:
        ends: How processes ended, of those that said so.
        codes: The exit codes of processes that failed, -n after signal n, by rank.
    """
    if not ends and not codes:
        return 0, ""
    return next(_verdicts(sorted(ends, key=lambda one: one.when), codes))


def _verdicts(ends: list[End], codes: Mapping[int, int]) -> Iterator[tuple[int, str]]:
    """Yield verdicts, the one that explains most first."""
    signalled = {128 + signum for signum in PASSED_ON}
    said = {one.rank for one in ends}
    yield from ((e.code, e.text) for e in ends if not e.follows and e.code not in signalled)
    for rank, code in codes.items():
        # SIGTERM may be the launcher's, for the processes that are left.
        if code < 0 and -code not in PASSED_ON:
            name = signal.Signals(-code).name
            text = (
                f"error: Process {rank} was ended by {name}, and the others with it. If memory "
                "was short, use fewer processes. Resume training with --resume."
            )
            yield 128 - code, f"{text}\n"
        elif code > 0 and rank not in said:
            yield code, f"error: Process {rank} ended with exit code {code}.\n"
    yield from ((e.code, e.text) for e in ends if not e.follows)
    yield from ((e.code, e.text) for e in ends)
    signum = min(-code for code in codes.values())
    yield 128 + signum, "Stopped.\n" if signum == signal.SIGINT else ""


def _tell(text: str, code: int, *, follows: bool = False) -> None:
    if _Teller.folder is None:
        return
    found = End(_rank(), code, text, time.time(), follows)
    path = _Teller.folder / f"{found.rank}.json"
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(asdict(found)), "utf-8")
    partial.replace(path)  # Whole or not there, if the process is killed.


def _tell_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Tell an error that no code of genzoo expects, as Python would print it."""
    _tell("".join(traceback.format_exception(kind, error, trace)), 1)


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))
