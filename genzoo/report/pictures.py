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
from genzoo.evaluation.provenance import flat
from genzoo.model_files import PROGRESS, SAMPLES
from genzoo.plotting import evenly
from genzoo.report.reading import inside
from genzoo.sample_metadata import SampleMetadata

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
        caption: How it was drawn; empty if that is not known.
    """

    name: str
    stage: int | None
    step: int | None
    subject: str
    source: str
    size: tuple[int, int]
    caption: str = ""


@dataclass(frozen=True)
class Timeline:
    """The pictures in order, with notes on what was left out."""

    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def newest(self) -> tuple[Picture, ...]:
        """The pictures of the last step, or the last picture if none has a step."""
        dated = [one for one in self.pictures if one.step is not None]
        if not dated:
            return self.pictures[-1:]
        last = (dated[-1].stage, dated[-1].step)
        return tuple(one for one in dated if (one.stage, one.step) == last)

    @property
    def are_wide(self) -> bool:
        """Whether pictures are more than twice as wide as high, as strips are."""
        return any(one.size[0] > 2 * one.size[1] for one in self.pictures)

    @property
    def earlier(self) -> tuple[Picture, ...]:
        """All others, in order."""
        return tuple(one for one in self.pictures if one not in self.newest)


def read_timeline(folder: Path) -> Timeline:
    """Read the samples of a run in the order of stage and step, then those with other names.

    The picture of the model itself, if there is one, is the last.
    """
    try:
        names = [path.name for path in inside(folder, PROGRESS.name).glob("*.png")]
    except (OSError, LoadError) as error:
        return Timeline(notes=(f"samples is not shown: {error}",))
    names.sort(key=_order)
    kept = [(PROGRESS.name, names[i]) for i in evenly(len(names), MAX_PICTURES)]
    notes = []
    if len(kept) < len(names):
        notes.append(f"{len(kept)} of {len(names):,} pictures are shown, evenly spaced.")
    own = [(SAMPLES.name,)] if (folder / SAMPLES.name).exists() else []
    pictures = []
    for *parts, name in [*kept, *own]:
        try:
            pictures.append(_read(folder, *parts, name))
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


def _read(folder: Path, *parts: str) -> Picture:
    path, name = inside(folder, *parts), parts[-1]
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
    told = SampleMetadata.read(path)
    caption = "" if told is None else _caption(told)
    return Picture(name, *_position(name), source, small.size, caption)


def _caption(told: SampleMetadata) -> str:
    """Return how a picture was drawn; empty if that is not known.

    >>> _caption(SampleMetadata(num=64, seed=0, sampler="ddim", sampler_config={"eta": 0.5}))
    '64 samples by ddim (eta 0.5), seed 0'
    """
    if told.caption is not None:
        return told.caption
    if told.sampler is None:
        return ""
    config = flat(told.sampler_config)
    how = f"by {told.sampler}{config and f' ({config})'}"
    seed = "" if told.seed is None else f", seed {told.seed}"
    return f"{'samples' if told.num is None else f'{told.num} samples'} {how}{seed}"
