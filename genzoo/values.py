"""What rows may hold: a kind of numbers in a shape, and the check of it."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import DataError, GenzooError
from genzoo.spec import Kind

_trusting: ContextVar[bool] = ContextVar("trusting", default=False)
_WIDEST: tuple[Kind, ...] = ("real", "unit", "binary", "categorical")
_OFF_LEVEL = 0.01
_BLOCK = 2**17
_MAX = sys.float_info.max
_Rule = tuple[Callable[[Tensor], Tensor], float, float]
"""A function of values, elementwise, and the least and greatest result that is allowed."""


@contextlib.contextmanager
def trusted() -> Iterator[None]:
    """Within it the values of rows and weights are not read; shapes and types still are checked.

    It is for inner loops, such as an objective's losses or a sampler's steps: what they work with
    was checked where it came in, and a check of values waits for the device.
    """
    token = _trusting.set(True)
    try:
        yield
    finally:
        _trusting.reset(token)


@contextlib.contextmanager
def untrusted() -> Iterator[None]:
    """Within it values are read, inside of `trusted` too: for what was not checked before."""
    token = _trusting.set(False)
    try:
        yield
    finally:
        _trusting.reset(token)


def is_trusted() -> bool:
    """Whether the values of rows and weights are not to be read."""
    return _trusting.get()


@dataclass(frozen=True)
class Values:
    """What each row holds.

    Arguments:
        kind: Zeros and ones, real numbers in [0, 1], any finite real numbers, or class indices.
        shape: The shape of one row.
        levels: How many equally spaced values there are from 0 to 1, for "unit"; how many classes,
            for "categorical"; None for no such restriction.
    """

    kind: Kind
    shape: tuple[int, ...]
    levels: int | None = None

    @classmethod
    def widest(
        cls, kinds: Collection[str], shape: tuple[int, ...], levels: int | None = None
    ) -> Values:
        """Return the least restrictive of several kinds: all of them are allowed then.

        Levels are left out where the widest kind has none.
        """
        kind: Kind = next((kind for kind in _WIDEST if kind in kinds), "real")
        return cls(kind, shape, levels if kind in ("unit", "categorical") else None)

    def check(
        self,
        x: Any,
        who: str,
        *,
        noun: str = "row",
        at_least: int = 0,
        error: type[GenzooError] = DataError,
    ) -> None:
        """Raise ``error`` unless ``x`` is a tensor (N, *shape) of such values.

        Values are read in one pass and one host read; not on the meta device, which has none, nor
        within `trusted`.

        Arguments:
            x: The rows. Any real type will do: ``bool`` and ``uint8`` are numbers too.
            who: Whose rows they are; the message begins with it.
            noun: What one of them is called in the message.
            at_least: How many rows there must be.
            error: What is raised.
        """
        self._check_form(x, who, noun, at_least, error)
        if is_trusted() or x.is_meta or x.numel() == 0:
            return
        x, rules = x.detach(), self._rules(x)
        if not _hold(x, rules):
            row, value = _first_bad(x, rules)
            found = f"{'holds' if self.shape else 'is'} {_shortest(value)}"
            remedy = self._remedy(value.item(), noun)
            raise error(f"{who} takes {self}; {noun} {row} {found}. {remedy}")

    def _check_form(
        self, x: Any, who: str, noun: str, at_least: int, error: type[GenzooError]
    ) -> None:
        if not isinstance(x, Tensor):
            raise error(
                f"{who} takes {noun}s as a torch.Tensor, got {type(x).__name__}. Give "
                "torch.as_tensor(...)."
            )
        if x.is_complex():
            raise error(
                f"{who} takes real numbers; these {noun}s are {x.dtype}. Give their real parts, "
                "or their magnitudes."
            )
        if tuple(x.shape[1:]) != self.shape or x.ndim == 0:
            single = tuple(x.shape) == self.shape
            raise error(
                f"{who} takes {noun}s of shape {self.shape}, stacked along a first dimension; got "
                f"a tensor of shape {tuple(x.shape)}. "
                f"{f'Give one {noun} as x[None].' if single else 'Reshape or resize them.'}"
            )
        if len(x) < at_least:
            raise error(
                f"{who} got {len(x)} {noun}s, of shape {tuple(x.shape)}; at least {at_least} "
                f"{'is' if at_least == 1 else 'are'} needed. A mean over nothing is not a number."
            )

    def _rules(self, x: Tensor) -> list[_Rule]:
        """Return what must hold of each value; NaN is outside of every interval."""
        whole = not x.is_floating_point()
        if self.kind == "binary":
            # x − x² is 0 at 0 and 1 alone. Ten times as fast as two comparisons.
            return [(_same, 0, 1)] if whole else [(_spread, 0, 0)]
        if self.kind == "categorical":
            last = _MAX if self.levels is None else self.levels - 1
            return [(_same, 0, last), *([] if whole else [(_fraction, 0.0, 0.0)])]
        if self.kind == "real":
            return [(_same, -_MAX, _MAX)]
        steps = None if self.levels is None else self.levels - 1
        off = [] if steps is None else [(_off_level(steps), -_OFF_LEVEL, _OFF_LEVEL)]
        return [(_same, 0, 1), *off]

    def _remedy(self, value: float, noun: str) -> str:
        if not math.isfinite(value):
            return f"Remove or fill such {noun}s."
        if self.kind == "binary":
            first = "Divide by 255? Then binarise" if value >= 2 else "Binarise"
            return f"{first} them: (x > 0.5).float(), or load them with binarize='threshold'."
        if self.kind == "unit" and value > 1:
            return "Divide by 255?" if value >= 2 else "Divide by the greatest value, or clamp."
        if self.kind == "unit" and value < 0:
            return "Are they in [-1, 1]? Then give (x + 1) / 2."
        if self.kind == "unit" and self.levels is not None:
            steps = self.levels - 1
            return (
                f"Round them: (x * {steps}).round() / {steps}; or make the model with the data's "
                "own levels."
            )
        return "Give class indices, counted from 0."

    def __str__(self) -> str:
        if self.kind == "binary":
            return "zeros and ones"
        if self.kind == "real":
            return "finite numbers"
        if self.kind == "categorical":
            last = "" if self.levels is None else f" to {self.levels - 1}"
            return f"whole numbers from 0{last}"
        if self.levels is None:
            return "values in [0, 1]"
        return f"the {self.levels} levels 0, 1/{self.levels - 1}, ..., 1"


def known_mask(known: Any, x: Any, who: str) -> Tensor:
    """Return a mask of known values in the shape of the rows ``x``, and on their device.

    Raises:
        DataError: It is not of ``bool``, or of no shape that broadcasts to that of ``x``.
    """
    if not isinstance(known, Tensor) or known.dtype != torch.bool or not isinstance(x, Tensor):
        got = " and ".join(str(getattr(t, "dtype", type(t).__name__)) for t in (x, known))
        raise DataError(
            f"{who} completes rows where a mask of torch.bool is false; got {got}. Give "
            "known.bool()."
        )
    try:
        return known.to(x.device).expand_as(x)
    except RuntimeError as error:
        raise DataError(
            f"The mask of known values has shape {tuple(known.shape)}, which does not broadcast "
            f"to that of the rows, {tuple(x.shape)}. Give one value for each value of a row."
        ) from error


def _hold(x: Tensor, rules: list[_Rule]) -> bool:
    """Whether all values are within the rules' bounds: one host read."""
    ends = [end for function, _, _ in rules for p in _pieces(x) for end in function(p).aminmax()]
    found = torch.stack(ends).tolist()
    size = len(found) // len(rules)
    parts = [found[i * size : (i + 1) * size] for i in range(len(rules))]
    return all(
        low <= end <= high
        for (_, low, high), part in zip(rules, parts, strict=True)
        for end in part
    )


def _first_bad(x: Tensor, rules: list[_Rule]) -> tuple[int, Tensor]:
    """Return the first row with a value that breaks a rule, and that value, a scalar."""
    bad = torch.zeros(x.shape, dtype=torch.bool, device=x.device)
    for function, low, high in rules:
        found = torch.cat([function(part) for part in _pieces(x)]).view(x.shape)
        # In float32 the greatest finite bound is infinity.
        bad |= ~((found >= low) & (found <= high) & torch.isfinite(found))
    row = int(bad.reshape(len(x), -1).any(1).nonzero()[0])
    return row, x[row][bad[row]].reshape(-1)[0]


def _shortest(value: Tensor) -> str:
    """Return a scalar with as few digits as tell it from its neighbours: 1 - 2^-24 is not 1."""
    number = value.item()
    texts = [f"{number:.{digits}g}" for digits in (6, 9, 17)]
    read = {t: torch.tensor(float(t), dtype=torch.float64).to(value.dtype).item() for t in texts}
    return next((text for text, again in read.items() if again == number), texts[0])


def _pieces(x: Tensor) -> Iterator[Tensor]:
    """Yield the values of ``x``, of (N, ...), as pieces that fit a processor's cache."""
    x = x.to(torch.uint8) if x.dtype == torch.bool else x
    if x.numel() <= _BLOCK:
        yield x
    else:
        yield from torch.split(x, max(1, _BLOCK // math.prod(x.shape[1:])))


def _same(x: Tensor) -> Tensor:
    return x


def _spread(x: Tensor) -> Tensor:
    return torch.addcmul(x, x, x, value=-1)


def _fraction(x: Tensor) -> Tensor:
    return x - x.round()


def _off_level(steps: int) -> Callable[[Tensor], Tensor]:
    """Return the distance of values from the next level, in levels."""

    def off(x: Tensor) -> Tensor:
        # In float32 a value of 2^16 levels is itself known to a hundredth of a level alone.
        return _fraction(x.double() * steps)

    return off
