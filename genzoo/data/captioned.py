"""Captions of rows, drawn from a grammar at each presentation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo.captions import Grammar
from genzoo.data.dataset import Dataset, TransformedDataset
from genzoo.errors import DataError
from genzoo.spaces import Text


class Captioned(TransformedDataset):
    """Rows with a caption in the field "text".

    Arguments:
        dataset: The rows; a batch must have a value for each slot of the templates, usually only
            ``label``.
        templates: The templates of the captions; see `genzoo.captions`.

    Raises:
        DataError: The rows already have captions, lack a field of the templates, or have another
            number of labels.
    """

    def __init__(self, dataset: Dataset, templates: Sequence[str]) -> None:
        super().__init__(dataset)
        self.grammar = Grammar(templates)
        _check(dataset, self.grammar)
        self.info = dataset.info.with_field("text", Text(templates=tuple(templates)))
        self.name = f"{dataset.name} (captions)"

    def transform(
        self, batch: dict[str, Any], generator: torch.Generator | None
    ) -> dict[str, Any]:
        """Return rows, each with a new caption."""
        slots = self.grammar.slots
        columns = [batch[slot] for slot in slots]
        self._check(columns)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        values = [dict(zip(slots, row, strict=True)) for row in rows]
        known = [min(row.values(), default=0) >= 0 for row in values]
        told = [{slot: max(0, value) for slot, value in row.items()} for row in values]
        texts = self.grammar.draw(told, generator)
        # A row without a value has no caption.
        return {**batch, "text": [t if k else "" for t, k in zip(texts, known, strict=True)]}

    def _check(self, columns: Sequence[Tensor]) -> None:
        """Raise DataError if a row has a value that the templates have no words for."""
        for (slot, num), values in zip(self.grammar.slots.items(), columns, strict=True):
            if len(values) and bool(((values < -1) | (values >= num)).any()):
                wrong = values[(values < -1) | (values >= num)][0]
                raise DataError(
                    f"{self.name} has the {slot} {int(wrong)}; its templates have words for 0 to "
                    f"{num - 1}, and −1 stands for none. Give {{{slot}=...}} a choice for each."
                )

    def select(self, fields: Collection[str]) -> Dataset:
        """Return the rows with some of their fields; captions are drawn only if needed."""
        return super().select(fields) if "text" in fields else self.dataset.select(fields)


def caption(dataset: Dataset, templates: Sequence[str]) -> Dataset:
    """Add captions to rows, from a grammar or else from the names of the labels.

    Rows that already have captions are unchanged.

    Raises:
        DataError: There is nothing to make captions from.
    """
    if "text" in dataset.head(1):
        return dataset
    return Captioned(dataset, templates or _from_names(dataset))


def _from_names(dataset: Dataset) -> tuple[str, ...]:
    names = dataset.info["label"].value_names() if "label" in dataset.info else ()
    if not names:
        raise DataError(
            f"{dataset.name} cannot be captioned: it has no names of labels, and no grammar comes "
            "with it. Leave --data.captions out, or name the labels (a folder of images does)."
        )
    return (f"a photo of {{label={'|'.join(names)}}}",)


def _check(dataset: Dataset, grammar: Grammar) -> None:
    first = dataset.head(1)
    num = dataset.info["label"].count if "label" in dataset.info else None
    lacking = [slot for slot in grammar.slots if slot not in first]
    if "text" in first or lacking:
        reason = f"its rows have no {lacking[0]}" if lacking else "it has captions already"
        raise DataError(f"{dataset.name} cannot be captioned: {reason}.")
    if grammar.slots.get("label", num) != num:
        raise DataError(
            f"{dataset.name} has {num} labels; its captions' templates have a choice for "
            f"{grammar.slots['label']}. Give {{label=...}} a choice for each."
        )
