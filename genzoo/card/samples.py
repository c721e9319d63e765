"""The sample picture of a model folder: an image that says itself how it was drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genzoo.card.sample_metadata import sample_metadata
from genzoo.model import Model
from genzoo.model_files import SAMPLES
from genzoo.plotting import write_picture
from genzoo.sampler import Sampler
from genzoo.sampling import block_size, own_sampler
from genzoo.showing import can_be_shown, picture_of
from genzoo.spaces.space import MAX_COUNT

NUM_SAMPLES = 36


def draw_samples(
    model: Model,
    folder: Path,
    *,
    num: int = NUM_SAMPLES,
    seed: int = 0,
    sampler: Sampler | None = None,
) -> bool:
    """Draw samples into a folder's ``samples.png``, and say in it how.

    Arguments:
        model: The model; of labels it is given one after the other.
        folder: The model folder.
        num: How many.
        seed: Where the randomness comes from.
        sampler: The sampler; the model's default sampler if None.

    Returns:
        Whether there is a picture: there is none of what is no image, nor of a model that must
        be told what to draw.
    """
    given = conditions(model, num)
    if given is None or not can_be_shown(model.event):
        return False
    size = block_size(model, num)
    x = model.sample(num, condition=given, sampler=sampler, seed=seed, batch_size=size)
    texts = sample_metadata(num, seed, sampler or own_sampler(model), batch_size=size)
    write_picture(picture_of(model.event, x.cpu()), folder / SAMPLES.name, texts=texts)
    return True


def conditions(model: Model, num: int) -> dict[str, Any] | None:
    """Return conditions to draw a picture with, by name; None where nothing says which.

    Of a condition of finitely many values, such as a label, one value comes after the other;
    another one is left out, where the model can do without it.
    """
    conditions = {}
    for name, space in model.conditions.items():
        if space.count is not None and space.count <= MAX_COUNT:
            index = [i % space.count for i in range(num)]
            conditions[name] = space.take(space.enumerate(), index)
        elif not model.takes_null or space.null is None:
            return None
    return conditions
