"""Output for a terminal: untrusted texts are escaped."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from genzoo.progress import above_bars
from genzoo.text_safety import visible


def write(text: object = "") -> None:
    """Write a line to the standard output."""
    sys.stdout.write(f"{visible(text)}\n")


def flush() -> None:
    """Write out what the standard output has kept back."""
    sys.stdout.flush()


def command_line(*words: object) -> str:
    """Return a command as a shell reads it: each word, whatever it holds, is one argument.

    >>> command_line("genzoo", "evaluate", Path("my runs/$1"))
    "genzoo evaluate 'my runs/$1'"
    """
    return shlex.join(map(_word, words))


def _word(given: object) -> str:
    """Return an argument; a path that begins with a hyphen would be read as a flag."""
    text = str(given)
    return f"./{text}" if isinstance(given, Path) and text.startswith("-") else text


def write_steps(done: str, commands: Iterable[str]) -> None:
    """Write what was done, and the commands of the next steps, a line each."""
    write("\n".join([f"{done} Next steps:", *(f"  {command}" for command in commands)]))


def write_json(value: Any) -> None:
    """Write a value as JSON, with all but plain ASCII escaped."""
    sys.stdout.write(json.dumps(value, indent=2).replace("\x7f", "\\u007f") + "\n")


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines to the standard error, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        with above_bars(self.stream):
            super().emit(record)


class VisibleFormatter(logging.Formatter):
    """A log formatter that makes hidden characters visible."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        return visible(super().format(record))
