"""How many rows of a stream a run has seen, from its last checkpoint."""

from __future__ import annotations

import re
from pathlib import Path

from genzoo.parsing import strict_json

_NAME = re.compile(r"stage-(\d{3})-step-(\d{9})")
_MOST = 2**24


def seen_of(folder: Path) -> str:
    """Return how many rows of a stream a run has seen; empty for other data and without a run.

    Arguments:
        folder: The folder of the run.
    """
    found = [p for p in (folder / "checkpoints").glob("stage-*") if _NAME.fullmatch(p.name)]
    if not found:
        return ""
    newest = max(found, key=lambda path: path.name)
    stage, step = map(int, newest.name.split("-")[1::2])
    try:
        path = newest / "values.json"
        text = path.read_text("utf-8") if path.stat().st_size <= _MOST else ""
        identity = strict_json(text)["identity"]
        data, trainer = identity["data"], identity["trainer"]
        if "shards" not in data:
            return ""
        steps = [*(int(one["max_steps"]) for one in trainer[:stage]), step]
        sizes = [int(one["batch_size"]) for one in trainer[: stage + 1]]
        num = sum(made * size for made, size in zip(steps, sizes, strict=True))
        total = int(data["rows"])
        return f"It has seen {num:,} rows, of {total:,}: {num / total:.3g} epochs."
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, IndexError):
        return ""  # A card can be written without it.
