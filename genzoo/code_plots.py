"""A picture of codes as points of a plane, coloured by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from genzoo.plotting import new_figure, to_image

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Those of Okabe and Ito but yellow, which white hides: also the colour-blind tell them apart.

| Color universal design (Okabe, Ito, 2008), https://jfly.uni-koeln.de/color/
"""
_MARKERS = ("o", "^", "s")
_GREY = "#9A9A9A"
MOST_CLASSES = 20
"""Classes with a colour and a shape of their own; the rest are grey."""
_MOST_LETTERS = 24


@dataclass(frozen=True, eq=False)
class Plane:
    """Codes as points of a plane.

    Arguments:
        points: The points, (N, 2).
        axes: What each axis is.
        title: How they were made from codes.
    """

    points: Tensor
    axes: tuple[str, str]
    title: str


def in_plane(codes: Tensor) -> Plane:
    """Return codes (N, ...) as points: two values as they are, more by their principal components.

    The directions of principal components have their largest coefficient positive, so that the
    picture does not depend on the arithmetic. Codes of one value are spread by their place in the
    order of rows.
    """
    z = codes.detach().double().cpu().flatten(1)
    if z.shape[1] == 1:
        points = torch.cat([z, torch.arange(len(z)).double()[:, None]], dim=1)
        return Plane(points, ("the code", "number of the row"), "codes of one value")
    if z.shape[1] == 2:
        return Plane(z, ("dimension 0 of the code", "dimension 1 of the code"), "codes")
    points, shares = principal_components(z)
    axes = [f"principal component {i} ({100 * s:.0f} % of the variance)" for i, s in shares]
    title = f"codes of {z.shape[1]:,} values, the two principal components"
    return Plane(points, (axes[0], axes[1]), title)


def principal_components(z: Tensor) -> tuple[Tensor, list[tuple[int, float]]]:
    """Return points (N, 2) in the plane of most variance, and the share of each component.

    Arguments:
        z: Rows of at least two values, (N, L).

    >>> points, shares = principal_components(torch.tensor([[0.0, 0, 1], [2, 0, 1], [4, 0, 1]]))
    >>> points[:, 0].tolist(), [round(share, 6) for _, share in shares]
    ([-2.0, 0.0, 2.0], [1.0, 0.0])
    """
    centred = z.double() - z.double().mean(0)
    _, scales, directions = torch.linalg.svd(centred, full_matrices=False)
    directions, variances = directions[:2], scales.square()
    sign = directions.gather(1, directions.abs().argmax(1, keepdim=True)).sign()
    points = torch.zeros(len(z), 2, dtype=torch.float64)
    points[:, : len(directions)] = centred @ (directions * sign).T
    shares = variances / variances.sum().clamp_min(1e-300)
    shares = torch.cat([shares, torch.zeros(2)])[:2]
    return points, list(enumerate(shares.tolist(), 1))


def scatter(plane: Plane, labels: Tensor | None, names: Sequence[str] = ()) -> Image.Image:
    """Return a scatter plot of codes, with a legend of the classes.

    Each class has a colour and a shape. Rows without a label are grey. Of more than 20 classes,
    the most frequent 20 have colours, and the others are grey too.

    Arguments:
        plane: The codes.
        labels: The class of each row, −1 for none, (N,); None if the data have no labels.
        names: The name of each class, or nothing.
    """
    figure = new_figure(8 if labels is not None else 6.2, 6)
    axes = figure.subplots()
    for group in _groups(len(plane.points), labels, names):
        x, y = plane.points[group.rows].T.numpy()
        look: dict[str, Any] = {"c": group.colour, "marker": group.marker, "label": group.name}
        axes.scatter(x, y, s=14, alpha=0.7, linewidths=0, **look)
    axes.set_xlabel(plane.axes[0])
    axes.set_ylabel(plane.axes[1])
    axes.set_title(plane.title, fontsize=10)
    if labels is not None:
        _legend(axes)
    return to_image(figure)


@dataclass(frozen=True, eq=False)
class _Group:
    """Rows with one colour, one shape and one name."""

    rows: Tensor
    colour: str
    marker: str
    name: str


def _groups(num: int, labels: Tensor | None, names: Sequence[str]) -> Iterator[_Group]:
    """Yield the grey rows first, so that they hide no other, then each class."""
    if labels is None:
        yield _Group(torch.arange(num), _COLOURS[0], _MARKERS[0], "")
        return
    found, counts = torch.unique(labels[labels >= 0], return_counts=True)
    shown = found[counts.argsort(descending=True, stable=True)[:MOST_CLASSES]].sort().values
    if len(without := (labels < 0).nonzero()[:, 0]):
        yield _Group(without, _GREY, ".", "no label")
    others = ((labels >= 0) & ~torch.isin(labels, shown)).nonzero()[:, 0]
    if len(others):
        yield _Group(others, _GREY, "x", f"{len(found) - len(shown)} other classes")
    for i, c in enumerate(shown.tolist()):
        colour, marker = _COLOURS[i % len(_COLOURS)], _MARKERS[i // len(_COLOURS)]
        yield _Group((labels == c).nonzero()[:, 0], colour, marker, _name(c, names))


def _name(index: int, names: Sequence[str]) -> str:
    name = names[index] if index < len(names) else str(index)
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"


def _legend(axes: Any) -> None:
    legend = axes.legend(
        loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9, frameon=False, markerscale=1.6
    )
    for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True):
        text.set_parse_math(False)
        handle.set_alpha(1)
