"""genzoo card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genzoo.card import draw_samples, write_card
from genzoo.cli.arguments import Peeked
from genzoo.cli.conditions import given_by, rows_given, takes_images
from genzoo.cli.folders import own_folder, unpublished_figures
from genzoo.cli.sample import sampler_of, with_sampler_fields, write_samples
from genzoo.cli.sharing_arguments import CardArguments
from genzoo.cli.texts import command_line, write
from genzoo.conditions import flag_of
from genzoo.model import Model
from genzoo.model_files import CARD, SAMPLES
from genzoo.pretrained import GenModel
from genzoo.sampling import Request, draw, own_sampler
from genzoo.showing import can_be_shown


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``card`` with the fields of the named sampler."""
    return with_sampler_fields(CardArguments, peeked)


def run(arguments: Any) -> None:
    """Draw the picture and write the card."""
    folder = own_folder(str(arguments.folder), "A card is written into a folder")
    if arguments.num:
        model = GenModel.from_pretrained(folder, device=arguments.device)
        if not (_draw(model, folder, arguments) or (folder / SAMPLES.name).exists()):
            write(_why_no_picture(model, folder))
    write_card(folder, name=arguments.name, source=arguments.source, license=arguments.license)
    write(f"The card is {folder / CARD.name}.")
    if note := unpublished_figures(folder):
        write(note)


def _draw(model: Model, folder: Path, arguments: Any) -> bool:
    """Draw the picture, and return whether there is one."""
    num, seed, sampler = arguments.num, arguments.seed, sampler_of(arguments)
    given = given_by(arguments)
    if not given:
        return draw_samples(model, folder, num=num, seed=seed, sampler=sampler)
    rows = rows_given(model, given, num)
    request = Request(num, rows, sampler or own_sampler(model), None, None)
    x = draw(model, request, seed).cpu()
    write_samples(model, x, folder / SAMPLES.name, request, seed=seed, given=given)
    return True


def _why_no_picture(model: Model, folder: Path) -> str:
    """Say why there is no picture, and what to do."""
    if not can_be_shown(model.event):
        return f"There is no {SAMPLES.name}: there is no picture of {model.event.describe()}."
    if takes_images(model):
        command = command_line("genzoo", "translate", folder, "--output", "strips.png")
        remedy = f"Draw strips: {command}"
    else:
        name = next(name for name, space in model.conditions.items() if space.count is None)
        remedy = f"Give a value: {flag_of(name)} VALUE."
    return f"There is no {SAMPLES.name}: a condition of the model has no list of values. {remedy}"
