"""The columns of rows of the package `datasets`: which holds images, labels and captions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genzoo.data.columns.roles import LABEL_NAMES, first_of
from genzoo.data.images.config import PicturesConfig
from genzoo.errors import DataError

_CLASSES = ("int", "uint", "bool", "string", "large_string")


@dataclass(frozen=True, kw_only=True)
class HubConfig(PicturesConfig):
    """A dataset of the Hub."""

    subset: str | None = None
    """The subset (configuration) of the repository."""
    revision: str | None = None
    """A branch, tag or commit."""
    image_column: str | None = None
    """The column of images; by default the only one."""
    label_column: str | None = None
    """The column of labels; by default the only one of classes, or one named label, labels,
    target, class or y. The empty text stands for none."""
    text_column: str | None = None
    """The column of captions; none by default."""


@dataclass(frozen=True)
class HubColumns:
    """The columns that are read.

    Arguments:
        image: The column of images.
        label: The column of labels, if any.
        text: The column of captions, if any.
        class_names: The names of the classes, if the column of labels has them.
        notes: What was left out.
    """

    image: str
    label: str | None
    text: str | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


def choose_columns(features: Mapping[str, Any], config: HubConfig, name: str) -> HubColumns:
    """Return the columns that a config names, or that are found by their kinds and names.

    Arguments:
        features: The features of the rows.
        config: The config.
        name: The name of the rows, for errors.

    Raises:
        DataError: A column is not there, or it is not clear which one holds the images.
    """
    for column in filter(None, (config.image_column, config.label_column, config.text_column)):
        if column not in features:
            raise DataError(f"{name} has no column {column!r}: {', '.join(features)}.")
    image = config.image_column or _only_image(features, name)
    label, notes = _label(features, config)
    text = config.text_column or None
    left_out = [column for column in features if column not in (image, label, text)]
    if left_out:
        notes = (*notes, f"Columns that are not read: {', '.join(left_out)}.")
    class_names = getattr(features[label], "names", None) if label else None
    return HubColumns(image, label, text, tuple(class_names or ()), notes)


def _only_image(features: Mapping[str, Any], name: str) -> str:
    found = [column for column, feature in features.items() if _is_image(feature)]
    if len(found) != 1:
        raise DataError(
            f"{name} has {len(found)} columns of images; give --data.image-column. Columns: "
            f"{', '.join(features)}."
        )
    return found[0]


def _is_image(feature: Any) -> bool:
    """Whether values are images, or the bytes of files, as of images that were never decoded."""
    if isinstance(feature, Mapping):
        return set(feature) == {"bytes", "path"}
    return type(feature).__name__ == "Image" or _dtype(feature).endswith("binary")


def _label(features: Mapping[str, Any], config: HubConfig) -> tuple[str | None, tuple[str, ...]]:
    if config.label_column is not None:
        return config.label_column or None, ()
    classes = [column for column, f in features.items() if type(f).__name__ == "ClassLabel"]
    if len(classes) == 1:
        return classes[0], ()
    possible = classes or [
        c for c, f in features.items() if _dtype(f).rstrip("0123456789") in _CLASSES
    ]
    found = first_of(possible, LABEL_NAMES)
    if classes and found is None:
        names = ", ".join(classes)
        return None, (
            f"Of the columns of classes, {names}, none is the label: --data.label-column.",
        )
    return found, ()


def _dtype(feature: Any) -> str:
    return str(getattr(feature, "dtype", ""))
