"""Output for a terminal: untrusted texts are escaped."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from genzoo.text_safety import visible


def write(text: object = "") -> None:
    """Write a line to the standard output."""
    sys.stdout.write(f"{visible(text)}\n")


def write_json(value: Any) -> None:
    """Write a value as JSON, with all but plain ASCII escaped."""
    sys.stdout.write(json.dumps(value, indent=2).replace("\x7f", "\\u007f") + "\n")


class VisibleFormatter(logging.Formatter):
    """A log formatter that makes hidden characters visible."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        return visible(super().format(record))
