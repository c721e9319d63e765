"""Splits of one source as columns: they share the space of x and the names of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from genzoo.data.arrays.splits import shared_space
from genzoo.data.columns.classes import all_names, as_texts, classes_of
from genzoo.data.columns.column import ColumnNames, Columns
from genzoo.data.columns.from_columns import Kind, from_columns, labels_in, x_of
from genzoo.data.columns.roles import Roles, roles_like, roles_of
from genzoo.data.dataset import ArrayDataset
from genzoo.data.fields import label_space


@dataclass(frozen=True)
class ColumnSplits:
    """Splits of one source.

    Arguments:
        splits: The columns of each split, the training split first.
        chosen: The columns that their holder names.
        kind: What is known of their values.
        title: The name of the source.
    """

    splits: Mapping[str, Columns]
    chosen: ColumnNames
    kind: Kind
    title: str

    def load(self, split: str) -> ArrayDataset:
        """Return a split as a dataset.

        Raises:
            DataError: It does not fit the first split, or a value is refused; see `from_columns`.
        """
        roles = self._roles()
        kind = self._shared(roles) if len(self.splits) > 1 else self.kind
        found = from_columns(self._columns(split), roles[split], kind, self._name(split))
        if "label" in found.info and not found.info["label"].value_names():
            space = label_space(self._num_classes(roles))
            found.info = found.info.with_field("label", space)
        return found

    def _columns(self, split: str) -> Columns:
        """Return the columns of a split without those that are dropped."""
        return self.splits[split].without(self.chosen.drop)

    def _roles(self) -> dict[str, Roles]:
        first = next(iter(self.splits))
        own = roles_of(self.splits[first], self.chosen, self._name(first))
        found = {first: own}
        for split in self.splits:
            if split != first:
                found[split] = roles_like(self._columns(split), own, self._name(split))
        return found

    def _shared(self, roles: Mapping[str, Roles]) -> Kind:
        """Return what all splits have in common."""
        first = next(iter(self.splits))
        arrays = [x_of(self.splits[s], roles[s], self._name(s)) for s in self.splits]
        kind = self.kind
        like = shared_space(arrays, self._name(first), scale=kind.scale, space=kind.space)
        columns = [c for c in (roles[first].label, *roles[first].fields) if c is not None]
        names = {column: self._class_names(column, roles) for column in columns}
        return replace(kind, like=like, class_names=names)

    def _class_names(self, column: str, roles: Mapping[str, Roles]) -> tuple[str, ...]:
        """Return the names of the classes of a column in all splits; empty for numbers."""
        with_it = [s for s in self.splits if column in (roles[s].label, *roles[s].fields)]
        parts = [labels_in(self.splits[s], column, self._name(s)) for s in with_it]
        if len({part.names for part in parts}) == 1:
            return parts[0].names
        # Texts may look like numbers in one split.
        texts = [
            as_texts(self.splits[s].values[column])
            for s, p in zip(with_it, parts, strict=True)
            if not p.names
        ]
        return all_names([*parts, *(classes_of(values, "") for values in texts)])

    def _num_classes(self, roles: Mapping[str, Roles]) -> int:
        """Return the number of classes that labels without names have in all splits."""
        parts = [
            labels_in(self.splits[split], role.label, self._name(split))
            for split, role in roles.items()
            if role.label is not None
        ]
        return max(int(part.index.max()) + 1 for part in parts)

    def _name(self, split: str) -> str:
        return self.title if len(self.splits) == 1 else f"{self.title}/{split}"
