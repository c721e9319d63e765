"""Rules of numbers, checked in one pass and with one host read, and their error messages."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

Rule = tuple[Callable[[Tensor], Tensor], float, float]
"""An elementwise function of values, with the bounds of its result."""
LARGEST = sys.float_info.max
_BLOCK = 2**17


def hold(x: Tensor, rules: list[Rule]) -> bool:
    """Whether all values satisfy the rules; one host read."""
    ends = [end for function, _, _ in rules for p in _pieces(x) for end in function(p).aminmax()]
    found = torch.stack(ends).tolist()
    size = len(found) // len(rules)
    parts = [found[i * size : (i + 1) * size] for i in range(len(rules))]
    return all(
        low <= end <= high
        for (_, low, high), part in zip(rules, parts, strict=True)
        for end in part
    )


def first_bad(x: Tensor, rules: list[Rule]) -> tuple[int, Tensor]:
    """Return the first row with a value that breaks a rule, and that value, a scalar."""
    bad = torch.zeros(x.shape, dtype=torch.bool, device=x.device)
    for function, low, high in rules:
        found = torch.cat([function(part) for part in _pieces(x)]).view(x.shape)
        # In float32 the greatest finite bound is infinity.
        bad |= ~((found >= low) & (found <= high) & torch.isfinite(found))
    row = int(bad.reshape(len(x), -1).any(1).nonzero()[0])
    return row, x[row][bad[row]].reshape(-1)[0]


def shortest(value: Tensor) -> str:
    """Return a scalar with the fewest digits that distinguish it from its neighbours."""
    number = value.item()
    if isinstance(number, int):
        return str(number)
    texts = [f"{number:.{digits}g}" for digits in (6, 9, 17)]
    read = {t: torch.tensor(float(t), dtype=torch.float64).to(value.dtype).item() for t in texts}
    return next((text for text, again in read.items() if again == number), texts[0])


def scale_hint(low: float, high: float) -> str:
    """Return the divisor that brings values of [low, high] into [0, 1], or nothing."""
    if not (high > 1 and low >= 0) or math.isinf(high):
        return ""
    scale = 255.0 if 127 < high < 255 else high
    return (
        f"Values reach {high:g}. Divide by {scale:g}? Give --data.scale {scale:g}; in Python, "
        f"scale={scale:g}."
    )


def renumbered(message: str, noun: str, rows: Sequence[int]) -> str:
    """Return a message of `Space.require` about some rows with their numbers among all rows.

    >>> renumbered("It takes dozens; row 1 holds 3.", "row", [0, 4])
    'It takes dozens; row 4 holds 3.'
    """
    number = re.compile(rf"; {re.escape(noun)} (\d+)")
    return number.sub(lambda found: f"; {noun} {rows[int(found[1])]}", message, count=1)


def same(x: Tensor) -> Tensor:
    """Return the values themselves."""
    return x


def spread(x: Tensor) -> Tensor:
    """Return x − x², which is 0 only at 0 and 1; ten times as fast as two comparisons."""
    return torch.addcmul(x, x, x, value=-1)


def fraction(x: Tensor) -> Tensor:
    """Return the distance to the nearest integer."""
    return x - x.round()


def off_level(steps: int) -> Callable[[Tensor], Tensor]:
    """Return the distance of values from the nearest multiple of 1/steps, in steps."""

    def off(x: Tensor) -> Tensor:
        # In float32, a value of 2^16 levels is only precise to a hundredth of a level.
        return fraction(x.double() * steps)

    return off


def _pieces(x: Tensor) -> Iterator[Tensor]:
    """Yield the values of ``x`` (N, ...) in pieces that fit the processor's cache."""
    x = x.to(torch.uint8) if x.dtype == torch.bool else x
    if x.numel() <= _BLOCK:
        yield x
    else:
        yield from torch.split(x, max(1, _BLOCK // math.prod(x.shape[1:])))
