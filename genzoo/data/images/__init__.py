"""Images of files: decoded as a person sees them, checked from headers, kept within a budget."""

from __future__ import annotations

from genzoo.data.images.appearance import as_mode, mode_of, to_bytes
from genzoo.data.images.config import MAX_PIXELS, ImagesConfig, PicturesConfig
from genzoo.data.images.decoding import FORMATS, open_image
from genzoo.data.images.folder import ImageFiles, ImageFolder
from genzoo.data.images.rows import PictureRows

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "ImageFiles",
    "ImageFolder",
    "ImagesConfig",
    "PictureRows",
    "PicturesConfig",
    "as_mode",
    "mode_of",
    "open_image",
    "to_bytes",
]
