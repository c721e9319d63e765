"""How images of files become rows: the values that users choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from genzoo.config import Bounds
from genzoo.data.config import DataConfig
from genzoo.data.images.appearance import Background

MAX_PIXELS = 2**25
"""The default limit of pixels of an image."""
MaxPixels = Annotated[int, Bounds(1, 2**27)]
"""The type of the config field with this limit; beyond its bound, Pillow refuses images too."""
CACHE_BYTES = 2**30
"""The default limit of memory for decoded images of a split."""


@dataclass(frozen=True, kw_only=True)
class PicturesConfig(DataConfig):
    """Images of files or of the Hub; the configs of their sources add to these fields."""

    size: Annotated[int | None, Bounds(1, 16384)] = None
    """Crop to the central square and resize it to this number of pixels per side."""
    mode: Literal["L", "RGB"] | None = None
    """Grey (L) or colour (RGB); by default colour if any image has colour."""
    background: Annotated[str, Background()] = "white"
    """The colour behind transparent parts, such as black or "#808080"."""
    max_pixels: MaxPixels = MAX_PIXELS
    """Images with more pixels are refused before they are decoded."""
    cache_bytes: Annotated[int, Bounds(0, 2**45)] = CACHE_BYTES
    """Decoded images of a split are kept up to this many bytes; 0 decodes them each time."""


@dataclass(frozen=True, kw_only=True)
class ImagesConfig(PicturesConfig):
    """A folder of images."""

    subfolders: Literal["splits", "classes"] | None = None
    """What the folder's own folders are; by default splits if they have names of splits."""
