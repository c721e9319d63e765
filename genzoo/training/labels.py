"""The fields besides x that training reads, and their allowed values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.data import Dataset, TwoDomains
from genzoo.errors import DataError
from genzoo.model import Model
from genzoo.objective import Objective
from genzoo.spaces import Space


@dataclass(frozen=True)
class Reading:
    """The fields that models and objectives read besides the event x.

    Arguments:
        who: The reader, which begins messages.
        fields: The space of each, and whether a row may lack it; a field with two readers must
            satisfy both.
    """

    who: str
    fields: Mapping[str, Sequence[tuple[Space, bool]]]

    @classmethod
    def of(
        cls,
        models: Sequence[Model],
        objectives: Sequence[type[Objective]],
        data: Dataset,
        coded: Sequence[Model] = (),
    ) -> Reading:
        """Return the conditions and events of models, and the further fields of objectives.

        A row may lack a field that an objective reads by name. ``coded`` models receive codes for
        x, not the rows of the data.

        Raises:
            DataError: The data have no such field.
        """
        found: dict[str, list[tuple[Space, bool]]] = {}
        for model in models:
            if (event := model.event_field) != "x":
                optional = any(event in objective.reads for objective in objectives)
                found.setdefault(event, []).append((model.event, optional))
            for name, space in model.conditions.items():
                if name == "x" and model in coded:
                    continue
                found.setdefault(name, []).append((space, model.takes_null))
        for objective in objectives:
            for name in objective.reads:
                if name not in data.info:
                    raise DataError(
                        f"The objective {objective.__name__} reads {name}; {data.name} has "
                        f"{', '.join(data.info.fields)}. Give data with it, or another objective."
                    )
                found.setdefault(name, [(data.info[name], True)])
        return cls(type(models[0]).__name__, found)

    def check_all(self, data: Dataset) -> None:
        """Check the label of every row, if labels are known without reading the rows.

        Raises:
            DataError: A label is not in its space.
        """
        data = data.x if isinstance(data, TwoDomains) else data
        label = data.labels()
        if label is None or "label" not in data.info:
            return
        if "label" in self.fields:
            self._check("label", label, len(data))
        else:
            data.info["label"].nullable(label, data.name, noun="label")

    def check(self, batch: Mapping[str, Any]) -> None:
        """Check the fields of a batch before it is moved to the device.

        Raises:
            DataError: A field is missing, or not in its space.
        """
        for name in self.fields:
            if name not in batch:
                raise DataError(f"{self.who} learns from {name}; a batch has {', '.join(batch)}.")
            self._check(name, batch[name], len(batch["x"]))

    def _check(self, name: str, values: Any, num: int) -> None:
        for space, may_lack in self.fields[name]:
            self._check_type(name, values, num, space)
            check = space.nullable if may_lack else space.require
            check(values, self.who, noun=name)

    def _check_type(self, name: str, values: Any, num: int, space: Space) -> None:
        """Raise DataError unless there are ``num`` integer rows of the space's dtype."""
        if isinstance(values, Tensor):
            whole = not space.dtype.is_floating_point
            if values.shape[:1] != torch.Size([num]) or (whole and values.dtype != space.dtype):
                raise DataError(
                    f"{self.who} learns from {name} as a tensor of {space.dtype}, one for each of "
                    f"{num} rows; got {values.dtype} values of shape {tuple(values.shape)}. Give "
                    f"torch.as_tensor({name}).long()."
                )
        elif len(values) != num:
            raise DataError(
                f"{self.who} learns from a {name} for each of {num} rows; got {len(values)}."
            )
