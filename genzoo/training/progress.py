"""What is shown of a run while it trains: a bar, lines of text, or a view in a notebook's cell."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from genzoo import markup
from genzoo.notebook import Output, picture_data
from genzoo.progress import Board, Count, Terminal, above_bars, collecting, hidden, place, words
from genzoo.text_safety import visible
from genzoo.training.callbacks import Callback, TrainerState
from genzoo.training.config import TrainerConfig

logger = logging.getLogger("genzoo")

_FIRST_STEPS = 20
_ROWS = 8
"""The maximum number of evaluations that a cell shows."""


@contextlib.contextmanager
def following(config: TrainerConfig, is_main: bool) -> Iterator[Sequence[Callback]]:
    """Yield the callbacks that show a run, and show what it logs.

    Arguments:
        config: The user's training values.
        is_main: Whether this is the main process; the others show nothing.
    """
    where = place()
    with contextlib.ExitStack() as held:
        if not is_main or not config.progress:
            held.enter_context(hidden())
            yield [Lines(), TimeLeft()]
        elif where == "notebook":
            view = CellView()
            held.enter_context(logged_to(view.note))
            held.enter_context(collecting(view.board))
            yield [view]
        else:
            held.enter_context(logged_to(_write_line))
            yield [TerminalBar() if where == "terminal" else Lines(), TimeLeft()]


class Lines(Callback):
    """Logs a line of text for every tenth of a stage, and for each evaluation."""

    def on_step(self, state: TrainerState, row: Mapping[str, Any] | None) -> None:
        """Log a row if a tenth of the stage is complete."""
        if row is None:
            return
        step, total, since = state.step, state.max_steps, state.config.logging_steps
        if step * 10 // total > (step - since) * 10 // total:
            logger.info("%s step %d of %d: %s", state.title, step, total, _short(row))

    def on_evaluate(self, state: TrainerState, figures: Mapping[str, float]) -> None:
        """Log the figures of an evaluation."""
        shown = ", ".join(f"eval/{name} {value:.4g}" for name, value in figures.items())
        logger.info("%s step %d: %s", state.title, state.step, shown)


class TerminalBar(Lines):
    """A bar on the terminal for each stage, and a line for each evaluation."""

    def __init__(self) -> None:
        self._bar: Terminal | None = None
        self._stage = -1

    def on_step(self, state: TrainerState, row: Mapping[str, Any] | None) -> None:
        """Advance the bar; show the losses of a row."""
        if self._bar is None or state.stage != self._stage:
            self.on_end(state)
            self._stage, before = state.stage, state.step - 1
            self._bar = Terminal(
                total=state.max_steps, initial=before, desc=state.title, unit="step"
            )
        self._bar.call("update")
        if row is not None:
            self._bar.call("set_postfix_str", _short(row), refresh=False)

    def on_end(self, state: TrainerState) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.call("close")


class TimeLeft(Callback):
    """Logs once in each stage, after its first updates, about how long it will take."""

    def __init__(self) -> None:
        self._stage, self._due, self._began = -1, 0, 0.0

    def on_step(self, state: TrainerState, row: Mapping[str, Any] | None) -> None:
        """Log the time left after `_FIRST_STEPS` updates; the very first one is not timed."""
        if state.stage != self._stage:
            self._stage, self._began = state.stage, time.perf_counter()
            self._made = min(_FIRST_STEPS, state.max_steps // 10)
            self._due = state.step + self._made
        elif state.step == self._due and (left := state.max_steps - state.step):
            seconds = (time.perf_counter() - self._began) / self._made * left
            logger.info("%s: about %s for %d more updates.", state.title, words(seconds), left)


class CellView(Callback):
    """A view in a notebook's cell: a bar and evaluations for each stage, and the newest pictures.

    The bar and each picture are outputs of their own, because the bar changes more often.
    """

    def __init__(self) -> None:
        self.board = Board()
        self.board.blocks.append(self)
        self._stages: list[_StageView] = []
        self._notes: list[str] = []
        self._pictures: dict[str, Output] = {}
        self._caption = ""

    def html(self) -> str:
        """Return the stages, what was logged, and the title of the pictures."""
        notes = [f"<div>{markup.escaped(note)}</div>" for note in (*self._notes, self._caption)]
        return "".join([*(stage.html() for stage in self._stages), *notes])

    def text(self) -> str:
        """Return the same as text."""
        lines = [*(stage.text() for stage in self._stages), *self._notes, self._caption]
        return "\n".join(filter(None, lines))

    def note(self, text: str) -> None:
        """Show a sentence."""
        self._notes.append(text)
        self.board.refresh(at_once=True)

    def on_step(self, state: TrainerState, row: Mapping[str, Any] | None) -> None:
        """Advance the bar; show the losses of a row."""
        if not self._stages or self._stages[-1].number != state.stage:
            self._end_stage()
            self._stages.append(_StageView(state))
        count = self._stages[-1].count
        count.made = state.step
        if row is not None:
            count.details = _short(row)
            self._stages[-1].losses = _losses(row)
        self.board.refresh()

    def on_evaluate(self, state: TrainerState, figures: Mapping[str, float]) -> None:
        """Add a row to the table of evaluations."""
        if self._stages:
            self._stages[-1].add(state.step, figures)
            self.board.refresh(at_once=True)

    def on_sample(self, state: TrainerState, pictures: Mapping[str, Image.Image]) -> None:
        """Replace the pictures."""
        self._caption = f"{' and '.join(pictures)} after step {state.step:,}".capitalize()
        self.board.refresh(at_once=True)
        for name, picture in pictures.items():
            output = self._pictures.setdefault(name, Output())
            output.show(picture_data(picture, f"{name} after step {state.step:,}"))

    def on_end(self, state: TrainerState) -> None:
        """Stop the clock, and show the last numbers."""
        self._end_stage()
        if self._stages or self._notes:
            self.board.refresh(at_once=True)

    def _end_stage(self) -> None:
        if self._stages:
            self._stages[-1].count.end()


class _StageView:
    """The bar of a stage, and the last of its evaluations."""

    def __init__(self, state: TrainerState) -> None:
        self.number = state.stage
        # The first update is not timed: it is slower.
        self.count = Count(state.title, "update", state.max_steps, first=state.step)
        self.losses: dict[str, str] = {}
        self._rows: list[dict[str, str]] = []
        self._num_rows = 0

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Add an evaluation, next to the losses of the last row."""
        shown = {f"eval/{name}": f"{value:.4g}" for name, value in figures.items()}
        self._rows = [*self._rows, {"step": f"{step:,}", **self.losses, **shown}][-_ROWS:]
        self._num_rows += 1

    def html(self) -> str:
        """Return the bar, and a table of evaluations if there are any."""
        table = markup.table(self._titles(), self._values()) if self._rows else ""
        more = f"<div>{markup.escaped(self._more())}</div>" if self._more() else ""
        return f"{self.count.html()}{more}{table}"

    def text(self) -> str:
        """Return the same as text."""
        rows = [", ".join(f"{name} {value}" for name, value in row.items()) for row in self._rows]
        return "\n".join(filter(None, [self.count.text(), self._more(), *rows]))

    def _titles(self) -> list[str]:
        return list(dict.fromkeys(name for row in self._rows for name in row))

    def _values(self) -> list[list[str]]:
        return [[row.get(name, "") for name in self._titles()] for row in self._rows]

    def _more(self) -> str:
        """Say how many evaluations are not shown."""
        left = self._num_rows - len(self._rows)
        return f"The last {_ROWS} of {self._num_rows} evaluations; all: history." if left else ""


@contextlib.contextmanager
def logged_to(write: Callable[[str], None]) -> Iterator[None]:
    """Write what genzoo logs from INFO on, unless the program shows that itself.

    A program that has set the level of the logger ``genzoo``, or shows messages of this level,
    decides by itself. Warnings go to the program's own handlers if it has any.

    Arguments:
        write: Receives each message.
    """
    decided = logger.isEnabledFor(logging.INFO) and logger.hasHandlers()
    if decided or logger.level != logging.NOTSET:
        yield
        return
    handler, propagated = _Messages(write), logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    # Handlers of the program, whose level is above, would show the messages a second time.
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
        logger.propagate = propagated


class _Messages(logging.Handler):
    """Passes messages on."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        root = logging.getLogger()
        if record.levelno >= logging.WARNING and root.handlers:
            root.handle(record)
        else:
            self._write(visible(record.getMessage()))


def _write_line(text: str) -> None:
    """Write a line to the standard error, above a bar if there is one."""
    # There may be no standard error, or a closed one.
    with contextlib.suppress(OSError, ValueError, AttributeError), above_bars(sys.stderr):
        sys.stderr.write(f"{text}\n")


def _losses(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: "not finite" if value is None else f"{value:.4g}"
        for key, value in row.items()
        if key.endswith("/loss")
    }


def _short(row: Mapping[str, Any]) -> str:
    losses = ", ".join(f"{key} {value}" for key, value in _losses(row).items())
    return f"{losses}, {row['examples_per_second']:,.0f} examples/s"
