"""What is known of the values of rows, found out by blocks and only as far as needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genzoo.data.arrays.rows import blocks, is_whole_type
from genzoo.errors import DataError

_VALUES = 2**20
"""The numbers of a block, few enough for the processor's cache."""
_LARGEST = torch.finfo(torch.float32).max


@dataclass(frozen=True)
class Facts:
    """Facts about the values that were read.

    Arguments:
        low: The least value.
        high: The greatest value.
        whole: Whether all are whole numbers.
        two: Whether all are 0 or the value that was asked for.
    """

    low: float
    high: float
    whole: bool = True
    two: bool = True

    def and_those_of(self, other: Facts) -> Facts:
        """Return the facts of both values together."""
        return Facts(
            min(self.low, other.low),
            max(self.high, other.high),
            self.whole and other.whole,
            self.two and other.two,
        )


def _never(facts: Facts) -> bool:
    return False


def look_at(
    rows: Tensor, name: str, top: float = 1.0, *, until: Callable[[Facts], bool] = _never
) -> Facts:
    """Return facts about rows.

    Arguments:
        rows: The rows, (N, ...), of any real type.
        name: Their name, for errors.
        top: The value of the fact ``two``.
        until: Tells from the facts so far whether they are enough.

    Raises:
        DataError: A value is NaN, or is infinite in float32.
    """
    found: Facts | None = None
    for block in blocks(rows, _VALUES):
        new = _of_block(block, top, found)
        if not -_LARGEST <= new.low <= new.high <= _LARGEST:
            raise _not_finite(rows, name)
        found = new if found is None else found.and_those_of(new)
        if until(found):
            break
    return found or Facts(0, 0)


def _of_block(block: Tensor, top: float, before: Facts | None) -> Facts:
    """Return facts about a block; what was refuted before is not tested again."""
    maybe_whole, maybe_two = (before.whole, before.two) if before else (True, True)
    low: float
    high: float
    if is_whole_type(block):
        # By numpy, because torch does not compare wide unsigned integers.
        array = block.numpy()
        low, high = int(array.min()), int(array.max())
        two = maybe_two and low >= 0 and high <= top
        if two and top != 1:
            two = bool(((array == 0) | (array == top)).all())
        return Facts(low, high, two=two)
    values = block.float() if block.dtype in (torch.float16, torch.bfloat16) else block
    low, high = (value.item() for value in torch.aminmax(values))
    two = maybe_two and bool(((values == 0) | (values == top)).all())
    return Facts(low, high, maybe_whole and bool((values == values.round()).all()), two)


def _not_finite(rows: Tensor, name: str) -> DataError:
    """Return the error that counts the rows with NaN or infinity, and names the first."""
    bad = torch.cat(
        [~(b.double().abs() <= _LARGEST).flatten(1).all(1) for b in blocks(rows, _VALUES)]
    )
    first = int(bad.nonzero()[0])
    finite = bool(rows[first].isfinite().all())
    what = "numbers that float32 cannot hold (above 3.4e38)" if finite else "NaN or infinity"
    return DataError(
        f"{name} holds {what}, in {int(bad.sum())} of {len(rows)} rows, the first of which is row "
        f"{first}. {'Rescale' if finite else 'Remove or fill'} them."
    )
