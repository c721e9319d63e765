"""Captions for labelled rows, drawn from a grammar at each presentation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo.captions import Grammar
from genzoo.data.dataset import Dataset
from genzoo.errors import DataError


class Captioned(Dataset):
    """Labelled rows with a caption each, under "text".

    Arguments:
        dataset: The rows, with labels.
        templates: What the captions are made of; their one slot is ``label``. See
            `genzoo.captions`.

    Raises:
        DataError: The rows have no labels, or captions already, or the grammar says something
            else than the label, or of another number of labels.
    """

    def __init__(self, dataset: Dataset, templates: Sequence[str]) -> None:
        self.dataset, self.grammar = dataset, Grammar(templates)
        _check(dataset, self.grammar)
        self.spec = dataclasses.replace(dataset.spec, captions=tuple(templates))
        self.name = f"{dataset.name} (captions)"

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.dataset)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``, each with a caption drawn for this once."""
        found = self.dataset.batch(indices, generator)
        values = [{"label": label} for label in found["label"].tolist()]
        return {**found, "text": self.grammar.draw(values, generator)}

    def mean(self) -> Tensor | None:
        """Return the mean row."""
        return self.dataset.mean()


def caption(dataset: Dataset, templates: Sequence[str]) -> Dataset:
    """Give rows captions, from a grammar or, where there is none, from the names of the labels.

    Rows that come with captions are left as they are.

    Raises:
        DataError: Nothing is known that captions could be made of.
    """
    if "text" in dataset.head(1):
        return dataset
    return Captioned(dataset, templates or _from_names(dataset))


def _from_names(dataset: Dataset) -> tuple[str, ...]:
    names = dataset.spec.class_names
    if not names:
        raise DataError(
            f"{dataset.name} cannot be captioned: it has no names of labels, and no grammar comes "
            "with it. Leave --data.captions out, or name the labels (a folder of images does)."
        )
    return (f"a photo of {{label={'|'.join(names)}}}",)


def _check(dataset: Dataset, grammar: Grammar) -> None:
    first, num = dataset.head(1), dataset.spec.num_classes
    if "text" in first or "label" not in first:
        reason = "it has captions already" if "text" in first else "its rows have no labels"
        raise DataError(f"{dataset.name} cannot be captioned: {reason}.")
    if grammar.slots != {"label": num}:
        raise DataError(
            f"{dataset.name} has {num} labels; its captions' slots are {grammar.slots}. Give each "
            "template one slot, {label=...}, with a choice for each label."
        )
