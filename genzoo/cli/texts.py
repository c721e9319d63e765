"""What a terminal is given: texts that it shows as they are, whoever wrote them."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from genzoo.text_safety import visible


def plain(text: object) -> str:
    """Return a text in one line, without what a terminal would obey.

    >>> plain("a\\n  b\\x1b[2J")
    'a b␛[2J'
    """
    return visible(" ".join(str(text).split()))


def write(text: object = "") -> None:
    """Write a text, and the end of its line, to the standard output."""
    sys.stdout.write(f"{visible(text)}\n")


def write_json(value: Any) -> None:
    """Write a value as JSON, in which all but plain letters stand as numbers."""
    sys.stdout.write(json.dumps(value, indent=2).replace("\x7f", "\\u007f") + "\n")


class VisibleFormatter(logging.Formatter):
    """Formats what is logged as texts in which nothing is hidden."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        return visible(super().format(record))
