"""Ctrl-C and SIGTERM: noted when they arrive, acted on at the next safe moment."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupts:
    """Whether a signal has asked the run to stop."""

    def __init__(self) -> None:
        self.signum = 0

    def note(self, signum: int, frame: FrameType | None = None) -> None:
        """Remember the signal for the loop. A second Ctrl-C stops immediately."""
        # Noted, not raised: an exception could arrive while a checkpoint is written or a player
        # steps. Checkpoints are always between two steps.
        if self.signum and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.signum = signum


@contextlib.contextmanager
def listening() -> Iterator[Interrupts]:
    """Listen for SIGINT and SIGTERM; this is only possible in the main thread."""
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    signums = (signal.SIGINT, signal.SIGTERM)
    before = {signum: signal.signal(signum, interrupts.note) for signum in signums}
    try:
        yield interrupts
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)
