"""What goes wrong when a test asks for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hub_server.answers import Answer
from hub_server.log import Request


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong with an answer. Offsets are of the whole file, also in a Range.

    Arguments:
        status: Answered in place of the real answer.
        headers: Sent with that status, such as Retry-After.
        message: Its text.
        body: What is answered with that status in place of the text.
        after: Whether the request is carried out before that status is answered.
        cut: The connection is closed when so many bytes of the body were sent.
        stall: Nothing more is sent after so many bytes of the body; 0 sends not even a status.
        corrupt: The byte there is flipped.
        truncate: The body ends there, and its stated length is that of the short body.
        reset: The connection is reset before anything is answered.

    A fault of the body strikes, and is used up, only where the byte that it names is sent.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "A fault that the test asked for."
    body: bytes | None = None
    after: bool = False
    cut: int | None = None
    stall: int | None = None
    corrupt: int | None = None
    truncate: int | None = None
    reset: bool = False

    @property
    def offset(self) -> int | None:
        """The byte that a fault of the body names; None of another fault."""
        named = (self.cut, self.stall or None, self.corrupt, self.truncate)
        return next((n for n in named if n is not None), None)

    def strikes(self, answer: Answer) -> bool:
        """Whether the byte that a fault of the body names is in this answer."""
        start = answer.start
        return self.offset is not None and start <= self.offset < start + len(answer.body)

    def instead(self) -> Answer:
        """Return what is answered in place of the real answer."""
        if self.body is not None:
            kind = {"Content-Type": "application/json"}
            return Answer(self.status, {**kind, **self.headers}, self.body)
        return Answer.of({"error": self.message}, self.status, dict(self.headers))

    def changed(self, answer: Answer) -> Answer:
        """Return the answer with its body spoilt."""
        body = bytearray(answer.body)
        if self.corrupt is not None:
            body[self.corrupt - answer.start] ^= 0xFF
        if self.truncate is not None:
            del body[self.truncate - answer.start :]
        return Answer(answer.status, dict(answer.headers), bytes(body), answer.start)

    def sent(self, answer: Answer) -> int | None:
        """Return how many bytes of the body are sent; None sends all."""
        offset = self.cut if self.cut is not None else self.stall
        return None if offset is None else max(0, offset - answer.start)


@dataclass
class Planned:
    """A fault, which requests it strikes, and how often it will."""

    fault: Fault
    method: str
    path: str
    times: int

    def matches(self, request: Request) -> bool:
        """Whether a request is one of those that it strikes."""
        fits = re.fullmatch(self.method, request.method) and re.search(self.path, request.path)
        return self.times > 0 and bool(fits)


class Faults:
    """The faults that are still to come."""

    def __init__(self) -> None:
        self._planned: list[Planned] = []

    def clear(self) -> None:
        """Forget them."""
        self._planned.clear()

    def add(self, planned: Planned) -> None:
        """Add one: of those that strike a request, the first that was added does."""
        self._planned.append(planned)

    def before(self, request: Request) -> Fault | None:
        """Take the fault that strikes a request, whatever its answer is."""
        return self._take(request, lambda fault: fault.offset is None)

    def within(self, request: Request, answer: Answer) -> Fault | None:
        """Take the fault that strikes the body of an answer."""
        if answer.status not in (200, 206):
            return None
        return self._take(request, lambda fault: fault.strikes(answer))

    def _take(self, request: Request, fits: Callable[[Fault], bool]) -> Fault | None:
        for planned in self._planned:
            if planned.matches(request) and fits(planned.fault):
                planned.times -= 1
                return planned.fault
        return None
