"""Frames as a moving picture: a GIF, or one HTML file with a row of steps to move along."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from PIL import Image

from genzoo.errors import ConfigError
from genzoo.files import atomic_file
from genzoo.plotting import evenly

SUFFIXES = (".gif", ".html")
MAX_FRAMES = 60
MAX_BYTES = 8 * 2**20
"""A file is not larger; it has fewer frames if necessary."""
_PAGE = "animation.html.jinja"
_SECONDS, _LAST_SECONDS = 0.12, 2.0


def write_animation(
    frames: Sequence[Image.Image], path: Path, *, titles: Sequence[str], title: str
) -> int:
    """Write frames of one size as GIF or HTML by the suffix; return how many are in the file.

    The HTML file has no script and makes no requests, which its Content-Security-Policy enforces.
    Its steps are radio buttons, which a mouse clicks and the arrow keys move along, and a switch
    plays all frames.

    Arguments:
        frames: At most 60 are written, the first and the last among them.
        path: FILE.gif or FILE.html.
        titles: What each frame is.
        title: What all of them are.

    Raises:
        ConfigError: The suffix is another one, or one frame alone exceeds 8 MB.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"An animation ends in .gif or .html, got {str(path)!r}.")
    most = min(MAX_FRAMES, len(frames))
    while True:
        kept = evenly(len(frames), most)
        chosen = [frames[i] for i in kept]
        made = (
            _gif(chosen)
            if path.suffix == ".gif"
            else _html(chosen, [titles[i] for i in kept], title)
        )
        if len(made) <= MAX_BYTES:
            break
        if most == 1:
            raise ConfigError(
                f"One frame of {path} takes {len(made):,} bytes. Show fewer samples."
            )
        most = max(1, most // 2)
    with atomic_file(path) as temporary:
        temporary.write_bytes(made)
    return len(kept)


def _gif(frames: Sequence[Image.Image]) -> bytes:
    """Return a GIF that repeats, and rests on its last frame."""
    first, *rest = [frame.convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames]
    times = [round(1000 * _SECONDS)] * len(rest) + [round(1000 * _LAST_SECONDS)]
    file = io.BytesIO()
    first.save(file, format="GIF", save_all=True, append_images=rest, duration=times, loop=0)
    return file.getvalue()


def _html(frames: Sequence[Image.Image], titles: Sequence[str], title: str) -> bytes:
    """Return a page with the frames as PNG in it."""
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    text = resources.files("genzoo").joinpath(_PAGE).read_text("utf-8")
    page = environment.from_string(text).render(
        frames=[base64.b64encode(_png(frame)).decode() for frame in frames],
        titles=titles,
        title=title,
        width=frames[0].width,
        height=frames[0].height,
        seconds=_SECONDS,
    )
    return page.encode()


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()
