"""Pictures of samples."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from genzoo.errors import DataError
from genzoo.files import atomic_file

_MIN_SIDE = 320
_GAP = 8
_PATHS = 200
"""The number of points whose paths are drawn."""
_FONT_SHARE, _FONT_LEAST, _FONT_MOST = 0.35, 10, 20


def save_picture(x: Tensor, path: str | Path) -> None:
    """Write a picture of examples (N, *event_shape): a grid of images, or points in the plane.

    Raises:
        DataError: The shape is not that of images, points or vectors.
    """
    write_picture(picture(x), path)


def picture(x: Tensor, columns: int | None = None) -> Image.Image:
    """Return the picture of examples that `save_picture` writes.

    Arguments:
        x: Images (N, C, H, W), vectors, or points in the plane (N, 2).
        columns: The number of images in a row; about as many as rows if None.
    """
    return points(x) if are_points(x) else grid(x, columns)


def are_points(x: Tensor) -> bool:
    """Whether examples are points in the plane, (N, 2)."""
    return x.ndim == 2 and x.shape[1] == 2


def write_picture(
    image: Image.Image, path: str | Path, *, texts: Mapping[str, str] | None = None
) -> None:
    """Write a picture as PNG, completely or not at all, with ``texts`` by key in the file."""
    info = PngInfo()
    for key, text in (texts or {}).items():
        info.add_text(key, text)
    with atomic_file(Path(path)) as temporary:
        image.save(temporary, format="PNG", pnginfo=info)


def strips(stages: Sequence[Tensor]) -> Image.Image:
    """Return a picture of stages of N examples; each column shows the stages of one example.

    Raises:
        DataError: The examples are not images.
    """
    images = [as_images(stage) for stage in stages]
    if any(x.shape[1] == 3 for x in images):
        images = [x.expand(-1, 3, -1, -1) for x in images]
    return grid(torch.cat(images), columns=len(images[0]))


def trajectories(states: Sequence[Tensor]) -> Image.Image:
    """Return a picture of states of N examples: a row per example, or the paths of points.

    Raises:
        DataError: The shape is not that of images, points or vectors.
    """
    if are_points(states[0]):
        return _paths(states)
    return grid(torch.stack(list(states), dim=1).flatten(0, 1), columns=len(states))


def titled_rows(x: Tensor, titles: Sequence[str]) -> Image.Image:
    """Return images (N, C, H, W), or vectors, in equal rows, one per title.

    Points (N, 2) have a scatter plot per title.

    Raises:
        DataError: The examples are not images.
    """
    if are_points(x):
        return _planes(x.chunk(len(titles)), titles)
    images = grid(x, columns=len(x) // len(titles))
    font = _font(round(_FONT_SHARE * images.height / len(titles)))
    left = 2 * _GAP + round(max(font.getlength(title) for title in titles))
    canvas = Image.new(
        images.mode, (left + images.width, images.height), 255 if images.mode == "L" else "white"
    )
    canvas.paste(images, (left, 0))
    for i, title in enumerate(titles):
        middle = (i + 0.5) * images.height / len(titles)
        ImageDraw.Draw(canvas).text((left - _GAP, middle), title, 0, font, anchor="rm")
    return canvas


def grid(x: Tensor, columns: int | None = None) -> Image.Image:
    """Return images (N, C, H, W), or vectors, side by side, clipped to [0, 1]."""
    images = as_images(x.detach().float().cpu()).clamp(0, 1)
    num, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    canvas = torch.full((channels, rows * (height + 1) + 1, columns * (width + 1) + 1), 0.35)
    for i, image in enumerate(images):
        top, left = i // columns * (height + 1) + 1, i % columns * (width + 1) + 1
        canvas[:, top : top + height, left : left + width] = image
    return _enlarged(canvas)


def as_images(x: Tensor) -> Tensor:
    """Return examples as (N, C, H, W); vectors become squares if possible, else one row each.

    Raises:
        DataError: They have more than three dimensions, or neither one nor three channels.
    """
    if x.ndim == 2:
        side = math.isqrt(x.shape[1])
        return x.view(-1, 1, side, side) if side**2 == x.shape[1] else x.view(len(x), 1, 1, -1)
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[1] in (1, 3):
        return x
    raise DataError(
        f"Examples of shape {tuple(x.shape[1:])} are not images. Write an .npz instead."
    )


def spread_filters(filters: Tensor) -> Tensor:
    """Return filters (N, ...), each scaled to [0, 1] with zero at one half."""
    peak = filters.abs().flatten(1).amax(1).clamp_min(1e-12)
    return 0.5 + 0.5 * filters / peak.view(-1, *[1] * (filters.ndim - 1))


def evenly(num: int, most: int) -> list[int]:
    """Return at most ``most`` evenly spaced indices below ``num``, including 0 and ``num`` − 1.

    >>> evenly(9, 3), evenly(2, 3)
    ([0, 4, 8], [0, 1])
    """
    return [int(i) for i in np.linspace(0, num - 1, min(num, most)).round()]


def lines_of_text(lines: Sequence[str]) -> Image.Image:
    """Return lines of text, one below the other, in letters of equal width."""
    font = _font(_FONT_LEAST + 4, "DejaVuSansMono.ttf")
    height = round(font.size) + _GAP
    width = max((round(font.getlength(line)) for line in lines), default=0)
    canvas = Image.new("L", (max(_MIN_SIDE, width + 2 * _GAP), height * len(lines) + _GAP), 255)
    for i, line in enumerate(lines):
        ImageDraw.Draw(canvas).text((_GAP, _GAP + i * height), line, 0, font)
    return canvas


def points(x: Tensor) -> Image.Image:
    """Return points (N, 2) as a scatter plot."""
    figure = new_figure(5, 5)
    _scatter(figure.subplots(), x)
    return to_image(figure)


def point_frames(states: Sequence[Tensor]) -> list[Image.Image]:
    """Return a scatter plot of points (N, 2) for each state, all on one scale."""
    every = torch.cat([x.detach().float().cpu() for x in states])
    low, high = every.amin(0), every.amax(0)
    margin = 0.04 * (high - low).clamp_min(1e-6)
    frames = []
    for x in states:
        figure = new_figure(5, 5)
        axes = figure.subplots()
        _scatter(axes, x)
        axes.set_xlim((low - margin)[0].item(), (high + margin)[0].item())
        axes.set_ylim((low - margin)[1].item(), (high + margin)[1].item())
        frames.append(to_image(figure))
    return frames


def _planes(states: Sequence[Tensor], titles: Sequence[str] = ()) -> Image.Image:
    """Return a scatter plot of points (N, 2) per state, all on one scale."""
    figure = new_figure(2 * len(states), 2.2)
    panels = figure.subplots(1, len(states), squeeze=False, sharex=True, sharey=True)[0]
    for axes, x in zip(panels, states, strict=True):
        _scatter(axes, x)
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(title, fontsize=8, parse_math=False)
    return to_image(figure)


def _paths(states: Sequence[Tensor]) -> Image.Image:
    """Return the paths of points (N, 2) through the states, their first and last states as dots.

    The paths of the first points are drawn as lines, and the states of all of them as dots.
    """
    from matplotlib.collections import LineCollection

    figure = new_figure(5, 5)
    axes = figure.subplots()
    paths = torch.stack([x.detach().float().cpu() for x in states], dim=1)
    lines = LineCollection(list(paths[:_PATHS].numpy()), colors="0.7", linewidths=0.6, zorder=1)
    axes.add_collection(lines)
    for x, color, label in ((paths[:, 0], "0.4", "first state"), (paths[:, -1], "C0", "last")):
        axes.scatter(*x.numpy().T, s=6, c=color, linewidths=0, label=label, zorder=2)
    axes.set_aspect("equal")
    axes.legend(fontsize=8, frameon=False)
    return to_image(figure)


def _scatter(axes: Any, x: Tensor) -> None:
    axes.scatter(*x.detach().float().cpu().numpy().T, s=3, alpha=0.5, linewidths=0)
    axes.set_aspect("equal")


def new_figure(width: float, height: float) -> Any:
    """Return a matplotlib figure, without the global state of pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    # A notebook knows matplotlib's figures once pyplot was imported; before, it would show text.
    figure._repr_png_ = functools.partial(_png_of, figure)
    return figure


def _png_of(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()


def show(axes: Any, image: Image.Image, title: str) -> None:
    """Put an image and its title into axes, pixel by pixel."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def to_image(figure: Any) -> Image.Image:
    """Return a figure's picture."""
    figure.canvas.draw()
    return Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())


def _font(size: int, name: str = "DejaVuSans.ttf") -> ImageFont.FreeTypeFont:
    """Return a font of many scripts, which comes with matplotlib."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), min(max(size, _FONT_LEAST), _FONT_MOST))


def _enlarged(canvas: Tensor) -> Image.Image:
    values = (canvas * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    image = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    factor = max(1, math.ceil(_MIN_SIDE / min(image.size)))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
