"""What a run draws as it goes: samples, or translations where that is what the model makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from genzoo.capabilities import SupportsTranslate
from genzoo.evaluation.conditions import condition_of
from genzoo.model import GenerativeModel
from genzoo.plotting import picture, strips, write_picture
from genzoo.translating import there_and_back

ROWS_IN_PICTURE = 64
_STRIPS = 16


def draw(model: GenerativeModel, rows: Mapping[str, Any], seed: int, path: Path) -> None:
    """Write a picture of samples given the rows' conditions, or of their translations.

    Arguments:
        model: What is drawn from.
        rows: The data's first rows.
        seed: Where the samples come from.
        path: The file.
    """
    if isinstance(model, SupportsTranslate) and "y" in rows:
        write_picture(translations(model, rows), path)
        return
    x = model.sample(len(rows["x"]), seed=seed, condition=condition_of(model, rows))
    write_picture(picture(x), path)


def translations(model: GenerativeModel, rows: Mapping[str, Any]) -> Image.Image:
    """Return strips from top to bottom: x, as y, and back; then y, as x, and back."""
    there = there_and_back(model, rows["x"][:_STRIPS], to="y")
    here = there_and_back(model, rows["y"][:_STRIPS], to="x")
    return strips([*there.stages(), *here.stages()])
