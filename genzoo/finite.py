"""Whether weights and states are finite: what is damaged is named, not drawn from."""

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
    """Adds up all values that it is shown, so that one host read tells whether all were finite.

    A sum that is finite shows that every value is: NaN and infinity stay in it. One that is not
    may also be of values too large to be added up, which a second look must tell.
    """

    def __init__(self) -> None:
        self.totals: list[Tensor] = []

    def __call__(self, x: Tensor) -> Tensor:
        """Return ``x``, and remember its sum; nothing is read from the device."""
        self.totals.append(total(x))
        if len(self.totals) == 2:  # A running total: a trajectory may have a million states.
            self.totals = [self.totals[0] + self.totals[1]]
        return x

    def suspects(self) -> bool:
        """Whether something that was shown may hold NaN or infinity: one host read."""
        return not finite(self.totals)


def total(x: Tensor) -> Tensor:
    """Return the sum of all values, in float32 at least: half precision would overflow."""
    x = torch.view_as_real(x.detach().resolve_conj()) if x.is_complex() else x.detach()
    narrow = x.is_floating_point() and x.dtype.itemsize < 4
    return x.sum(dtype=torch.float32 if narrow else None)


def finite(totals: Iterable[Tensor]) -> bool:
    """Whether the sum of scalars is finite: one host read."""
    found = list(totals)
    return not found or math.isfinite(torch.stack(found).sum().item())


def check_weights(model: nn.Module) -> None:
    """Raise NotFiniteWeightsError where a parameter or a buffer holds NaN or infinity.

    One pass over the weights, and one host read. Infinity in a buffer that is not stored is
    allowed: masks of attention are made of it. Within `genzoo.values.trusted`, and for what is
    within a model that `weights_checked` has looked at, nothing is read.
    """
    if is_trusted() or _is_checked(model):
        return
    if not finite(total(t) for t in _tensors(model) if _is_real(t)):
        name_broken(model)


@contextlib.contextmanager
def weights_checked(model: nn.Module) -> Iterator[None]:
    """Check a model's weights once for all that is asked of the model within."""
    check_weights(model)
    token = _checked.set((*_checked.get(), model))
    try:
        yield
    finally:
        _checked.reset(token)


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    """Yield parameters and buffers; one that is shared comes twice, cheaper than a set of them."""
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            yield from (t for t in held.values() if t is not None)


def _is_checked(model: nn.Module) -> bool:
    return any(model is part for root in _checked.get() for part in root.modules())


def _is_real(t: Tensor) -> bool:
    return (t.is_floating_point() or t.is_complex()) and t.dtype.itemsize > 1 and not t.is_meta


def name_broken(model: nn.Module) -> None:
    """Look at each parameter and buffer by itself, and raise where one is broken.

    Raises:
        NotFiniteWeightsError: Some are; the message names the first of them.
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
