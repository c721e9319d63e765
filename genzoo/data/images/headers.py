"""What the headers of image files say, so that all are checked before any is decoded."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from genzoo.data.images.appearance import (
    Colour,
    Mode,
    check_range,
    is_deep,
    is_turned,
    mode_of,
    orientation,
)
from genzoo.data.images.decoding import opened

Size = tuple[int, int]
"""Width and height in pixels."""
_WIDTH, _HEIGHT = 256, 257
_SIGNATURE, _MAX_CHUNKS = b"\x89PNG\r\n\x1a\n", 2**16
_TURNING_TEXTS = (b"Raw profile type exif", b"XML:com.adobe.xmp")


@dataclass(frozen=True)
class Header:
    """What a header says about an image as it is seen.

    Arguments:
        size: Width and height, turned upright.
        mode: Grey (L) or colour (RGB).
        has_alpha: Whether parts can be transparent.
        is_deep: Whether grey values have 16 bits.
        has_more: Whether other frames follow the first one.
    """

    size: Size
    mode: Mode
    has_alpha: bool
    is_deep: bool
    has_more: bool


def read_header(
    file: Path | io.BytesIO | Image.Image, name: object, background: Colour, most: int
) -> Header:
    """Return what a header says, without decoding the image.

    Arguments:
        file: Its path, its content, or an image of Pillow.
        name: Its name in errors.
        background: The colour behind transparent parts.
        most: The maximum number of pixels.

    Raises:
        DataError: It cannot be read, has none of the formats, or has too many pixels.
    """
    with opened(file, name, most) as image:
        check_range(image)
        if image.format == "PNG" and _is_turned_late(getattr(image, "fp", None)):
            image.load()
        # Some versions of Pillow turn the size of a TIFF in the header, others when it is loaded.
        tags = getattr(image, "tag_v2", {})
        width, height = tags.get(_WIDTH, image.width), tags.get(_HEIGHT, image.height)
        return Header(
            (height, width) if is_turned(orientation(image)) else (width, height),
            mode_of(image, background),
            bool(image.has_transparency_data),
            is_deep(image),
            # The second picture of a phone's JPEG is a preview.
            image.format != "MPO" and bool(getattr(image, "is_animated", False)),
        )


def _is_turned_late(stream: Any) -> bool:
    """Whether a chunk of a PNG after its pixels may say how the image is to be turned."""
    if stream is None:  # It is loaded.
        return False
    place, found, late = stream.tell(), False, False
    stream.seek(len(_SIGNATURE))
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack(">I4s", stream.read(8).ljust(8, b"\0"))
        if found or kind in (b"IEND", bytes(4)):
            break
        start = stream.read(min(length, 32))
        stream.seek(length - len(start) + 4, io.SEEK_CUR)
        found = late and (kind == b"eXIf" or start.startswith(_TURNING_TEXTS))
        late |= kind == b"IDAT"
    stream.seek(place)
    return found
