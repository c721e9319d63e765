"""The sample picture of a model folder: an image that contains its own settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genzoo.model import Model
from genzoo.model_files import SAMPLES
from genzoo.plotting import write_picture
from genzoo.sample_metadata import sample_metadata
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
    """Draw samples into a folder's ``samples.png``, with the settings.

    Arguments:
        model: The model; labels are given in turn.
        folder: The model folder.
        num: The number of rows.
        seed: Where the randomness comes from.
        sampler: The sampler; the model's default sampler if None.

    Returns:
        Whether there is a picture. There is none if samples are not images, or if the model needs
        conditions that have no default.
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
    """Return conditions for a picture by name, or None if there is no default.

    A condition with finitely many values, such as a label, takes them in turn. Another one is left
    out, if the model can do without it.
    """
    conditions = {}
    for name, space in model.conditions.items():
        if space.count is not None and space.count <= MAX_COUNT:
            index = [i % space.count for i in range(num)]
            conditions[name] = space.take(space.enumerate(), index)
        elif not model.takes_null or space.null is None:
            return None
    return conditions
