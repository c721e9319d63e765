"""Files of images, decoded within limits by decoders that start no program."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from genzoo.data.images.appearance import Colour, Mode, as_mode, to_bytes
from genzoo.data.images.config import MAX_PIXELS
from genzoo.data.unpacking import check_file
from genzoo.errors import DataError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""The formats that are decoded; for some others, Pillow would start another program."""
ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff"),
    *(".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""The endings of such files, in any case of letters."""
# What a decoder may raise for a damaged file: Pillow's own checks are not complete.
_UNREADABLE = (
    *(OSError, ValueError, SyntaxError, EOFError, TypeError, LookupError, ArithmeticError),
    *(AttributeError, AssertionError, RuntimeError, MemoryError, struct.error, zlib.error),
    Image.DecompressionBombError,
)
_GREATEST = {"1": 1, "L;2": 3, "L;4": 15}
"""The greatest value of a grey PNG with less than 8 bits, by Pillow's name of the coding."""


@dataclass(frozen=True)
class Look:
    """How images are decoded.

    Arguments:
        mode: Grey (L) or colour (RGB).
        size: The side of the central square, to which it is resized; None keeps the whole image.
        background: The colour behind transparent parts.
        most: The maximum number of pixels before.
    """

    mode: Mode
    size: int | None
    background: Colour
    most: int = MAX_PIXELS


def decode(file: Path | io.BytesIO | Image.Image, name: object, look: Look) -> Tensor:
    """Return an image as it is seen, uint8 (C, H, W).

    Arguments:
        file: Its path, its content, or an image of Pillow.
        name: Its name in errors.
        look: How it is decoded.

    Raises:
        DataError: It cannot be read, has none of the `FORMATS`, or has too many pixels.
    """
    with opened(file, name, look.most) as image:
        image.load()
        found = as_mode(image, look.mode, look.background)
        if look.size is not None and found.size != (look.size, look.size):
            found = ImageOps.fit(found, (look.size, look.size))
        return to_bytes(found)


@contextlib.contextmanager
def opened(
    file: Path | io.BytesIO | Image.Image, name: object, most: int
) -> Iterator[Image.Image]:
    """Provide an image of which only the header has been read.

    Arguments:
        file: Its path, its content, or an image of Pillow.
        name: Its name in errors.
        most: The maximum number of pixels.

    Raises:
        DataError: It has too many pixels, or anything inside fails to read it.
    """
    try:
        with contextlib.ExitStack() as held, warnings.catch_warnings():
            # Pillow warns about damaged metadata, which are not used, and about its own limit of
            # pixels; genzoo's is lower, or was raised by the user.
            warnings.simplefilter("ignore")
            image = _header(file, held)
            if image.width * image.height > most:
                raise DataError(
                    f"{name} has {image.width} × {image.height} pixels; {most} in all are "
                    "allowed. Make it smaller, or raise the limit: --data.max-pixels "
                    f"{image.width * image.height}."
                )
            yield image
    except _UNREADABLE as error:
        raise DataError(
            f"{name} cannot be read as an image ({', '.join(FORMATS)}): {_reason(error)}."
        ) from error


def _header(file: Path | io.BytesIO | Image.Image, held: contextlib.ExitStack) -> Image.Image:
    if isinstance(file, Image.Image):
        return file
    if isinstance(file, Path):
        check_file(file)
    stream: Any = held.enter_context(file.open("rb")) if isinstance(file, Path) else file
    image = Image.open(stream, formats=FORMATS)
    _scale_transparency(image)
    return image


def _scale_transparency(image: Any) -> None:
    """Scale the transparent value of a PNG to 8 bits as its pixels will be."""
    hidden = image.info.get("transparency")
    if image.format != "PNG" or not image.tile:
        return
    coding = str(image.tile[0][3])
    greatest = _GREATEST.get(coding, 0)
    if isinstance(hidden, int) and hidden <= greatest:  # Pillow scales some values itself.
        image.info["transparency"] = hidden * 255 // greatest if greatest else hidden
    elif isinstance(hidden, tuple) and coding == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in hidden)


def _reason(error: BaseException) -> str:
    """Return what was wrong as the end of a sentence."""
    if isinstance(error, UnidentifiedImageError):
        return "it is not a file of these formats, or its header is damaged"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.strip().partition("\n")[0].rstrip(".") or type(error).__name__
