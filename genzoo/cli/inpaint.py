"""genzoo inpaint: a part of rows filled in, given the rest of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from genzoo import registry, seeds
from genzoo.capabilities import SupportsInpainting, declares
from genzoo.cli.arguments import InpaintArguments, Peeked
from genzoo.cli.conditions import given_by, rows_given
from genzoo.cli.data import data_of, with_data_fields
from genzoo.cli.folders import model_of
from genzoo.cli.masks import mask_of
from genzoo.cli.texts import write
from genzoo.conditions import condition_rows, spread
from genzoo.data import Dataset, draw_rows, load_dataset
from genzoo.errors import CapabilityError, ConfigError, DataError, GenzooError, counted
from genzoo.files import atomic_file
from genzoo.model import Model
from genzoo.plotting import grid, lines_of_text, write_picture
from genzoo.sampling import evaluating
from genzoo.showing import are_lines, are_points, can_be_shown, images_of
from genzoo.spaces import Space, Unit

_ARRAYS = (".npz", ".npy", ".safetensors")
_DRAWN = 4
_RANGE = re.compile(r"\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*")
_MOST_ROWS = 10_000


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``inpaint`` with the fields of the named data."""
    if "input" in peeked.flags:
        return InpaintArguments
    return with_data_fields(InpaintArguments, peeked)


@torch.no_grad()
def run(arguments: Any) -> None:
    """Fill in the rows, and write the picture or the arrays."""
    if arguments.output.suffix not in (".png", ".npz"):
        raise ConfigError(f"--output must end in .png or .npz, got {str(arguments.output)!r}.")
    model: Any = model_of(arguments.folder, arguments.revision, arguments.device)
    _check(model, arguments.output)
    batch = _rows(model, arguments)
    x = batch["x"]
    mask = mask_of(arguments.mask, model.event, len(x), arguments.seed)
    filled = _filled(model, x, mask, _conditions(model, batch, arguments), arguments)
    if arguments.output.suffix == ".npz":
        with atomic_file(arguments.output) as temporary:
            np.savez(temporary, x=filled.numpy(), given=x.numpy(), mask=mask.numpy())
    else:
        write_picture(_picture(model.event, x, mask, filled), arguments.output)
    share = mask.float().mean().item()
    rows = counted(len(x), "row")
    write(
        f"{rows}, {100 * share:.0f} % of the values filled in {arguments.num} times: "
        f"{arguments.output}."
    )


def _check(model: Model, output: Path) -> None:
    """Raise if a model does not inpaint, or its rows have no such picture."""
    if not isinstance(model, SupportsInpainting):
        able = _able()
        raise CapabilityError(
            f"{type(model).__name__} does not inpaint. Models that do: {', '.join(able)}."
        )
    if output.suffix == ".png" and (not can_be_shown(model.event) or are_points(model.event)):
        raise ConfigError(
            f"There is no picture of parts of {model.event.describe()}. Let --output end in .npz."
        )


def _able() -> list[str]:
    """Return the names of the models that inpaint, as far as their packages can be imported."""
    found = []
    for name in registry.names("models"):
        try:
            if declares(registry.load("models", name), SupportsInpainting):
                found.append(name)
        except GenzooError:
            continue
    return found


def _rows(model: Model, arguments: Any) -> dict[str, Any]:
    """Return the rows as a batch, in the model's space."""
    paths = arguments.input
    if paths and (arguments.data_name or arguments.split):
        raise ConfigError("--input gives the rows: leave --data and --split out.")
    if not paths:
        return _chosen(data_of(arguments), arguments)
    arrays = [path for path in paths if path.suffix in _ARRAYS]
    if arrays and len(paths) > 1:
        raise ConfigError(f"--input takes image files, or one file of rows; {arrays[0]} is one.")
    if arrays:
        data = load_dataset(str(paths[0]))
        batch, space = _chosen(data, arguments), data.info["x"]
    else:
        if arguments.rows is not None:
            raise ConfigError("--rows chooses rows of data: leave it out with image files.")
        batch, space = _images(paths, model.event)
    return {**batch, "x": _as_event(batch["x"], space, model)}


def _chosen(data: Dataset, arguments: Any) -> dict[str, Any]:
    """Return the rows of ``--rows``, or some drawn ones."""
    if arguments.rows is None:
        return draw_rows(data, _DRAWN, seed=arguments.seed)
    index = _numbers(arguments.rows)
    if beyond := [i for i in index if i >= len(data)]:
        raise ConfigError(
            f"--rows names row {beyond[0]}, and {data.name} has {counted(len(data), 'row')}."
        )
    return data.batch(torch.tensor(index), seeds.generator(arguments.seed))


def _numbers(text: str) -> list[int]:
    """Return the numbers of rows.

    >>> _numbers("3,5"), _numbers("0-2,7")
    ([3, 5], [0, 1, 2, 7])
    """
    if not _RANGE.fullmatch(text):
        raise ConfigError(f"--rows takes numbers of rows such as 3,5 or 0-7, got {text!r}.")
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), min(int(last or first), int(first) + _MOST_ROWS) + 1)
    if not 0 < len(found) <= _MOST_ROWS:
        raise ConfigError(f"--rows takes 1 to {_MOST_ROWS:,} rows, got {text!r}.")
    return found


def _images(paths: Sequence[Path], event: Space) -> tuple[dict[str, Any], Space]:
    """Return image files as rows, and their space."""
    shape = event.event_shape
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise DataError(f"The model takes {event.describe()}, and not images. Give --data.")
    x = torch.stack([_image(path, shape) for path in paths])
    return {"x": x}, Unit(shape=shape, levels=256)


def _image(path: Path, shape: tuple[int, ...]) -> Tensor:
    """Return an image file as a row (C, H, W) of values in [0, 1]."""
    try:
        with Image.open(path) as image:
            values = np.asarray(image.convert("L" if shape[0] == 1 else "RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}.") from error
    x = torch.from_numpy(values.copy()).float().view(*values.shape[:2], -1).permute(2, 0, 1) / 255
    if tuple(x.shape) != tuple(shape):
        raise DataError(
            f"{path} has {x.shape[2]} by {x.shape[1]} pixels, and the model takes {shape[2]} by "
            f"{shape[1]}. Resize it."
        )
    return x


def _as_event(x: Any, space: Space, model: Model) -> Any:
    """Return rows of a space in that of the model, converted if necessary."""
    event = model.event
    if event.accepts(space) is None:
        return x
    converted, convert = space.into(event.to_dict()["name"])
    if refused := event.accepts(converted):
        raise DataError(f"{type(model).__name__} does not take the rows of --input: {refused}.")
    write(f"The rows are read as {event.describe()}.")
    return convert(x)


def _conditions(model: Any, batch: Mapping[str, Any], arguments: Any) -> Any:
    """Return the conditions of the rows: those that are given, else those of the data."""
    if given := given_by(arguments):
        return rows_given(model, given, len(batch["x"]))
    if model.conditions.keys() <= batch.keys():
        return model.conditions_of(batch)
    return spread(model, None, len(batch["x"]))


def _filled(model: Any, x: Tensor, mask: Tensor, condition: Any, arguments: Any) -> Tensor:
    """Return each row filled in ``--num`` times, (N, num, *event_shape), on the CPU."""
    steps = arguments.num_inference_steps
    options = {} if steps is None else {"num_inference_steps": steps}
    generator = seeds.generator(arguments.seed, model.device)
    index = torch.arange(len(x)).repeat_interleave(arguments.num)
    found = []
    with evaluating(model):
        for rows in torch.split(index, model.default_batch_size):
            if model.conditions:
                options["condition"] = condition_rows(condition, model.conditions, rows)
            values = model.event.place(x[rows], model.device, model.dtype)
            drawn = model.inpaint(
                values, mask[rows].to(model.device), generator=generator, **options
            )
            found.append(drawn.cpu())
    return torch.cat(found).view(len(x), arguments.num, *x.shape[1:])


def _picture(event: Space, x: Tensor, mask: Tensor, filled: Tensor) -> Image.Image:
    """Return a row for each example: as given, masked in grey, and filled in."""
    if are_lines(event):
        return lines_of_text(_lines(event, x, mask, filled))
    given, drawn = images_of(event, x), images_of(event, filled.flatten(0, 1))
    if given.shape != mask.shape:
        raise DataError(f"There is no picture of parts of {event.describe()}. Write an .npz.")
    hidden = torch.where(mask, 0.5, given.float())
    stages = [given.float()[:, None], hidden[:, None], drawn.float().view(filled.shape)]
    return grid(torch.cat(stages, dim=1).flatten(0, 1), columns=2 + filled.shape[1])


def _lines(event: Space, x: Tensor, mask: Tensor, filled: Tensor) -> list[str]:
    """Return lines of text: each row as given, and filled in."""
    found = []
    names = event.value_names()
    letters = bool(names) and all(len(name) <= 1 for name in names)  # The empty one is padding.
    for row, hidden, several in zip(x, mask, filled, strict=True):
        given, *drawn = event.lines(torch.cat([row[None], several])) or []
        marks = "".join("_" if place else " " for place in hidden.flatten().tolist())
        below = letters or len(marks) == len(given)
        found += [f"given      {given}", f"fill in    {marks}" if below else ""]
        found += [f"filled in  {line}" for line in drawn]
    return [line for line in found if line]
