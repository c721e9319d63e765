"""genzoo sample."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated, Any

import numpy as np
import tyro

from genzoo import GenModel, registry
from genzoo.cli.arguments import Peeked, SampleArguments
from genzoo.cli.fields import with_help
from genzoo.errors import ConditionError, ConfigError
from genzoo.files import atomic_file
from genzoo.plotting import save_picture


def arguments_for(peeked: Peeked) -> Any:
    """Return the arguments of ``sample`` with the fields of the sampler that is named."""
    name = peeked.flags.get("sampler")
    if not name:
        return SampleArguments
    sampler = registry.load("samplers", name)
    fields: list[Any] = [
        (f.name, with_help(f, SampleArguments), f)
        for f in dataclasses.fields(SampleArguments)
        if f.name != "sampler"
    ]
    help_text = "How to draw."
    fields += [
        ("sampler", Annotated[str, tyro.conf.arg(help=help_text)], name),
        ("values", Annotated[sampler.Config, tyro.conf.arg(name="sampler")], sampler.Config()),
    ]
    return dataclasses.make_dataclass("Sample", fields, kw_only=True, frozen=True)


def run(arguments: Any) -> None:
    """Draw, and write the picture or the array."""
    if arguments.output.suffix not in (".png", ".npz"):
        raise ConfigError(f"--output must end in .png or .npz, got {str(arguments.output)!r}.")
    model = GenModel.from_pretrained(arguments.folder, device=arguments.device)
    sampler = None
    if arguments.sampler:
        sampler = registry.load("samplers", arguments.sampler)(arguments.values)
    x = model.sample(
        arguments.num,
        condition=_condition(arguments.label, arguments.text),
        sampler=sampler,
        seed=arguments.seed,
        batch_size=arguments.batch_size,
    )
    _write(x.cpu(), arguments.output)
    sys.stdout.write(f"{arguments.num} samples are in {arguments.output}.\n")


def _condition(label: int | None, text: str | None) -> Any:
    if label is not None and text is not None:
        raise ConditionError("Give --label or --text, not both.")
    return text if label is None else label


def _write(x: Any, output: Path) -> None:
    if output.suffix == ".png":
        save_picture(x, output)
        return
    with atomic_file(output) as temporary:
        np.savez_compressed(temporary, x=x.float().numpy())
