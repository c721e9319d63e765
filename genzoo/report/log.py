"""metrics.jsonl, read row by row; it may be long, truncated or malformed."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from genzoo.errors import LoadError
from genzoo.model_files import METRICS
from genzoo.report.reading import inside

MAX_BYTES, MAX_ROW_BYTES = METRICS.max_bytes, 2**20
MAX_SERIES = 100
_MAX_NAME = 200
_MAX_STEP = 10**15
_MAX_VALUE = 1e100
_POSITION = ("stage", "step")


@dataclass
class Series:
    """The values of one metric in one stage.

    Arguments:
        stage: The number of the stage.
        key: The metric's key in metrics.jsonl: ``player/name``, or a name.
        steps: Its steps.
        values: Its values; NaN if not finite.
    """

    stage: int
    key: str
    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    @property
    def player(self) -> str:
        """The player of the metric; empty if it belongs to the whole run."""
        return self.key.partition("/")[0] if "/" in self.key else ""

    @property
    def name(self) -> str:
        """The metric's name, without that of the player."""
        return self.key.partition("/")[2] or self.key


@dataclass
class Log:
    """The content of metrics.jsonl.

    Arguments:
        series: The metrics of each stage, in the order of their appearance.
        last: The last step of each stage.
        notes: Notes on what was left out, with the reasons.
    """

    series: dict[tuple[int, str], Series] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, stage: int, step: int, row: dict[str, Any]) -> bool:
        """Add a row; False if a metric was left out because there are too many."""
        self.last[stage] = max(step, self.last.get(stage, 0))
        room = True
        for key, value in row.items():
            if key in _POSITION or isinstance(value, bool):
                continue
            if value is not None and not isinstance(value, (int, float)):
                continue
            place = (stage, key[:_MAX_NAME])
            if place not in self.series:
                if len(self.series) >= MAX_SERIES:
                    room = False
                    continue
                self.series[place] = Series(*place)
            self.series[place].steps.append(step)
            kept = math.nan if value is None or abs(value) > _MAX_VALUE else float(value)
            self.series[place].values.append(kept)
        return room


def read_log(folder: Path) -> Log:
    """Read the log of a run; empty if there is none."""
    log = Log()
    try:
        path = inside(folder, METRICS.name)
        if path.is_file():
            with path.open("rb") as file:
                _read(file, path.stat().st_size, log)
    except (OSError, LoadError) as error:
        log.notes.append(f"{METRICS.name} is not shown: {error}")
    return log


def _read(file: IO[bytes], size: int, log: Log) -> None:
    refused, crowded, cut = 0, False, False
    for line in _lines(file):
        row = _row(line)
        if row is not None:
            crowded |= not log.add(row["stage"], row["step"], row)
        elif line.endswith(b"\n"):
            refused += 1
        else:
            cut = True
    if refused:
        log.notes.append(f"{refused:,} lines of {METRICS.name} are malformed and were left out.")
    if cut:
        log.notes.append(f"The last line of {METRICS.name} is incomplete and was left out.")
    if crowded:
        log.notes.append(f"Metrics beyond the first {MAX_SERIES} were left out.")
    if size > MAX_BYTES:
        log.notes.append(
            f"Only the first {MAX_BYTES / 1e6:,.0f} MB of {size / 1e6:,.0f} MB of {METRICS.name} "
            "are drawn."
        )


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines; a line that is too long is cut, so that it is not a valid row."""
    while file.tell() < MAX_BYTES and (line := file.readline(MAX_ROW_BYTES)):
        rest = line
        while len(rest) == MAX_ROW_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(MAX_ROW_BYTES)
            line = b"{\n"
        yield line


def _row(line: bytes) -> dict[str, Any] | None:
    """Return a row with its stage and step, or None if the line is not a row."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    places = [row.get(name) for name in _POSITION]
    known = all(type(place) is int and 0 <= place < _MAX_STEP for place in places)
    return row if known else None
