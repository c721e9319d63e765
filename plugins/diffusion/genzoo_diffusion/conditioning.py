"""What a network is told of a condition, and who makes it of the condition."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from genzoo import ConditionError, Values
from genzoo.values import untrusted


@dataclass(frozen=True, kw_only=True)
class Signal:
    """What a network is told of B conditions; a field is None where it is told nothing by it.

    Arguments:
        labels: Indices into a table of class embeddings, (B,), int64.
        tokens: The states of a text, (B, L, D).
        mask: Which of them there are, (B, L), bool.
    """

    labels: Tensor | None = None
    tokens: Tensor | None = None
    mask: Tensor | None = None

    def beside(self, other: Signal) -> Signal:
        """Return both, one after the other, (2B, ...)."""
        return self._combined(other, lambda a, b: torch.cat([a, b]))

    def where(self, keep: Tensor, other: Signal) -> Signal:
        """Return this one's rows where ``keep`` (B,), the other's elsewhere."""
        return self._combined(
            other, lambda a, b: torch.where(keep.view(-1, *[1] * (a.ndim - 1)), a, b)
        )

    def rows(self, index: slice | Tensor) -> Signal:
        """Return some rows, by a slice or by their numbers (N,), int64."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Signal(**{k: None if v is None else v[index] for k, v in values.items()})

    def _combined(self, other: Signal, combine: Callable[[Tensor, Tensor], Tensor]) -> Signal:
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        return Signal(**{k: None if a is None else combine(a, b) for k, (a, b) in pairs.items()})


class Embedder(nn.Module, abc.ABC):
    """Makes signals of conditions of one kind; abstract.

    Signals of one embedder fit each other: same fields, same shapes but for the rows. What it
    learns, if anything, is trained with the network.
    """

    @abc.abstractmethod
    def forward(self, condition: Any, num: int, device: torch.device) -> Signal:
        """Return the signal of ``num`` conditions, or of one for all.

        Raises:
            ConditionError: One is missing, superfluous, or not understood.
        """

    @abc.abstractmethod
    def null(self, num: int, device: torch.device) -> Signal:
        """Return the signal of ``num`` times no condition."""


class NoCondition(Embedder):
    """For models without a condition."""

    def forward(self, condition: Any, num: int, device: torch.device) -> Signal:
        """Return the empty signal."""
        if condition is not None:
            raise ConditionError("This model takes no condition. Leave it out.")
        return Signal()

    def null(self, num: int, device: torch.device) -> Signal:
        """Return the empty signal."""
        return Signal()


class LabelEmbedder(Embedder):
    """Labels 0 … C − 1, and one class more that stands for no label.

    | Classifier-Free Diffusion Guidance (Ho, Salimans, 2022)

    Arguments:
        num_classes: C.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, condition: Any, num: int, device: torch.device) -> Signal:
        """Return the labels, after a look at them."""
        if condition is None:
            raise ConditionError("This model needs a label for each sample. Give condition=....")
        labels = torch.as_tensor(condition, device=device)
        if labels.is_floating_point() or labels.shape not in ((), (num,)):
            raise ConditionError(
                f"Labels must be {num} whole numbers from 0 to {self.num_classes - 1}; got "
                f"{labels.dtype} values of shape {tuple(labels.shape)}."
            )
        # In training the Trainer has looked: a look here would wait for the device at each step.
        # A sampler's own labels, such as a negative, nobody has looked at; it asks once a chain.
        known = Values("categorical", (), self.num_classes)
        with contextlib.nullcontext() if self.training else untrusted():
            known.check(labels.reshape(-1), "This model", noun="label", error=ConditionError)
        return Signal(labels=labels.long().expand(num))

    def null(self, num: int, device: torch.device) -> Signal:
        """Return the class that stands for no label."""
        return Signal(labels=torch.full((num,), self.num_classes, device=device))
