"""How streamed shards become rows: the values that users choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from genzoo.config import Bounds
from genzoo.data.hub.columns import HubConfig
from genzoo.data.tables.source import Dropped, Scale
from genzoo.errors import ConfigError

WINDOW_BYTES = 128 * 2**20
"""The default limit of memory for rows."""
DISK_BYTES = 10 * 2**30
"""The default limit of the cache of remote shards on a disk."""
_REFUSED = {
    "limit": "Give fewer shards, as in 'shards/train-000*.parquet', or --max-examples to evaluate "
    "on a part",
    "valid_fraction": "Give --data.valid-shards N to hold the last N shards out",
    "labelled": "Store labels of −1 for the rows without one",
}
"""What draws among all rows, and what to use in its place."""


@dataclass(frozen=True, kw_only=True)
class StreamConfig(HubConfig):
    """Shards that are read as they are needed: Parquet, WebDataset tar files, or safetensors."""

    streaming: bool = False
    """Read shards as training needs them, in place of all rows at the start."""
    window_bytes: Annotated[int, Bounds(2**10, 2**45)] = WINDOW_BYTES
    """The most memory for rows of a process that reads: half is a window, whose rows are shuffled
    together, and half is read ahead."""
    shards_at_once: Annotated[int, Bounds(1, 10**6)] = 4
    """The number of shards whose rows are mixed."""
    first_shards: Annotated[int, Bounds(1, 10**6)] = 1
    """The number of first shards whose rows decide the kind of the data, the classes and the mean.
    If these rows take more than an eighth of --data.window-bytes, evenly spaced parts do."""
    valid_shards: Annotated[int, Bounds(0, 10**6)] = 0
    """The number of last training shards that are held out: they are the split held-out, on which
    training is evaluated; 0 for none."""
    drop: Dropped = ()
    """The columns to leave out."""
    scale: Scale = None
    """The divisor of all numbers, such as 255; images need none."""
    cache_bytes: Annotated[int, Bounds(0, 2**50)] = DISK_BYTES
    """Remote shards are kept on a disk up to this many bytes; those in use are always kept."""
    cache_dir: Annotated[str | None, Bounds(1, 4096)] = None
    """The folder of this cache (default: ~/.cache/genzoo/shards)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, remedy in _REFUSED.items():
            if getattr(self, name):
                raise ConfigError(
                    f"{name} draws among all rows, which a stream never has at once. {remedy}."
                )
        if self.binarize == "static":
            raise ConfigError(
                "binarize static keeps a draw of every row, which a stream never has at once. "
                "Give --data.binarize dynamic or threshold."
            )
