"""The config that every data source has: what is done to its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from genzoo.config import Bounds, Config
from genzoo.errors import ConfigError
from genzoo.spaces.unit import GREY

Binarize = Literal["static", "dynamic", "threshold"]


@dataclass(frozen=True, kw_only=True)
class DataConfig(Config):
    """The config of every data source; its own config adds to these fields."""

    binarize: Binarize | None = None
    """Binarisation: static draws once per row, dynamic at each presentation, threshold is x >
    0.5."""
    binarize_seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0
    """The seed of the static draw."""
    levels: Annotated[int | None, Bounds(2, 2**16)] = None
    """Values in [0, 1] are rounded to the nearest of this many equally spaced levels from 0 to 1;
    a value halfway between two becomes the higher one."""
    limit: Annotated[int | None, Bounds(1, 10**12)] = None
    """The maximum number of rows; drawn at random, in proportion to the labels if there are
    any."""
    limit_seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0
    """The seed of this draw."""
    valid_fraction: Annotated[float, Bounds(0.0, 0.9)] = 0.0
    """The share of the training rows that is held out, in proportion to the labels if there are
    any: they are the split held-out, on which training is evaluated; 0 for none."""
    valid_seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0
    """The seed of the choice of these rows."""
    labelled: Annotated[int | None, Bounds(1, 10**9)] = None
    """Keep this many training labels, balanced over classes; the rest become −1."""
    labelled_seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0
    """The seed of the choice of these labels."""
    space: Annotated[str | None, Bounds(1, 64)] = None
    """The space that the rows of an array are read in, and other rows are converted to, such as
    categorical for grey levels."""
    captions: bool = False
    """A caption for each row, drawn at each presentation from the data's grammar."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels is not None and self.binarize is not None:
            raise ConfigError(
                f"Rows are rounded to {self.levels} levels or binarised, not both. Leave "
                "--data.levels or --data.binarize out."
            )

    @property
    def reading(self) -> str | None:
        """The space that the rows of an array are read in; None infers it.

        Rows that are binarised or rounded are converted to a space only after that.
        """
        plain = self.binarize is None and self.levels is None
        return self.space if plain or self.space == GREY else None
