"""Progress of long calls: a bar on a terminal, a line in a notebook's cell, else nothing."""

from __future__ import annotations

import abc
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

from genzoo import notebook
from genzoo.markup import escaped

DELAY = 1.0
"""Seconds before a bar is shown."""
_EVERY = 0.2
"""Seconds between updates of a notebook's cell."""
_hidden: ContextVar[bool] = ContextVar("hidden", default=False)

Place = Literal["notebook", "terminal", "nowhere"]


class Bar(abc.ABC):
    """Abstract interface of bars, which are context managers."""

    @abc.abstractmethod
    def update(self, amount: int = 1) -> None:
        """Advance by an amount."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abc.abstractmethod
    def close(self) -> None:
        """End the bar."""


def progress_bar(title: str, unit: str, total: int | None) -> Bar:
    """Return a bar, which appears after a second; nothing where it cannot be shown.

    Arguments:
        title: Its title.
        unit: The unit that it counts, in the singular.
        total: The total number, if it is known.
    """
    where = place()
    if where == "notebook":
        return _CellBar(Count(title, unit, total))
    return _TerminalBar(title, unit, total) if where == "terminal" else _NoBar()


def place() -> Place:
    """Return where progress is shown.

    It is shown nowhere inside `hidden`, if the environment variable ``TQDM_DISABLE`` is set, and
    on all processes of a run but the main one.
    """
    if _hidden.get() or os.environ.get("TQDM_DISABLE", "0") not in ("", "0"):
        return "nowhere"
    if os.environ.get("RANK", "0") != "0":
        return "nowhere"
    if notebook.shell() is not None:
        return "notebook"
    return "terminal" if _is_terminal(sys.stderr) else "nowhere"


@contextlib.contextmanager
def hidden(value: bool = True) -> Iterator[None]:
    """Show no progress inside of this context.

    Arguments:
        value: Whether it is hidden; False changes nothing.
    """
    token = _hidden.set(value or _hidden.get())
    try:
        yield
    finally:
        _hidden.reset(token)


def above_bars(stream: Any) -> contextlib.AbstractContextManager[None]:
    """Return a context in which lines are written to a stream without breaking a bar."""
    tqdm = getattr(
        sys.modules.get("tqdm"), "tqdm", None
    )  # If it is not imported, no bar is shown.
    return contextlib.nullcontext() if tqdm is None else tqdm.external_write_mode(file=stream)


def words(seconds: float) -> str:
    """Return a duration in words.

    >>> words(4.4), words(230), words(3600 * 2.5)
    ('4 seconds', '4 minutes', '2.5 hours')
    """
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * size:
            amount = seconds / size
            return f"{amount:.1f} {unit}s" if unit == "hour" else f"{amount:.0f} {unit}s"
    whole = max(1, round(seconds))
    return f"{whole} second{'s' * (whole != 1)}"


def _is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal; there may be none, or a closed one."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


class _NoBar(Bar):
    """A bar that is not shown."""

    def update(self, amount: int = 1) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class _TerminalBar(Bar):
    """A bar on the terminal, which is removed at the end."""

    def __init__(self, title: str, unit: str, total: int | None) -> None:
        self._bar = Terminal(total=total, desc=title, unit=unit, delay=DELAY, leave=False)

    def update(self, amount: int = 1) -> None:
        """Advance by an amount."""
        self._bar.call("update", amount)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.call("close")


class Terminal:
    """A bar of tqdm that does not raise where the terminal is gone.

    Arguments:
        options: The arguments of ``tqdm``.
    """

    def __init__(self, **options: Any) -> None:
        # Not tqdm.auto, which warns in notebooks without widgets.
        from tqdm import tqdm

        self._bar: Any = None
        with contextlib.suppress(OSError, ValueError):
            self._bar = tqdm(**options)

    def call(self, method: str, *arguments: Any, **options: Any) -> None:
        """Call a method of the bar."""
        if self._bar is None:
            return
        try:
            getattr(self._bar, method)(*arguments, **options)
        except (OSError, ValueError):  # The terminal was closed, which must not end the call.
            self._bar.disable = True
            self._bar = None


class Block(Protocol):
    """A part of a `Board`."""

    def html(self) -> str:
        """Return it as HTML."""

    def text(self) -> str:
        """Return it as text."""


@dataclass
class Count:
    """How far a call is.

    Arguments:
        title: What is done.
        unit: The unit that is counted, in the singular.
        total: The total number, if it is known.
        made: The number so far.
        first: The number made before it began.
        began: When it began, in seconds of `time.monotonic`.
        seconds: How long it took, if it has ended.
        details: What else its line says.
    """

    title: str
    unit: str
    total: int | None
    made: int = 0
    first: int = 0
    began: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    details: str = ""

    def end(self) -> None:
        """Stop the clock."""
        self.seconds = time.monotonic() - self.began

    def text(self) -> str:
        """Return the line, such as ``Sampling: 30 of 100 states, about 12 seconds left``."""
        of = "" if self.total is None else f" of {self.total:,}"
        many = "" if (self.total or self.made) == 1 else "s"
        parts = [f"{self.title}: {self.made:,}{of} {self.unit}{many}{self._time()}"]
        return " · ".join([*parts, self.details] if self.details else parts)

    def html(self) -> str:
        """Return the line with a bar."""
        # Everything is in the text too, because some front ends remove the bar.
        value = f' value="{self.made}" max="{max(1, self.total)}"' if self.total else ""
        style = "width: 16em; max-width: 40%; vertical-align: middle; margin-right: .6em"
        return f'<div><progress{value} style="{style}"></progress>{escaped(self.text())}</div>'

    def _time(self) -> str:
        """Return how long it took, or will take."""
        if self.seconds is not None:
            return f" in {words(self.seconds)}"
        made = self.made - self.first
        if not self.total or made <= 0:
            return ""
        left = (time.monotonic() - self.began) / made * (self.total - self.made)
        return f", about {words(left)} left" if left > 0 else ""


class Board:
    """An output of a notebook's cell with the lines of calls that are under way."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._output = notebook.Output()
        self._at = 0.0

    def refresh(self, *, at_once: bool = False) -> None:
        """Show the blocks, if the last update was long enough ago, or if it must be now."""
        now = time.monotonic()
        if at_once or now - self._at >= _EVERY:
            self._at = now
            html = "".join(block.html() for block in self.blocks)
            text = "\n".join(block.text() for block in self.blocks)
            self._output.show({"text/html": html, "text/plain": text})


_outer: list[Board] = []
"""The boards that collect the bars inside of them, the innermost last."""
_of_cell: tuple[object, Board] | None = None
"""The execution of a cell, and its board: a loop of calls shares one output."""


@contextlib.contextmanager
def collecting(board: Board) -> Iterator[None]:
    """Show bars inside of this context on a board."""
    _outer.append(board)
    try:
        yield
    finally:
        _outer.remove(board)


def _board() -> Board:
    """Return the board for a new bar."""
    global _of_cell
    if _outer:
        return _outer[-1]
    shell = notebook.shell()
    cell = shell, getattr(shell, "execution_count", 0)
    if _of_cell is None or _of_cell[0] != cell:
        _of_cell = cell, Board()
    return _of_cell[1]


class _CellBar(Bar):
    """A line of a board, which it joins after `DELAY`."""

    def __init__(self, count: Count) -> None:
        self.count = count
        self._board: Board | None = None

    def update(self, amount: int = 1) -> None:
        """Advance by an amount."""
        self.count.made += amount
        if self._board is None:
            if time.monotonic() - self.count.began < DELAY:
                return
            self._board = _board()
            kept = [block for block in self._board.blocks if not _has_ended(block)]
            self._board.blocks = [*kept, self.count]
        self._board.refresh()

    def close(self) -> None:
        """Leave the board; the line of the only call stays, as a board is never empty."""
        if self._board is None:
            return
        self.count.end()
        if len(self._board.blocks) > 1:
            self._board.blocks.remove(self.count)
        self._board.refresh(at_once=True)
        self._board = None


def _has_ended(block: Block) -> bool:
    return isinstance(block, Count) and block.seconds is not None
