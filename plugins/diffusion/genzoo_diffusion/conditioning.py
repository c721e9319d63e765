"""Conditions as the network receives them, and the embedder that makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.plugin import Conditions, Label, Space, Text
from genzoo_diffusion.text_encoders import Encoded, TextEncoder


@dataclass(frozen=True, kw_only=True)
class Signal:
    """The conditions of B rows as the network receives them; unused fields are None.

    Arguments:
        labels: Indices into a table of class embeddings, (B,), int64.
        tokens: The states of a text, (B, L, D).
        mask: Which states may be attended to, (B, L), bool.
    """

    labels: Tensor | None = None
    tokens: Tensor | None = None
    mask: Tensor | None = None

    def stacked_with(self, other: Signal) -> Signal:
        """Return the concatenation, (2B, ...)."""
        return self._combined(other, lambda a, b: torch.cat([a, b]))

    def where(self, keep: Tensor, other: Signal) -> Signal:
        """Return the rows of self where ``keep`` (B,), else those of the other."""
        return self._combined(
            other, lambda a, b: torch.where(keep.view(-1, *[1] * (a.ndim - 1)), a, b)
        )

    def rows(self, index: slice | Tensor) -> Signal:
        """Return some rows, by a slice or by their indices (N,), int64."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Signal(**{k: None if v is None else v[index] for k, v in values.items()})

    def _combined(self, other: Signal, combine: Callable[[Tensor, Tensor], Tensor]) -> Signal:
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        return Signal(**{k: None if a is None else combine(a, b) for k, (a, b) in pairs.items()})


class Embedder(nn.Module):
    """Encodes a model's conditions as signals: a label, a text, both or none.

    A label is an index into a table of C + 1 classes; the last stands for no label. A text is
    encoded by its encoder; the empty text stands for no text. Signals of one embedder have the
    same fields, and the same shapes except for the rows. The encoder's trainable parameters, if
    any, are trained with the network.

    | Classifier-Free Diffusion Guidance (Ho, Salimans, 2022)

    Arguments:
        conditions: The space of each condition by its name, at most one of them a `Label` and
            one a `Text`.
        encoder: Encodes the texts; None without texts.
    """

    def __init__(
        self, conditions: Mapping[str, Space], encoder: TextEncoder | None = None
    ) -> None:
        super().__init__()
        self.label, self.text = named(conditions, Label), named(conditions, Text)
        self.num_classes = num_classes_of(conditions) or 0
        self.encoder: Any = encoder

    def forward(
        self,
        conditions: Conditions,
        device: torch.device,
        dropped: Mapping[str, Tensor] | None = None,
    ) -> Signal:
        """Return the signal of B rows of each condition.

        Arguments:
            conditions: Rows by name, in canonical form, on the device; they are not checked.
            device: The device of the signal.
            dropped: Which rows of a condition are replaced by null, (B,) bool, by its name.

        Raises:
            ConditionError: A text is too long, or has no known word.
        """
        told, dropped = Signal(), dropped or {}
        if self.text is not None:
            told = self._told(conditions[self.text], device, dropped.get(self.text))
        if self.label is None:
            return told
        return replace(told, labels=self._labels(conditions[self.label], dropped.get(self.label)))

    def null(self, num: int, device: torch.device) -> Signal:
        """Return the signal of ``num`` rows without conditions."""
        told = Signal() if self.text is None else self._nothing(num, device)
        if self.label is None:
            return told
        return replace(told, labels=torch.full((num,), self.num_classes, device=device))

    def _labels(self, labels: Tensor, dropped: Tensor | None) -> Tensor:
        absent = labels < 0 if dropped is None else dropped | (labels < 0)
        return torch.where(absent, self.num_classes, labels)

    def _told(self, texts: Sequence[str], device: torch.device, dropped: Tensor | None) -> Signal:
        signal = self._encoded(texts, device)
        if dropped is None:
            return signal
        # Replacing the texts themselves would wait for the device, which draws `dropped`.
        return signal.where(~dropped, self._nothing(len(texts), device))

    def _nothing(self, num: int, device: torch.device) -> Signal:
        """Return the signal of ``num`` empty texts."""
        one = self._encoded([""], device)
        mask = None if one.mask is None else one.mask.expand(num, -1)
        return Signal(
            tokens=None if one.tokens is None else one.tokens.expand(num, -1, -1), mask=mask
        )

    def _encoded(self, texts: Sequence[str], device: torch.device) -> Signal:
        """Return the signal of texts; repeated texts are encoded once."""
        if not texts:  # Encoders of transformers cannot take no rows.
            return self._nothing(0, device)
        row = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        encoded: Encoded = self.encoder(list(row), device)
        signal = Signal(tokens=encoded.sequence, mask=encoded.mask)
        if len(row) == len(texts):
            return signal
        return signal.rows(torch.tensor([row[text] for text in texts], device=device))


def named(conditions: Mapping[str, Space], kind: type[Space]) -> str | None:
    """Return the name of the condition whose space is of a class; None if there is none.

    >>> named({"digit": Label(num_classes=10)}, Label), named({}, Text)
    ('digit', None)
    """
    return next((name for name, space in conditions.items() if isinstance(space, kind)), None)


def num_classes_of(conditions: Mapping[str, Space]) -> int | None:
    """Return the number of classes C of the condition that is a `Label`; None without one."""
    found = (space.num_classes for space in conditions.values() if isinstance(space, Label))
    return next(found, None)
