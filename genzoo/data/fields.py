"""The fields of common data."""

from __future__ import annotations

from collections.abc import Sequence

from genzoo.errors import ConfigError, DataError
from genzoo.spaces import Label, Space, Unit

MAX_NAMES = 10_000


def image_fields(
    shape: Sequence[int],
    *,
    levels: int | None = 256,
    names: Sequence[str] = (),
    num_classes: int | None = None,
) -> dict[str, Space]:
    """Return the fields of images in [0, 1], with a label if there are classes.

    Arguments:
        shape: (C, H, W).
        levels: The number of equally spaced values.
        names: The name of each class; dropped if there are more than 10,000.
        num_classes: The number of classes; that of the names if None.

    Raises:
        DataError: There are too many classes, or a name is too long or occurs twice.
    """
    fields: dict[str, Space] = {"x": Unit(shape=tuple(shape), levels=levels)}
    num = num_classes or len(names)
    if num:
        fields["label"] = label_space(num, names if len(names) == num <= MAX_NAMES else ())
    return fields


def label_space(num_classes: int, names: Sequence[str] = ()) -> Label:
    """Return the space of the labels of data.

    Raises:
        DataError: There are too many classes, or a name is too long or occurs twice.
    """
    try:
        return Label(num_classes=num_classes, names=tuple(names))
    except ConfigError as error:
        raise DataError(f"The data's labels: {error} Renumber or rename the classes.") from error
