"""The history of a run: its rows, as a list that is a table in a notebook."""

from __future__ import annotations

from typing import Any

from genzoo import markup
from genzoo.frames import frame_of

_SHOWN = 10


class History(list[dict[str, Any]]):
    """A row for each update that is logged and for each evaluation, as in metrics.jsonl."""

    def to_frame(self) -> Any:
        """Return a `pandas.DataFrame` of the rows.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return frame_of(self)

    def _repr_html_(self) -> str:
        """Return the last rows as a table."""
        rows = self[-_SHOWN:]
        titles = list(dict.fromkeys(name for row in rows for name in row))
        values = ([_shown(row[name]) if name in row else "" for name in titles] for row in rows)
        head = f"<div>{len(self):,} rows; the last are:</div>"
        return f"<div>{head}{markup.table(titles, values)}</div>"


def _shown(value: Any) -> str:
    if value is None:
        return "not finite"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
