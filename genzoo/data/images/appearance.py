"""Images as a person sees them: upright, on a background, grey or colour in 8 bits."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import torch
from PIL import ExifTags, Image, ImageColor
from torch import Tensor

from genzoo.config import Mark, shown
from genzoo.errors import ConfigError

Mode = Literal["L", "RGB"]
Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255 each."""
_GREY = ("1", "L", "LA", "La")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


class Background(Mark):
    """An annotation for a text that names a colour."""

    def check(self, value: Any, where: str) -> None:
        """Raise ConfigError if the text is not an opaque colour."""
        try:
            colour_of(value)
        except ValueError as error:
            raise ConfigError(
                f'{where} is not an opaque colour: {shown(value)}. Give white, black or "#rrggbb".'
            ) from error


def colour_of(text: str) -> Colour:
    """Return the colour with a name, or written as "#rrggbb".

    Raises:
        ValueError: It is not a colour, or not an opaque one.
    """
    found = ImageColor.getrgb(text)
    if len(found) == 4:
        raise ValueError("it is not opaque")
    return found


def orientation(image: Image.Image) -> int:
    """Return how an image is to be turned, 1 to 8 as in EXIF; 1 if it does not say.

    The EXIF of an image that is damaged is ignored, as viewers do.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # That of the class of PNG would decode an image whose header has no EXIF.
            found = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except (OSError, ValueError, TypeError, SyntaxError, LookupError, ArithmeticError, EOFError):
        return 1
    return found if found in _TURNS else 1


def is_turned(orientation: int) -> bool:
    """Whether width and height are exchanged when an image is turned upright."""
    return orientation >= 5


def mode_of(image: Image.Image, background: Colour = (255, 255, 255)) -> Mode:
    """Return "L" for an image without colour on its background, else "RGB".

    Arguments:
        image: The image; it need not be loaded.
        background: The colour behind transparent parts.
    """
    if image.mode in ("P", "PA"):
        grey = _has_grey_palette(image)
    else:
        grey = image.mode in _GREY or is_deep(image)
    seen = image.has_transparency_data and len(set(background)) > 1
    return "L" if grey and not seen else "RGB"


def is_deep(image: Image.Image) -> bool:
    """Whether an image has one channel of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def as_mode(image: Image.Image, mode: str, background: Colour = (255, 255, 255)) -> Image.Image:
    """Return an image as it is seen, as grey (L) or colour (RGB) with 8 bits.

    It is turned upright as its EXIF says, and transparent parts show the background. Grey values
    of 16 bits are scaled from their full range to 0 to 255.

    Arguments:
        image: The image, loaded.
        mode: "L" or "RGB".
        background: The colour behind transparent parts.

    Raises:
        ValueError: The range of its values is not known, as for floating-point numbers.
    """
    check_range(image)
    turn = _TURNS.get(orientation(image))
    image = _on_background(_in_8_bits(image) if is_deep(image) else image, background)
    if image.mode != mode:
        image = image.convert(mode)
    return image if turn is None else image.transpose(turn)


def to_bytes(image: Image.Image) -> Tensor:
    """Return a grey (L) or colour (RGB) image as uint8, (C, H, W)."""
    x = torch.from_numpy(np.array(image, dtype=np.uint8))
    return x[None] if x.ndim == 2 else x.permute(2, 0, 1).contiguous()


def _has_grey_palette(image: Image.Image) -> bool:
    palette: Any = image.palette
    kind = palette.rawmode or palette.mode
    values = np.frombuffer(bytes(palette.palette), np.uint8)
    if kind.endswith(";L"):  # All reds, then all greens, then all blues, as in a TIFF.
        colours = values[: len(values) // 3 * 3].reshape(3, -1).T
    else:
        colours = values[: len(values) // len(kind) * len(kind)].reshape(-1, len(kind))[:, :3]
    return bool((colours == colours[:, :1]).all())


def _on_background(image: Image.Image, background: Colour) -> Image.Image:
    if not image.has_transparency_data:
        return image
    # Premultiplied grey converts to grey with alpha only.
    over = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    under = Image.new("RGBA", image.size, (*background, 255))
    return Image.alpha_composite(under, over).convert("RGB")


def check_range(image: Image.Image) -> None:
    """Check that the values of an image have a known range, as far as its header says.

    Raises:
        ValueError: They have none, as floating-point numbers.
    """
    # Pillow uses the mode I for 16 bits of PNG and PGM, and for 32 bits and signed ones of TIFF.
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        kind = "floating-point numbers" if image.mode == "F" else "signed or 32-bit integers"
        raise ValueError(
            f"it holds {kind}, whose range is not known. Save it with 8 or 16 bits, or give the "
            "values as an array (.npy)"
        )
    if image.mode == "LAB":
        raise ValueError("it holds Lab colours. Save it as RGB")


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Return grey values of 16 bits as those of 8, with their transparent value as alpha."""
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    if values.min() < 0 or values.max() >= 2**16:
        raise ValueError("it holds integers that 16 bits cannot hold. Save it with 8 or 16 bits")
    # Pillow does not scale the 12 bits of a TIFF, and does not invert one whose white is zero.
    most = 2**12 - 1 if tags.get(_BITS_PER_SAMPLE) == (12,) else 2**16 - 1
    found = (values.astype(np.uint32) * 255 + most // 2) // most
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        found = 255 - found
    grey = Image.fromarray(found.astype(np.uint8))
    hidden = image.info.get("transparency")
    if hidden is not None:
        grey.putalpha(Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8)))
    return grey
