"""genzoo sample."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from genzoo import GenerativeModel, GenModel, registry
from genzoo.capabilities import SupportsTranslate
from genzoo.cli.arguments import Peeked, SampleArguments
from genzoo.cli.fields import changed, extended, section
from genzoo.errors import ConditionError, ConfigError
from genzoo.files import atomic_file
from genzoo.plotting import save_picture
from genzoo.sampler import Sampler


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``sample`` with the fields of the sampler that is named."""
    return with_sampler_fields(SampleArguments, peeked)


def run(arguments: Any) -> None:
    """Draw, and write the picture or the array."""
    if arguments.output.suffix not in (".png", ".npz"):
        raise ConfigError(f"--output must end in .png or .npz, got {str(arguments.output)!r}.")
    model = GenModel.from_pretrained(
        arguments.folder, revision=arguments.revision, device=arguments.device
    )
    if model.condition_kind == "image":
        raise ConditionError(_of_images(model, arguments))
    x = model.sample(
        arguments.num,
        condition=_condition(arguments.label, arguments.text),
        sampler=sampler_of(arguments),
        seed=arguments.seed,
        batch_size=arguments.batch_size,
    )
    _write(x.cpu(), arguments.output)
    sys.stdout.write(f"{arguments.num} samples are in {arguments.output}.\n")


def with_sampler_fields(arguments: type, peeked: Peeked) -> type:
    """Return a command's arguments with the fields of the sampler that is named."""
    name = peeked.flags.get("sampler")
    if not name:
        return arguments
    return extended(arguments, {"sampler": section(registry.load("samplers", name).Config)})


def sampler_of(arguments: Any) -> Sampler | None:
    """Return the sampler that --sampler names, with its flags; None where it names none."""
    if arguments.sampler_name is None:
        return None
    cls = registry.load("samplers", arguments.sampler_name)
    values = changed(arguments.sampler, section(cls.Config))
    sampler: Sampler = cls(cls.Config.from_dict(values))
    return sampler


def _condition(label: int | None, text: str | None) -> Any:
    if label is not None and text is not None:
        raise ConditionError("Give --label or --text, not both.")
    return text if label is None else label


def _write(x: Tensor, output: Path) -> None:
    if output.suffix == ".png":
        save_picture(x, output)
        return
    with atomic_file(output) as temporary:
        np.savez_compressed(temporary, x=x.float().numpy())


def _of_images(model: GenerativeModel, arguments: Any) -> str:
    """Say what to do with a model that is given an image for each sample."""
    who = type(model).__name__
    if isinstance(model, SupportsTranslate):
        return (
            f"{who} makes an image of another one. Give it some: genzoo translate "
            f"{arguments.folder} --data DATA --output {arguments.output}."
        )
    return (
        f"{who} is given an image for each sample, which this command cannot name. In Python: "
        "model.sample(len(x), condition=x)."
    )
