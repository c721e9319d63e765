"""Which labels rows may have while a model is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.data import Dataset, TwoDomains
from genzoo.errors import DataError
from genzoo.model import GenerativeModel

_UNKNOWN = -1
_MOST = 2**20


@dataclass(frozen=True)
class Labels:
    """The labels from 0 to ``num_classes`` − 1, and perhaps −1 for a row without one.

    Arguments:
        who: Who learns from them; messages begin with it.
        num_classes: How many there are; None where nobody says.
        partly: Whether a row may be without a label.
    """

    who: str
    num_classes: int | None
    partly: bool

    @classmethod
    def of(cls, models: Sequence[GenerativeModel], data: Dataset) -> Labels:
        """Return the labels that all of ``models`` know; where none says, those of the data.

        A model that is conditioned on labels needs one for each row.
        """
        stated = [getattr(model.config, "num_classes", None) for model in models]
        known = [int(number) for number in stated if number is not None]
        return cls(
            type(models[0]).__name__,
            min(known) if known else data.spec.num_classes,
            all(model.condition_kind != "label" for model in models),
        )

    def check_all(self, data: Dataset) -> None:
        """Check the label of every row, where they are known without reading the rows.

        Raises:
            DataError: A label is none of these.
        """
        data = data.x if isinstance(data, TwoDomains) else data
        label = data.labels()
        if label is not None:
            self._check(label, len(data), data.name)

    def check(self, batch: dict[str, Any]) -> None:
        """Check the labels of a batch, where it has any: before it goes to the device.

        Raises:
            DataError: A label is none of these.
        """
        if "label" in batch:
            self._check(batch["label"], len(batch["x"]), "a batch")

    def _check(self, label: Any, num: int, where: str) -> None:
        if not isinstance(label, Tensor) or label.dtype != torch.int64 or label.shape != (num,):
            found = f"{getattr(label, 'dtype', type(label).__name__)} values"
            shape = f" of shape {tuple(label.shape)}" if isinstance(label, Tensor) else ""
            raise DataError(
                f"{self.who} learns from labels as a tensor of torch.int64, one for each of {num} "
                f"rows; those of {where} are {found}{shape}. Give torch.as_tensor(label).long()."
            )
        if not num:
            return
        low, high = torch.stack(label.aminmax()).tolist()
        least = _UNKNOWN if self.partly else 0
        if low < least or (self.num_classes is not None and high >= self.num_classes):
            raise DataError(self._message(label, least, where))

    def _message(self, label: Tensor, least: int, where: str) -> str:
        wrong = label < least
        if self.num_classes is not None:
            wrong |= label >= self.num_classes
        row = int(wrong.nonzero()[0])
        value = int(label[row])
        last = "" if self.num_classes is None else f" to {self.num_classes - 1}"
        unknown = ", and −1 for a row without one" if self.partly else ""
        return (
            f"{self.who} learns from labels from 0{last}{unknown}; row {row} of {where} has the "
            f"label {value}. {self._remedy(value)}"
        )

    def _remedy(self, value: int) -> str:
        if value == _UNKNOWN:
            return "Leave out the rows without a label, or make the model without a condition."
        more = f", or make the model with num_classes={value + 1}" if 0 <= value < _MOST else ""
        return f"Number the labels from 0{more}."
