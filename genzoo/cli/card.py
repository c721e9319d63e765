"""genzoo card."""

from __future__ import annotations

from typing import Any

from genzoo.card import draw_samples, write_card
from genzoo.cli.arguments import CardArguments, Peeked
from genzoo.cli.folders import own_folder
from genzoo.cli.sample import sampler_of, with_sampler_fields
from genzoo.cli.texts import write
from genzoo.model_files import CARD, SAMPLES
from genzoo.pretrained import GenModel


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``card`` with the fields of the named sampler."""
    return with_sampler_fields(CardArguments, peeked)


def run(arguments: Any) -> None:
    """Draw the picture and write the card."""
    folder = own_folder(str(arguments.folder), "A card is written into a folder")
    if arguments.num:
        model = GenModel.from_pretrained(folder, device=arguments.device)
        drawn = draw_samples(
            model,
            folder,
            num=arguments.num,
            seed=arguments.seed,
            sampler=sampler_of(arguments),
        )
        if not (drawn or (folder / SAMPLES.name).exists()):
            write(f"There is no {SAMPLES.name}: this model draws no images by default.")
    write_card(folder, name=arguments.name, source=arguments.source, license=arguments.license)
    write(f"The card is {folder / CARD.name}.")
