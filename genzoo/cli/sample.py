"""genzoo sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genzoo import registry
from genzoo.capabilities import SupportsTranslate
from genzoo.cli.arguments import Peeked, SampleArguments
from genzoo.cli.conditions import given_by, rows_given, takes_images, titles_of
from genzoo.cli.fields import changed, extended, section
from genzoo.cli.folders import model_of
from genzoo.cli.texts import command_line, write
from genzoo.component import Component
from genzoo.errors import ConditionError, ConfigError, OutputExistsError
from genzoo.files import atomic_file
from genzoo.model import Model
from genzoo.plotting import evenly, titled_rows, trajectories, write_picture
from genzoo.sample_metadata import given_rows, sample_metadata
from genzoo.sampler import Sampler
from genzoo.sampling import Request, draw, evaluating, own_sampler
from genzoo.showing import are_points, images_of, picture_of
from genzoo.spaces import Space

USUAL = Path("samples.png")
ROWS = 8
COLUMNS = 10


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``sample`` with the fields of the named sampler."""
    return with_sampler_fields(SampleArguments, peeked)


def run(arguments: Any) -> None:
    """Draw samples, and write the picture or the array."""
    output = _output(arguments)
    model = model_of(arguments.folder, arguments.revision, arguments.device)
    if takes_images(model):
        raise ConditionError(_of_images(model, arguments))
    sampler = sampler_of(arguments) or own_sampler(model)
    # Few trajectories of images, many of points in the plane.
    way = Way(sampler.num_states(model), 1000 if are_points(model.event) else ROWS)
    given = given_by(arguments)
    conditions = rows_given(model, given, arguments.num)
    request = Request(arguments.num, conditions, sampler, None, arguments.batch_size)
    x = draw(model, request, arguments.seed, way if arguments.trajectory else None)
    write_samples(model, x.cpu(), output, request, seed=arguments.seed, given=given)
    write(f"{arguments.num} samples are in {output}.")
    if arguments.trajectory is not None:
        states = [images_of(model.event, s) for s in way.states(model, arguments.num)]
        write_picture(trajectories(states), arguments.trajectory)
        write(f"The trajectories of the first are in {arguments.trajectory}.")


class Way:
    """Keeps evenly spaced states of the first samples of the first block.

    Arguments:
        num_states: The number of states; None keeps all states until the end.
        rows: The number of samples.
    """

    def __init__(self, num_states: int | None, rows: int) -> None:
        self.rows = rows
        self.wanted = None if num_states is None else set(evenly(num_states, COLUMNS))
        self.kept: list[Tensor] = []
        self.come = 0

    def __call__(self, k: int, state: Tensor) -> None:
        """Receive a state of block ``k``."""
        if k == 0 and (self.wanted is None or self.come in self.wanted):
            self.kept.append(state[: self.rows].clone())
        self.come += 1

    @torch.no_grad()
    def states(self, model: Model, num: int) -> list[Tensor]:
        """Return the states of the first of ``num`` samples in the units of x, on the CPU."""
        with evaluating(model):
            shown = [self.kept[i] for i in evenly(len(self.kept), COLUMNS)]
            return [model.to_data(state[:num]).cpu() for state in shown]


def with_sampler_fields(arguments: type, peeked: Peeked) -> type:
    """Return a command's arguments with the fields of the named sampler."""
    name = peeked.flags.get("sampler")
    if not name:
        return arguments
    return extended(arguments, {"sampler": section(registry.load("samplers", name).Config)})


def sampler_of(arguments: Any) -> Sampler | None:
    """Return the sampler of --sampler with its flags, or None."""
    if arguments.sampler_name is None:
        return None
    name = arguments.sampler_name
    values = changed(arguments.sampler, section(registry.load("samplers", name).Config))
    sampler: Sampler = registry.make("samplers", Component(name=name, config=values))
    return sampler


def _output(arguments: Any) -> Path:
    """Check the names of both files and return the file of the samples.

    Raises:
        ConfigError: A name has another suffix.
        OutputExistsError: No name is given, and the default file exists.
    """
    if arguments.trajectory is not None and arguments.trajectory.suffix != ".png":
        raise ConfigError(f"--trajectory must end in .png, got {str(arguments.trajectory)!r}.")
    if arguments.output is None and USUAL.exists():
        raise OutputExistsError(f"{USUAL} exists. Name the file, with --output.")
    output: Path = arguments.output or USUAL
    if output.suffix not in (".png", ".npz"):
        raise ConfigError(f"--output must end in .png or .npz, got {str(output)!r}.")
    if output == arguments.trajectory:
        raise ConfigError(f"--output and --trajectory are both {output}. Give them two names.")
    return output


def write_samples(
    model: Model,
    x: Tensor,
    output: Path,
    request: Request,
    *,
    seed: int | None,
    given: Mapping[str, Sequence[str]],
) -> None:
    """Write samples as a picture that says how they were drawn, or as an array.

    Arguments:
        model: The model.
        x: The samples, on the CPU.
        output: FILE.png or FILE.npz.
        request: How they were drawn.
        seed: The seed.
        given: The texts that were given for each condition.
    """
    if output.suffix != ".png":
        with atomic_file(output) as temporary:
            # Compression would take several times as long as drawing.
            np.savez(temporary, x=_smallest(model.event, x).numpy())
        return
    titles = titles_of(given)
    many = len(titles) > 1 and model.event.images(x) is not None
    image = titled_rows(images_of(model.event, x), titles) if many else picture_of(model.event, x)
    size = request.block_size(model)
    texts = sample_metadata(request.num, seed, request.sampler, given_rows(given), size)
    write_picture(image, output, texts=texts)


def _smallest(event: Space, x: Tensor) -> Tensor:
    """Return samples as bytes if their values are whole numbers that fit, as zeros and ones."""
    if not x.is_floating_point():
        return x
    if not event.is_discrete:
        return x.float()
    small = x.to(torch.uint8)
    return small if torch.equal(small.to(x.dtype), x) else x.float()


def _of_images(model: Model, arguments: Any) -> str:
    """Return the error for a model that needs an image for each sample."""
    who = type(model).__name__
    if isinstance(model, SupportsTranslate):
        output = arguments.output or USUAL
        words = ("translate", arguments.folder, "--data", "DATA", "--output", output)
        return f"{who} translates images. Give it some: {command_line('genzoo', *words)}"
    return (
        f"{who} needs an image for each sample, which this command cannot take. In Python: "
        "model.sample(len(x), condition=x)."
    )
