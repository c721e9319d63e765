"""What may hold of numbers, checked in one pass and one host read, and how errors say it."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

Rule = tuple[Callable[[Tensor], Tensor], float, float]
"""A function of values, elementwise, and the least and greatest result that is allowed."""
LARGEST = sys.float_info.max
_BLOCK = 2**17


def hold(x: Tensor, rules: list[Rule]) -> bool:
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
    """Return a scalar with as few digits as tell it from its neighbours: 1 - 2^-24 is not 1."""
    number = value.item()
    if isinstance(number, int):
        return str(number)
    texts = [f"{number:.{digits}g}" for digits in (6, 9, 17)]
    read = {t: torch.tensor(float(t), dtype=torch.float64).to(value.dtype).item() for t in texts}
    return next((text for text, again in read.items() if again == number), texts[0])


def scale_hint(low: float, high: float) -> str:
    """Return what to divide values of [low, high] by, so that they are in [0, 1]; or nothing."""
    if not (high > 1 and low >= 0) or math.isinf(high):
        return ""
    scale = 255.0 if 127 < high < 255 else high
    return f"Values reach {high:g}. Divide by {scale:g}? Give --data.scale {scale:g}."


def renumbered(message: str, noun: str, rows: Sequence[int]) -> str:
    """Return what `Space.require` says of some rows, with the numbers that they have among all.

    >>> renumbered("It takes dozens; row 1 holds 3.", "row", [0, 4])
    'It takes dozens; row 4 holds 3.'
    """
    number = re.compile(rf"; {re.escape(noun)} (\d+)")
    return number.sub(lambda found: f"; {noun} {rows[int(found[1])]}", message, count=1)


def same(x: Tensor) -> Tensor:
    """Return the values themselves."""
    return x


def spread(x: Tensor) -> Tensor:
    """Return x − x², which is 0 at 0 and 1 alone. Ten times as fast as two comparisons."""
    return torch.addcmul(x, x, x, value=-1)


def fraction(x: Tensor) -> Tensor:
    """Return the distance to the next whole number."""
    return x - x.round()


def off_level(steps: int) -> Callable[[Tensor], Tensor]:
    """Return the distance of values from the next multiple of 1/steps, in such steps."""

    def off(x: Tensor) -> Tensor:
        # In float32 a value of 2^16 levels is itself known to a hundredth of a level alone.
        return fraction(x.double() * steps)

    return off


def _pieces(x: Tensor) -> Iterator[Tensor]:
    """Yield the values of ``x``, of (N, ...), as pieces that fit a processor's cache."""
    x = x.to(torch.uint8) if x.dtype == torch.bool else x
    if x.numel() <= _BLOCK:
        yield x
    else:
        yield from torch.split(x, max(1, _BLOCK // math.prod(x.shape[1:])))
