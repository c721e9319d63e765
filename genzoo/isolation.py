"""Imports of plugins in separate processes, safe against those that hang, exit or print.

`look` runs ``python -m genzoo.isolation`` with a request as JSON on standard input.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from genzoo import registry
from genzoo.errors import ConfigError, ConfigFileError, DataError, GenzooError
from genzoo.registry import Entry

if TYPE_CHECKING:
    from genzoo.model import Model
    from genzoo.spec import DataInfo

SECONDS = 60.0
_MOST_WORDS = 2000
_MOST_TENSORS = 10_000


@dataclass(frozen=True)
class Question:
    """A question about a model, after its import.

    Arguments:
        can: A capability that it must have, such as "log-prob"; None for any.
        data: A dataset, by name, that it must be able to model; None for any.
    """

    can: str | None = None
    data: str | None = None


def look(
    entries: Sequence[Entry], *, seconds: float = SECONDS, question: Question | None = None
) -> list[Entry]:
    """Return the entries, each with the problem of its import.

    Models that answer the question with no are left out.

    The entries of a distribution share a process, in order. If the process ends or hangs, the
    entry is named, and the following entries get a new process. Entries with a known problem, and
    those of the running session, are returned unchanged.

    Arguments:
        entries: The entries to import.
        seconds: The time limit for the import of one entry.
        question: The question about models, or None.

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
            for found in pool.map(lambda g: _of_distribution(g, seconds, question), groups)
            for entry in found
        ]
    asked = {_key(entry) for entry in wanted}
    answers = {_key(entry): entry for entry in looked}
    return [answers.get(_key(e), e) for e in entries if _key(e) in answers or _key(e) not in asked]


def _key(entry: Entry) -> tuple[str, str, str]:
    return entry.group, entry.name, entry.distribution


def _of_distribution(
    entries: Sequence[Entry], seconds: float, question: Question | None
) -> list[Entry]:
    """Import the entries of a distribution, with a new process whenever one ends."""
    found: list[Entry] = []
    done = 0
    while done < len(entries):
        left = entries[done:]
        answers, ended = _ask(left, seconds, question)
        found += [
            replace(e, problem=str(answer["problem"]))
            for e, answer in zip(left, answers, strict=False)
            if answer["problem"] or answer["fits"]
        ]
        if len(answers) < len(left):
            found.append(replace(left[len(answers)], problem=ended))
            done += 1
        done += len(answers)
    return found


def _ask(
    entries: Sequence[Entry], seconds: float, question: Question | None
) -> tuple[list[dict[str, Any]], str]:
    """Return the answers of a process, and how it ended if answers are missing."""
    request = {
        "path": sys.path,
        "entries": [asdict(entry) for entry in entries],
        "question": question and asdict(question),
    }
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
        answers: list[dict[str, Any]] = []
        try:
            if process.stdin is not None:
                process.stdin.write(json.dumps(request))
                process.stdin.close()
            while len(answers) < len(entries):
                line = lines.get(timeout=seconds)
                if not line:
                    code = process.wait()
                    how = f"with exit code {code}" if code >= 0 else f"by signal {-code}"
                    return answers, f"importing it ended the process, {how}"
                answers.append(json.loads(line))
        except queue.Empty:
            return answers, f"importing it takes over {seconds:g} seconds"
        finally:
            process.kill()
    return answers, ""


def _read(pipe: Iterable[str] | None, lines: queue.Queue[str]) -> None:
    """Pass on each line, and an empty one at the end."""
    for line in pipe or ():
        lines.put(line)
    lines.put("")


def main() -> None:
    """Import the entries that standard input names, and print one line of answer for each."""
    request = json.load(sys.stdin)
    sys.path[:] = request["path"]
    entries = [Entry(**{**e, "extras": tuple(e["extras"])}) for e in request["entries"]]
    question = Question(**(request["question"] or {}))
    # A plugin's output must not mix with the answers.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    for entry in entries:
        channel.write(f"{json.dumps(_answer(entry, question))}\n")
        channel.flush()
    os._exit(0)  # Do not wait for a plugin's threads and exit functions.


def _answer(entry: Entry, question: Question) -> dict[str, Any]:
    """Return the error of importing an entry, of any kind, and the answer to the question."""
    problem, fits = "", True
    try:
        cls = registry.import_entry(entry)
        fits = entry.group != "models" or _fits(cls, question)
    except GenzooError as error:
        problem = str(error)[:_MOST_WORDS]
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
        problem = f"{type(error).__name__}: {_words(error)}"[:_MOST_WORDS].removesuffix(": ")
    return {"problem": problem, "fits": fits}


def _fits(cls: type[Model], question: Question) -> bool:
    """Whether a model has the capability and can model the data of the question."""
    if question.can is not None:
        from genzoo import capabilities

        if question.can not in map(capabilities.title_of, capabilities.of(cls)):
            return False
    return question.data is None or any(_accepts(cls, i) for i in _infos_of(question.data))


def _accepts(cls: type[Model], info: DataInfo) -> bool:
    """Whether a model accepts data that it is configured for; it is built without memory."""
    from genzoo.meta_init import build_empty

    try:
        build_empty(cls, cls.configure(info), max_tensors=_MOST_TENSORS).check_data(info)
    except (ConfigError, DataError, ConfigFileError):
        return False
    return True


@functools.cache
def _infos_of(data: str) -> list[DataInfo]:
    """Return the description of a dataset, and of its binarised version."""
    from genzoo.data import load_dataset

    infos = [load_dataset(data).info]
    with contextlib.suppress(DataError):
        infos.append(load_dataset(data, binarize="threshold").info)
    return infos


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - a plugin's own error may fail to say what it is
        return "its text cannot be read"


if __name__ == "__main__":
    main()
