"""Means over processes: of a player's gradients, while the backward pass goes on, and of numbers.

The gradients of most moves are averaged by torch's `DistributedDataParallel`: as soon as the
gradients of a bucket are there, they are sent, while the backward pass computes the next ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from genzoo.errors import TrainingError


class GradientAverage:
    """The mean of one player's gradients over processes.

    In the first update, the gradients go in one message after the backward pass, which also says
    which parameters have a gradient on which process. If all have one, every later move must give
    each a gradient, and sends them during the backward pass. Gradients that are given without
    autograd are sent after it, since there is nothing to overlap with.

    Arguments:
        names: The names of the parameters, for the message of an error.
        parameters: The parameters.
        finds_unused: Whether to look for parameters without a gradient on every move.
    """

    def __init__(
        self, names: Sequence[str], parameters: Sequence[nn.Parameter], *, finds_unused: bool
    ) -> None:
        self.names, self.parameters = list(names), list(parameters)
        self._finds_unused, self._complete, self._first = finds_unused, True, True
        self._given, self._sent = False, False
        self._sender: DistributedDataParallel | None = None

    def through(self, value: Tensor, *, last: bool, given: bool) -> Tensor:
        """Return the loss whose backward pass also sends gradients, if this player's do.

        Arguments:
            value: The loss of a micro-batch.
            last: Whether the move has no further micro-batch, so that gradients are complete.
            given: Whether the loss also has gradients that are known without autograd.
        """
        if given:
            # They are added outside of the backward pass, which would have sent the others.
            self._given, self._sender = True, None
        if self._sender is None or not last:
            return value
        self._sent = True
        sent: Tensor = self._sender(value)
        return sent

    def finish(self) -> None:
        """Average what the backward pass has not sent.

        Raises:
            TrainingError: A parameter has no gradient, though it had one in the first update.
        """
        if self._first or self._finds_unused:
            self._complete &= average(self.parameters)
            return
        # Else its bucket was not sent, or other processes wait for a longer message.
        self._demand_all()
        if not self._sent:
            _average(self.parameters)
        self._sent = False

    def next_update(self) -> None:
        """Decide after the first update how later ones average."""
        if self._first:
            self._first = False
            self._finds_unused |= not self._complete
            if not (self._finds_unused or self._given):
                self._sender = overlapping(self.parameters)

    def _demand_all(self) -> None:
        missing = [
            name
            for name, parameter in zip(self.names, self.parameters, strict=True)
            if parameter.grad is None
        ]
        if missing:
            raise TrainingError(
                f"{', '.join(missing[:5])} had a gradient in the first update and has none now. "
                "Give --trainer.ddp-find-unused-parameters, or in "
                "Python ddp_find_unused_parameters=True."
            )


class _Through(nn.Module):
    """A module that returns a loss unchanged.

    The networks are not called through `DistributedDataParallel`, because an objective calls them
    by any method, and has several players. A loss that passes through this module is enough for
    it: its hooks are on the parameters.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__()
        self.own = nn.ParameterList(parameters)

    def forward(self, loss: Tensor) -> Tensor:
        """Return the loss."""
        return loss


def overlapping(parameters: Sequence[nn.Parameter]) -> DistributedDataParallel:
    """Return what sends gradients of parameters during the backward pass of a loss."""
    # The gradients are views of the buckets, so they are not copied back.
    return DistributedDataParallel(
        _Through(parameters),
        init_sync=False,
        gradient_as_bucket_view=True,
    )


def average(parameters: Sequence[nn.Parameter]) -> bool:
    """Average gradients, and return whether all parameters have one on every process.

    A gradient that some process lacks counts as 0 there. One that no process has stays None.
    """
    has = [parameter.grad is not None for parameter in parameters]
    shares = start_mean(torch.tensor(has, dtype=torch.float32, device=parameters[0].device))()
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    _average(parameters)
    found: list[float] = shares.tolist()
    for parameter, share in zip(parameters, found, strict=True):
        if share == 0:
            parameter.grad = None
    return min(found) == 1.0


def _average(parameters: Sequence[nn.Parameter]) -> None:
    """Average gradients in place, with one message for each dtype."""
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for dtype in dict.fromkeys(grad.dtype for grad in grads):
        chosen = [grad for grad in grads if grad.dtype == dtype]
        mean = start_mean(torch.cat([grad.reshape(-1) for grad in chosen]))()
        parts = torch.split(mean, [grad.numel() for grad in chosen])
        for grad, part in zip(chosen, parts, strict=True):
            grad.copy_(part.view_as(grad))


def start_mean(values: Tensor) -> Callable[[], Tensor]:
    """Start to average a tensor over processes, in place, and return a function that waits."""
    work: Any = dist.all_reduce(values, async_op=True)

    def wait() -> Tensor:
        work.wait()
        return values.div_(dist.get_world_size())

    return wait
