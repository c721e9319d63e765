"""What is recorded of a run: metrics.jsonl and pictures."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from genzoo.files import check_no_link, disk_full_named, open_end
from genzoo.plotting import write_picture
from genzoo.sample_metadata import KEY
from genzoo.training.callbacks import Callback, TrainerState
from genzoo.training.config import TrainerConfig
from genzoo.training.players import Player, SubstepResult

logger = logging.getLogger("genzoo")


class Rows:
    """Makes the rows of a stage's log.

    Arguments:
        config: The stage's training values.
        first: The number of updates made before.
    """

    def __init__(self, config: TrainerConfig, first: int) -> None:
        self.config = config
        self._began, self._since = time.perf_counter(), first

    def due(self, step: int) -> bool:
        """Whether update number ``step`` is logged."""
        return step % self.config.logging_steps == 0 or step == self.config.max_steps

    def row(
        self,
        state: TrainerState,
        results: Iterable[SubstepResult],
        players: Mapping[str, Player],
    ) -> dict[str, Any]:
        """Return the row of an update; values that are not finite are None."""
        now = time.perf_counter()
        made, spent = state.step - self._since, now - self._began
        self._began, self._since = now, state.step
        row: dict[str, Any] = {"stage": state.stage, "step": state.step}
        for result in results:
            row[f"{result.player}/loss"] = result.loss
            row[f"{result.player}/grad_norm"] = result.grad_norm
            row[f"{result.player}/lr"] = players[result.player].lr
            for name, value in result.metrics.items():
                row[f"{result.player}/{name}"] = _finite(float(value))
        row["examples_per_second"] = made * (self.config.batch_size or 1) / max(spent, 1e-9)
        return row


class KeepRows(Callback):
    """Keeps the rows: those of updates that are logged, and one for each evaluation.

    Arguments:
        rows: Where they are kept.
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def on_step(self, state: TrainerState, row: Mapping[str, Any] | None) -> None:
        """Keep the row of an update."""
        if row is not None:
            self.rows.append(dict(row))

    def on_evaluate(self, state: TrainerState, figures: Mapping[str, float]) -> None:
        """Keep the figures of an evaluation."""
        self.rows.append(evaluation_row(state, figures))


class MetricsFile(Callback):
    """Writes the rows to metrics.jsonl.

    Arguments:
        path: The file.
        offset: The length to which it is truncated: the rows up to the checkpoint.
    """

    def __init__(self, path: Path, offset: int) -> None:
        self.path = path
        with disk_full_named(path), open_end(path) as file:
            size = os.fstat(file.fileno()).st_size
            os.truncate(file.fileno(), min(size, offset))  # A larger size would add NULs.
        if size < offset:
            logger.info("%s is shorter than it was; it continues from here.", path)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows in it that are rows."""
        lines = self.path.read_text("utf-8", "replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def on_step(self, state: TrainerState, row: Mapping[str, Any] | None) -> None:
        """Write the row of an update."""
        if row is not None:
            self._write(row)

    def on_evaluate(self, state: TrainerState, figures: Mapping[str, float]) -> None:
        """Write the figures of an evaluation."""
        self._write(evaluation_row(state, figures))

    def _write(self, row: Mapping[str, Any]) -> None:
        with disk_full_named(self.path), open_end(self.path) as file:
            file.write(json.dumps(row) + "\n")


class PictureFiles(Callback):
    """Writes the pictures of samples into a folder.

    Arguments:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_sample(self, state: TrainerState, pictures: Mapping[str, Image.Image]) -> None:
        """Write pictures as PNG files named by their position."""
        check_no_link(self.folder)
        for name, picture in pictures.items():
            ending = "-failures" if name == "failures" else ""
            stem = f"stage-{state.stage:03d}-step-{state.step:09d}{ending}"
            texts = {key: text for key, text in picture.info.items() if key == KEY}
            write_picture(picture, self.folder / f"{stem}.png", texts=texts)


def evaluation_row(state: TrainerState, figures: Mapping[str, float]) -> dict[str, Any]:
    """Return the row of an evaluation."""
    found = {f"eval/{name}": _finite(value) for name, value in figures.items()}
    return {"stage": state.stage, "step": state.step, **found}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
