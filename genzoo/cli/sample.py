"""genzoo sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from genzoo import registry
from genzoo.capabilities import SupportsTranslate
from genzoo.cli.arguments import Peeked, SampleArguments
from genzoo.cli.components import Place, resolved
from genzoo.cli.conditions import given_by, rows_given, takes_images, texts_given, titles_of
from genzoo.cli.fields import changed, extended, section
from genzoo.cli.folders import model_of
from genzoo.cli.shared_work import say_on_main, shared
from genzoo.cli.texts import command_line, write
from genzoo.cli.trajectory import Way, check_suffix
from genzoo.component import Component
from genzoo.config import Config
from genzoo.errors import ConditionError, ConfigError, OutputExistsError, counted
from genzoo.files import atomic_file, replace_text
from genzoo.model import Model
from genzoo.plotting import titled_rows, write_picture
from genzoo.process_group import main_first, on_main
from genzoo.sample_metadata import given_rows, sample_metadata
from genzoo.sample_shards import smallest, write_shards
from genzoo.sampler import Sampler
from genzoo.sampling import Request, draw, own_sampler
from genzoo.showing import are_lines, images_of, picture_of

USUAL = Path("samples.png")
_FILES = (".png", ".npz", ".txt")


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``sample`` with the fields of the named sampler."""
    return with_sampler_fields(SampleArguments, peeked)


def run(arguments: Any) -> None:
    """Draw samples, and write the picture, the lines, the array, or a folder of arrays."""
    output = _output(arguments)
    with shared(arguments.device):
        model = main_first(
            lambda: model_of(arguments.folder, arguments.revision, arguments.device)
        )
        _run(arguments, model, output)


def _run(arguments: Any, model: Model, output: Path) -> None:
    if takes_images(model):
        raise ConditionError(_of_images(model, arguments))
    if output.suffix == ".txt" and not are_lines(model.event):
        raise ConfigError(
            f"Samples of {model.event.describe()} are not text. Let --output end in .png or .npz."
        )
    sampler = sampler_of(arguments) or own_sampler(model)
    path = arguments.trajectory
    way = None if path is None else Way(model, sampler, path)
    given = given_by(arguments)
    if _is_folder(output):
        rows = texts_given(model, given, arguments.num)
        request = Request(arguments.num, rows, sampler, None, arguments.batch_size)
        index = write_shards(model, request, output, arguments.seed, arguments.shard_size, given)
        say_on_main(
            f"{arguments.num} samples of seed {index['seed']} are in {output}, in "
            f"{counted(index['shards'], 'file')}."
        )
        return
    conditions = rows_given(model, given, arguments.num)
    request = Request(arguments.num, conditions, sampler, None, arguments.batch_size)
    x = draw(model, request, arguments.seed, way)

    def finish() -> None:
        write_samples(model, x.cpu(), output, request, seed=arguments.seed, given=given)
        write(f"{arguments.num} samples are in {output}.")
        if way is not None:
            write(f"{way.write(model, arguments.num)}: {path}.")

    on_main(finish)


def with_sampler_fields(arguments: type, peeked: Peeked) -> type:
    """Return a command's arguments with the fields of the named sampler."""
    name = peeked.flags.get("sampler")
    if not name:
        return arguments
    return extended(arguments, {"sampler": sampler_section(name, peeked)})


def sampler_section(name: str, peeked: Peeked) -> Config:
    """Return the section of flags of a sampler."""
    place = Place("sampler", peeked.named)
    return section(registry.load("samplers", name).Config, place=place)


def sampler_of(arguments: Any) -> Sampler | None:
    """Return the sampler of --sampler with its flags, or None."""
    if arguments.sampler_name is None:
        return None
    name = arguments.sampler_name
    config = registry.load("samplers", name).Config
    values = resolved(config, {}, changed(arguments.sampler))
    sampler: Sampler = registry.make("samplers", Component(name=name, config=values))
    return sampler


def _output(arguments: Any) -> Path:
    """Check the names of both files and return the file of the samples.

    Raises:
        ConfigError: A name has another suffix.
        OutputExistsError: No name is given, and the default file exists.
    """
    if arguments.trajectory is not None:
        check_suffix(arguments.trajectory)
    if arguments.output is None and USUAL.exists():
        raise OutputExistsError(f"{USUAL} exists. Name the file, with --output.")
    output: Path = arguments.output or USUAL
    if _is_folder(output):
        if arguments.trajectory is not None:
            raise ConfigError(
                f"--output {output} is a folder, with which --trajectory is not written. Leave it "
                "out, or let --output end in .png or .npz."
            )
        return output
    if arguments.shard_size is not None:
        raise ConfigError(
            f"--shard-size is for a folder of samples, and --output {output} is one file. Leave "
            "it out, or name a folder, without an ending."
        )
    if output.suffix not in _FILES:
        raise ConfigError(
            "--output must end in .png or .npz, or in .txt for lines of text, got "
            f"{str(output)!r}. A new folder has a name without an ending."
        )
    if output == arguments.trajectory:
        raise ConfigError(f"--output and --trajectory are both {output}. Give them two names.")
    return output


def _is_folder(output: Path) -> bool:
    """Whether samples go into a folder: one that exists, or a name without an ending."""
    return not output.suffix or (output.is_dir() and output.suffix not in _FILES)


def write_samples(
    model: Model,
    x: Tensor,
    output: Path,
    request: Request,
    *,
    seed: int | None,
    given: Mapping[str, Sequence[str]],
) -> None:
    """Write samples as a picture that says how they were drawn, as lines of text, or as an array.

    Arguments:
        model: The model.
        x: The samples, on the CPU.
        output: FILE.png, FILE.txt or FILE.npz.
        request: How they were drawn.
        seed: The seed.
        given: The texts that were given for each condition.
    """
    if output.suffix == ".txt":
        replace_text(output, "".join(f"{line}\n" for line in model.event.lines(x) or ()))
        return
    if output.suffix != ".png":
        with atomic_file(output) as temporary:
            # Compression would take several times as long as drawing.
            np.savez(temporary, x=smallest(model.event, x).numpy())
        return
    titles = titles_of(given)
    many = len(titles) > 1 and model.event.images(x) is not None
    image = titled_rows(images_of(model.event, x), titles) if many else picture_of(model.event, x)
    size = request.block_size(model)
    texts = sample_metadata(request.num, seed, request.sampler, given_rows(given), size)
    write_picture(image, output, texts=texts)


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
