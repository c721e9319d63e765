"""Checks that weights and states are finite, which name the damaged tensor."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from genzoo.errors import NotFiniteWeightsError
from genzoo.values import is_trusted

_checked: ContextVar[tuple[nn.Module, ...]] = ContextVar("checked", default=())
_NAMED = 3


class RunningTotal:
    """A running sum of values, so that one host read tells whether all were finite.

    If the sum is finite, every value is, because NaN and infinity persist in it. A sum that is not
    finite may also come from large finite values, so a second check must follow.
    """

    def __init__(self) -> None:
        self.totals: list[Tensor] = []

    def __call__(self, x: Tensor) -> Tensor:
        """Add the values of ``x`` and return it; nothing is read from the device."""
        self.totals.append(total(x))
        if len(self.totals) == 2:  # A running total: a trajectory may have a million states.
            self.totals = [self.totals[0] + self.totals[1]]
        return x

    def suspects(self) -> bool:
        """Whether a value may have been NaN or infinity; one host read."""
        return not finite(self.totals)


def total(x: Tensor) -> Tensor:
    """Return the sum of all values, at least in float32, because half precision would overflow."""
    x = torch.view_as_real(x.detach().resolve_conj()) if x.is_complex() else x.detach()
    narrow = x.is_floating_point() and x.dtype.itemsize < 4
    return x.sum(dtype=torch.float32 if narrow else None)


def finite(totals: Iterable[Tensor]) -> bool:
    """Whether the sum of scalars is finite; one host read."""
    found = list(totals)
    return not found or math.isfinite(torch.stack(found).sum().item())


def check_weights(model: nn.Module) -> None:
    """Raise NotFiniteWeightsError if a parameter or a buffer contains NaN or infinity.

    One pass over the weights, and one host read. Infinity in a buffer that is not stored is
    allowed: masks of attention are made of it. Within `genzoo.values.trusted`, and for what is
    within a model that `weights_checked` has looked at, nothing is read.
    """
    checked = (part for root in _checked.get() for part in root.modules())
    if is_trusted() or any(model is part for part in checked):
        return
    if not finite(total(t) for t in _tensors(model) if _is_real(t)):
        name_broken(model)


@contextlib.contextmanager
def weights_checked(model: nn.Module) -> Iterator[None]:
    """Check a model's weights once for all calls of the model inside."""
    check_weights(model)
    token = _checked.set((*_checked.get(), model))
    try:
        yield
    finally:
        _checked.reset(token)


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    """Yield parameters and buffers; shared ones come twice, which is cheaper than a set."""
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            yield from (t for t in held.values() if t is not None)


def _is_real(t: Tensor) -> bool:
    return (t.is_floating_point() or t.is_complex()) and t.dtype.itemsize > 1 and not t.is_meta


def name_broken(model: nn.Module) -> None:
    """Check each parameter and buffer separately, and raise if one is not finite.

    Raises:
        NotFiniteWeightsError: Some are not finite; the message names the first.
    """
    stored = model.state_dict(keep_vars=True)
    named = itertools.chain(model.named_parameters(), model.named_buffers())
    broken = [
        f"{name} ({count} of {t.numel()} values)"
        for name, t in named
        if _is_real(t) and (count := _num_broken(t, masks=name not in stored))
    ]
    if not broken:
        return
    more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    raise NotFiniteWeightsError(
        f"{type(model).__name__} has weights that are not finite: {', '.join(broken[:_NAMED])}"
        f"{more}. The file they came from is damaged, or training diverged: load them again, or "
        "take an earlier checkpoint."
    )


def _num_broken(t: Tensor, *, masks: bool) -> int:
    wrong = torch.isnan(t) if masks else ~torch.isfinite(t)
    return int(wrong.sum())
