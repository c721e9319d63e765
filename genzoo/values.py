"""Whether values are checked, and masks of values to fill in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import DataError

_trusting: ContextVar[bool] = ContextVar("trusting", default=False)


def trusted() -> contextlib.AbstractContextManager[None]:
    """Inside, the values of rows and weights are not checked; shapes and types still are.

    It is for inner loops, such as an objective's losses or a sampler's steps. Their inputs were
    checked before, and a check of values waits for the device.
    """
    return _Trusted()


class _Trusted(contextlib.AbstractContextManager[None]):
    """See `trusted`. A generator would take three times as long, once in every update."""

    def __enter__(self) -> None:
        self._token = _trusting.set(True)

    def __exit__(self, *_: object) -> None:
        _trusting.reset(self._token)


@contextlib.contextmanager
def untrusted() -> Iterator[None]:
    """Inside, values are checked even within `trusted`, for rows that were not checked before."""
    token = _trusting.set(False)
    try:
        yield
    finally:
        _trusting.reset(token)


def is_trusted() -> bool:
    """Whether the values of rows and weights are not checked.

    While `torch.export` or `torch.compile` traces a graph there are no values to check.
    """
    return _trusting.get() or torch.compiler.is_compiling()


def inpainting_mask(mask: Any, x: Any, who: str) -> Tensor:
    """Return a mask of values to fill in, in the shape of the rows ``x`` and on their device.

    Raises:
        DataError: Its dtype is not ``bool``, or its shape does not broadcast to that of ``x``.
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or not isinstance(x, Tensor):
        got = " and ".join(str(getattr(t, "dtype", type(t).__name__)) for t in (x, mask))
        raise DataError(
            f"{who} fills in rows where a mask of torch.bool is true; got {got}. Give mask.bool()."
        )
    try:
        return mask.to(x.device).expand_as(x)
    except RuntimeError as error:
        raise DataError(
            f"The mask of values to fill in has shape {tuple(mask.shape)}, which does not "
            f"broadcast to that of the rows, {tuple(x.shape)}. Give one for each value of a row."
        ) from error
