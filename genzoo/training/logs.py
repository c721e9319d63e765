"""The log of a run: metrics.jsonl, trackers, and a progress bar or lines of text."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from tqdm.auto import tqdm

from genzoo.files import disk_full_named, open_end
from genzoo.model_files import METRICS
from genzoo.training.config import TrainerConfig
from genzoo.training.players import Player, SubstepResult

logger = logging.getLogger("genzoo")


class Log:
    """The log of one stage, on the main process; silent on the others.

    Arguments:
        config: The stage's training values.
        title: The title of the bar.
        folder: The folder of metrics.jsonl; None writes none.
        accelerator: The accelerator with the trackers.
        first: The number of updates made before.
        offset: The length to which metrics.jsonl is truncated: the log up to ``first``.
    """

    def __init__(
        self,
        config: TrainerConfig,
        title: str,
        folder: Path | None,
        accelerator: Accelerator,
        *,
        first: int = 0,
        offset: int = 0,
    ) -> None:
        self.config, self.accelerator, self.title = config, accelerator, title
        self.main = accelerator.is_main_process
        self.path = folder / METRICS.name if folder is not None and self.main else None
        if self.path is not None:
            with disk_full_named(self.path), open_end(self.path) as file:
                size = os.fstat(file.fileno()).st_size
                os.truncate(file.fileno(), min(size, offset))  # A larger size would add NULs.
            if size < offset:
                logger.info("%s is shorter than it was; it continues from here.", self.path)
        self.last: dict[str, Any] = {}
        self._began, self._since = time.perf_counter(), first
        shown = self.main and config.progress and sys.stderr.isatty()
        self.bar = tqdm(
            total=config.max_steps, initial=first, desc=title, unit="step", disable=not shown
        )

    def due(self, step: int) -> bool:
        """Whether a line is written of update number ``step``."""
        return step % self.config.logging_steps == 0 or step == self.config.max_steps

    def step(
        self, stage: int, step: int, results: list[SubstepResult], players: Mapping[str, Player]
    ) -> None:
        """Record update number ``step``; write a line if one is due."""
        if not self.main:
            return
        self.bar.update()
        if not self.due(step):
            return
        total = self.config.max_steps or 1
        self.last = self._row(stage, step, results, players)
        self.bar.set_postfix_str(self._short(), refresh=False)
        self._write(self.last, step)
        if (
            self.bar.disable
            and step * 10 // total > (step - self.config.logging_steps) * 10 // total
        ):
            logger.info("%s step %d of %d: %s", self.title, step, total, self._short())

    def evaluation(self, stage: int, step: int, figures: Mapping[str, float]) -> None:
        """Record an evaluation after update number ``step``, each figure as ``eval/NAME``."""
        if not self.main:
            return
        found = {f"eval/{name}": value for name, value in figures.items()}
        finite = {name: v if math.isfinite(v) else None for name, v in found.items()}
        self._write({"stage": stage, "step": step, **finite}, step)
        if self.bar.disable:
            shown = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
            logger.info("%s step %d: %s", self.title, step, shown)

    def offset(self) -> int:
        """Return the length of metrics.jsonl."""
        return self.path.stat().st_size if self.path is not None else 0

    def close(self) -> None:
        """Close the bar."""
        self.bar.close()

    def _write(self, row: Mapping[str, Any], step: int) -> None:
        """Write a row to metrics.jsonl, and its numbers to the trackers."""
        if self.path is not None:
            with disk_full_named(self.path), open_end(self.path) as file:
                file.write(json.dumps(row) + "\n")
        if self.config.report_to:
            numbers = {k: v for k, v in row.items() if isinstance(v, float)}
            self.accelerator.log(numbers, step=step)

    def _row(
        self, stage: int, step: int, results: list[SubstepResult], players: Mapping[str, Player]
    ) -> dict[str, Any]:
        now = time.perf_counter()
        made, spent = step - self._since, now - self._began
        self._began, self._since = now, step
        row: dict[str, Any] = {"stage": stage, "step": step}
        for result in results:
            row[f"{result.player}/loss"] = result.loss
            row[f"{result.player}/grad_norm"] = result.grad_norm
            row[f"{result.player}/lr"] = players[result.player].lr
            for name, value in result.metrics.items():
                number = float(value)
                row[f"{result.player}/{name}"] = number if math.isfinite(number) else None
        row["examples_per_second"] = made * (self.config.batch_size or 1) / max(spent, 1e-9)
        return row

    def _short(self) -> str:
        losses = [f"{k} {v:.4g}" for k, v in self.last.items() if k.endswith("/loss")]
        return f"{', '.join(losses)}, {self.last['examples_per_second']:,.0f} examples/s"
