"""Images of Pillow in items, as arrays of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from genzoo.data.images.appearance import Mode, colour_of, mode_of
from genzoo.data.images.config import PicturesConfig
from genzoo.data.images.decoding import Look, decode
from genzoo.errors import DataError


@dataclass(frozen=True)
class Pictures:
    """How images of Pillow become arrays: as a person sees them, grey or colour.

    Arguments:
        mode: Grey (L) if all images that were looked at are, else colour (RGB).
        notes: What is unusual about them.
    """

    mode: Mode = "L"
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Sequence[Any]) -> Pictures:
        """Return how the images among some values become arrays."""
        modes = [mode_of(value) for value in values if isinstance(value, Image.Image)]
        if "RGB" not in modes:
            return cls()
        grey = modes.count("L")
        note = f"{grey} of {len(modes)} images are grey; all are read in colour."
        return cls("RGB", (note,) if grey else ())

    def as_array(self, value: Any) -> np.ndarray[Any, Any]:
        """Return an image as uint8 (C, H, W), and an array as it is.

        Raises:
            DataError: The image has colour, but those that were looked at have none.
        """
        if not isinstance(value, Image.Image):
            found: np.ndarray[Any, Any] = value
            return found
        if self.mode == "L" and mode_of(value) != "L":
            raise DataError("has colour, and the others are grey. Convert all to one mode.")
        config = PicturesConfig()
        look = Look(self.mode, None, colour_of(config.background), config.max_pixels)
        return decode(value, "its image", look).numpy()
