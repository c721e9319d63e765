"""The pictures of samples: decoded, reduced to the size of the page, and encoded again."""

from __future__ import annotations

import base64
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from genzoo.errors import DataError, LoadError
from genzoo.model_files import PROGRESS
from genzoo.plotting import evenly
from genzoo.report.reading import inside

MAX_PICTURES = 24
MAX_SIDE = 1024
MAX_FILE_BYTES = 2**26
MAX_PIXELS = 2**24
_NAME = re.compile(r"stage-(\d{1,9})-step-(\d{1,15})(?:-([a-z]{1,32}))?\.png")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, zlib.error, Image.DecompressionBombError)


@dataclass(frozen=True)
class Picture:
    """A picture of samples.

    Arguments:
        name: The file's name.
        stage: Its stage; None if the name does not contain it.
        step: The step.
        subject: The rest of the name, such as "failures"; empty for samples.
        source: The picture as a ``data:`` URL.
        size: Its width and height in pixels.
    """

    name: str
    stage: int | None
    step: int | None
    subject: str
    source: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Timeline:
    """The pictures in order, with notes on what was left out."""

    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()


def read_timeline(folder: Path) -> Timeline:
    """Read the samples of a run in the order of stage and step, then those with other names."""
    try:
        names = [path.name for path in inside(folder, PROGRESS.name).glob("*.png")]
    except (OSError, LoadError) as error:
        return Timeline(notes=(f"samples is not shown: {error}",))
    names.sort(key=_order)
    kept = [names[i] for i in evenly(len(names), MAX_PICTURES)]
    notes = []
    if len(kept) < len(names):
        notes.append(f"{len(kept)} of {len(names):,} pictures are shown, evenly spaced.")
    pictures = []
    for name in kept:
        try:
            pictures.append(_read(folder, name))
        except (DataError, LoadError) as error:
            notes.append(f"{name} was left out: {error}")
        except _BROKEN:
            notes.append(f"{name} was left out: it is not a complete PNG picture.")
    return Timeline(tuple(pictures), tuple(notes))


def _order(name: str) -> tuple[bool, int, int, str]:
    stage, step, subject = _position(name)
    return stage is None, stage or 0, step or 0, subject or name * (stage is None)


def _position(name: str) -> tuple[int | None, int | None, str]:
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2]), match[3] or "") if match else (None, None, "")


def _read(folder: Path, name: str) -> Picture:
    path = inside(folder, PROGRESS.name, name)
    if not path.is_file():
        raise DataError("it is not a file.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DataError(f"it is larger than {MAX_FILE_BYTES / 1e6:,.0f} MB.")
    with Image.open(path, formats=("PNG",)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise DataError(f"it has {image.width:,} × {image.height:,} pixels.")
        small = image.convert("L" if image.mode in ("1", "L") else "RGB")
    small.thumbnail((MAX_SIDE, MAX_SIDE))
    buffer = io.BytesIO()
    small.save(buffer, format="PNG", optimize=True)
    source = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    return Picture(name, *_position(name), source, small.size)
