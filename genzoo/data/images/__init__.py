"""Images of files: decoded as a person sees them, checked from headers, kept within a budget."""

from __future__ import annotations

from genzoo.data.images.config import MAX_PIXELS, ImagesConfig, PicturesConfig
from genzoo.data.images.decoding import FORMATS, Look, decode
from genzoo.data.images.folder import ImageFiles, ImageFolder
from genzoo.data.images.rows import PictureRows

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "ImageFiles",
    "ImageFolder",
    "ImagesConfig",
    "Look",
    "PictureRows",
    "PicturesConfig",
    "decode",
]
