"""Plugins imported in processes of their own: one that hangs, exits or prints disturbs nobody.

Usage, by `look` alone: python -m genzoo.isolation, with a request as JSON on standard input.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import groupby
from typing import IO, Any

from genzoo import registry
from genzoo.errors import ConfigError, GenzooError
from genzoo.registry import Entry

SECONDS = 60.0
_MOST_WORDS = 2000


def look(entries: Sequence[Entry], *, seconds: float = SECONDS) -> list[Entry]:
    """Return the entries, each with what is wrong when it is imported.

    The entries of a distribution share a process, in order. An entry with which the process ends
    or hangs is named, and the ones after it get a new process. An entry whose problem is known
    without importing it, and one of the running session, are returned as they are.

    Arguments:
        entries: What is imported.
        seconds: How long the import of one entry may take.

    Raises:
        ConfigError: The number of seconds is not positive.
    """
    if not seconds > 0:
        raise ConfigError(f"The time for an import must be above 0 seconds, got {seconds:g}.")
    wanted = [entry for entry in entries if entry.distribution and not entry.problem]
    in_order = sorted(wanted, key=lambda entry: entry.distribution)
    groups = [list(found) for _, found in groupby(in_order, lambda entry: entry.distribution)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        looked = [
            entry
            for found in pool.map(lambda group: _of_distribution(group, seconds), groups)
            for entry in found
        ]
    problems = {(entry.group, entry.name, entry.distribution): entry for entry in looked}
    return [problems.get((e.group, e.name, e.distribution), e) for e in entries]


def _of_distribution(entries: Sequence[Entry], seconds: float) -> list[Entry]:
    """Look at the entries of a distribution, in as many processes as it brings to an end."""
    found: list[Entry] = []
    while len(found) < len(entries):
        left = entries[len(found) :]
        answers, ended = _ask(left, seconds)
        found += [replace(e, problem=text) for e, text in zip(left, answers, strict=False)]
        if len(answers) < len(left):
            found.append(replace(left[len(answers)], problem=ended))
    return found


def _ask(entries: Sequence[Entry], seconds: float) -> tuple[list[str], str]:
    """Return the problems that a process tells, and how it ended where it tells too few."""
    request = {"path": sys.path, "entries": [asdict(entry) for entry in entries]}
    command = [sys.executable, "-m", "genzoo.isolation"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
    ) as process:
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        answers: list[str] = []
        try:
            _write(process.stdin, request)
            while len(answers) < len(entries):
                line = lines.get(timeout=seconds)
                if not line:
                    return answers, f"importing it ended the process, {_left(process)}"
                answers.append(str(json.loads(line)))
        except queue.Empty:
            return answers, f"importing it takes over {seconds:g} seconds"
        finally:
            process.kill()
    return answers, ""


def _write(pipe: IO[str] | None, request: Any) -> None:
    if pipe is not None:
        pipe.write(json.dumps(request))
        pipe.close()


def _read(pipe: Iterable[str] | None, lines: queue.Queue[str]) -> None:
    """Hand over each line, and an empty one at the end."""
    for line in pipe or ():
        lines.put(line)
    lines.put("")


def _left(process: subprocess.Popen[str]) -> str:
    code = process.wait()
    return f"with exit code {code}" if code >= 0 else f"by signal {-code}"


def main() -> None:
    """Import the entries that standard input names, and tell the problem of each in a line."""
    request = json.load(sys.stdin)
    sys.path[:] = request["path"]
    entries = [Entry(**{**e, "extras": tuple(e["extras"])}) for e in request["entries"]]
    # What a plugin prints must not come between the answers.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    for entry in entries:
        channel.write(f"{json.dumps(_problem(entry))}\n")
        channel.flush()
    os._exit(0)  # A plugin's threads and exit functions are not waited for.


def _problem(entry: Entry) -> str:
    """Return the error that importing an entry gives, of whatever kind; empty where none."""
    try:
        registry.import_entry(entry)
    except GenzooError as error:
        return str(error)[:_MOST_WORDS]
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
        return f"{type(error).__name__}: {_words(error)}"[:_MOST_WORDS].removesuffix(": ")
    return ""


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - a plugin's own error may fail to say what it is
        return "its text cannot be read"


if __name__ == "__main__":
    main()
