"""genzoo explore: pictures of what a model has learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo import latents
from genzoo.capabilities import SupportsEncode, lacking
from genzoo.cli import explore_weights
from genzoo.cli.arguments import ExploreArguments, Peeked
from genzoo.cli.conditions import given_by, rows_given
from genzoo.cli.data import data_of, with_data_fields
from genzoo.cli.folders import model_of
from genzoo.cli.texts import write
from genzoo.cli.views import NEEDED, OF_NORMAL_CODES, views_of
from genzoo.code_plots import in_plane, scatter
from genzoo.conditions import condition_rows, spread
from genzoo.data import draw_rows
from genzoo.errors import CapabilityError, ConfigError
from genzoo.plotting import as_images, picture, titled_rows, write_picture
from genzoo.sampling import evaluating
from genzoo.showing import images_of
from genzoo.spaces import Space

_BLOCK = 256


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``explore`` with the fields of the named data."""
    return with_data_fields(ExploreArguments, peeked)


@torch.no_grad()
def run(arguments: Any) -> None:
    """Write the picture of a view."""
    if arguments.output.suffix != ".png":
        raise ConfigError(f"--output must end in .png, got {str(arguments.output)!r}.")
    model: Any = model_of(arguments.folder, arguments.revision, arguments.device)
    _check(model, arguments.view)
    if arguments.view in _WRITTEN:
        _WRITTEN[arguments.view](model, arguments)
        return
    with evaluating(model):
        view = _VIEWS[arguments.view](model, arguments)
        x = model.decode(view.codes, condition=view.condition)
    write_picture(picture(images_of(model.event, x), view.columns), arguments.output)
    write(f"{view.title}: {arguments.output}.")


def _check(model: Any, view: str) -> None:
    """Raise CapabilityError if a model lacks what a view needs."""
    if reason := lacking(model, NEEDED[view]):
        raise CapabilityError(
            f"The view {view} is not for {type(model).__name__}: {reason}. {_instead(model)}"
        )
    if view in OF_NORMAL_CODES and model.codes.is_discrete:
        raise CapabilityError(
            f"The view {view} moves along the values of a normal distribution, and the codes of "
            f"{type(model).__name__} are {model.codes.describe()}. {_instead(model)}"
        )


def _instead(model: Any) -> str:
    """Return what to use in place of a view: those that the model has, or another command."""
    views = views_of(type(model))
    if isinstance(model, SupportsEncode) and not _are_numbers(model.codes):
        views = [view for view in views if view != "interpolation"]
    if not views:
        return "Draw samples from it: genzoo sample."
    return f"Use --view {', '.join(views[:-1])}{' or ' if views[1:] else ''}{views[-1]}."


def _are_numbers(space: Space) -> bool:
    """Whether a line can lead from one value to another, as it cannot between categories."""
    values, _ = space.reference(1, torch.Generator())
    return bool(values.is_floating_point())


def _codes(model: Any, arguments: Any) -> None:
    """Write the picture of the codes of examples, coloured by label."""
    data = data_of(arguments)
    rows = draw_rows(data, arguments.max_examples, seed=arguments.seed)
    condition = model.conditions_of(rows)

    found = []
    with evaluating(model):
        for index in torch.split(torch.arange(len(rows["x"])), _BLOCK):
            given = condition_rows(condition, model.conditions, index)
            x = model.event.take(rows["x"], index)
            found.append(model.encode(x, condition=given).cpu())
    z = latents.code_vectors(torch.cat(found), model.codes)
    plane, space = in_plane(z), data.info.fields.get("label")
    names = space.value_names() if space else ()
    labels = rows["label"] if space is not None and space.count else None
    write_picture(scatter(plane, labels, names), arguments.output)
    colours = "coloured by label" if labels is not None else "one colour: the data have no labels"
    write(f"{len(plane.points):,} {plane.title}, {colours}: {arguments.output}.")


@dataclass(frozen=True)
class _View:
    """Codes (N, ...) to decode given conditions and to show in rows."""

    codes: Tensor
    condition: Any
    columns: int
    title: str


def _interpolation(model: Any, arguments: Any) -> _View:
    z, condition = _coded(model, arguments, 2 * arguments.rows)
    if not z.is_floating_point():
        raise CapabilityError(
            f"The view interpolation leads from code to code in a line, and the codes of "
            f"{type(model).__name__} are {model.codes.describe()}. {_instead(model)}"
        )
    num, pairs = arguments.num, len(z) // 2
    flat = z.flatten(1)
    lines = latents.interpolation(flat[:pairs], flat[pairs : 2 * pairs], num).flatten(0, 1)
    codes = lines.view(len(lines), *z.shape[1:])
    index = torch.arange(pairs).repeat_interleave(num)
    given = condition_rows(spread(model, condition, len(z)), model.conditions, index)
    return _View(codes, given, num, f"Each row leads from one of {pairs} examples to another")


def _traversal(model: Any, arguments: Any) -> _View:
    z, condition = _vector(model, arguments)
    codes = latents.traversal(z[0], arguments.num)
    codes = codes[: arguments.rows].flatten(0, 1)
    title = "Each row changes one value of one example's code from −3 to 3"
    return _View(codes, _same(model, condition, len(codes)), arguments.num, title)


def _manifold(model: Any, arguments: Any) -> _View:
    z, condition = _vector(model, arguments)
    codes = latents.manifold(arguments.num, z.shape[1], arguments.dimensions)
    chosen = rows_given(model, given_by(arguments), 1) if given_by(arguments) else {}
    given = {**condition, **chosen}
    title = f"Dimensions {arguments.dimensions[0]} and {arguments.dimensions[1]} of the codes"
    return _View(codes, _same(model, given, len(codes)), arguments.num, title)


def _bits(model: Any, arguments: Any) -> None:
    """Write the picture of examples, and below each the bits of its values."""
    rows = draw_rows(data_of(arguments), arguments.num, seed=arguments.seed)
    with evaluating(model):
        bits = model.bits(rows["x"], condition=model.conditions_of(rows)).cpu()
    images = images_of(model.event, rows["x"]).float()
    of_pixels = bits.sum(1, keepdim=True) if bits.ndim == 4 else bits
    most = max(float(of_pixels.max()), 1e-12)
    # A picture has one number of channels, and its brightest value is the most surprising one.
    shown = as_images(of_pixels / most).expand(-1, as_images(images).shape[1], -1, -1)
    both = torch.cat([as_images(images), shown])
    write_picture(titled_rows(both, ["example", "bits"]), arguments.output)
    per_row = bits.flatten(1).sum(1).mean().item()
    write(
        f"{len(bits)} examples, and below each the bits of its values, from 0 (black) to "
        f"{most:.2f} (white); {per_row:.1f} bits an example: {arguments.output}."
    )


_WRITTEN: dict[str, Callable[[Any, Any], None]] = {
    "bits": _bits,
    "codes": _codes,
    "filters": explore_weights.filters,
    "fantasies": explore_weights.fantasies,
}
_VIEWS: dict[str, Callable[[Any, Any], _View]] = {
    "interpolation": _interpolation,
    "traversal": _traversal,
    "manifold": _manifold,
}


def _coded(model: Any, arguments: Any, num: int) -> tuple[Tensor, Any]:
    """Return the codes (N, ...) of some rows of the data, and the conditions of the rows."""
    rows = draw_rows(data_of(arguments), num, seed=arguments.seed)
    condition = model.conditions_of(rows)
    return model.encode(rows["x"], condition=condition), condition


def _vector(model: Any, arguments: Any) -> tuple[Tensor, Any]:
    """Return the code (1, L) of a row of the data, and the conditions of the row."""
    z, condition = _coded(model, arguments, 1)
    if z.ndim != 2:
        raise CapabilityError(
            f"Codes of shape {tuple(z.shape[1:])} are not vectors, which the view "
            f"{arguments.view} needs. Use --view codes or interpolation."
        )
    return z, condition


def _same(model: Any, condition: Any, num: int) -> dict[str, Any]:
    """Return the first row of each condition, repeated for all codes."""
    return spread(model, {name: values[0] for name, values in condition.items()}, num)
