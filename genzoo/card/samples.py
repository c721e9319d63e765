"""The sample picture of a model folder: an image that says itself how it was drawn."""

from __future__ import annotations

from pathlib import Path

import torch

from genzoo.card.drawn import receipt
from genzoo.errors import DataError
from genzoo.model import GenerativeModel
from genzoo.plotting import as_images, picture, write_picture
from genzoo.sampler import Sampler
from genzoo.sampling import block_size, own_sampler

PICTURE_FILE = "samples.png"
NUM_SAMPLES = 36


def draw_samples(
    model: GenerativeModel,
    folder: Path,
    *,
    num: int = NUM_SAMPLES,
    seed: int = 0,
    sampler: Sampler | None = None,
) -> bool:
    """Draw samples into a folder's ``samples.png``, and say in it how.

    Arguments:
        model: The model; given labels, it is given one after the other.
        folder: The model folder.
        num: How many.
        seed: Where the randomness comes from.
        sampler: How; the model's own by default.

    Returns:
        Whether there is a picture: there is none of what is no image, nor of a model that must
        be told what to draw.
    """
    labels = conditions(model, num)
    unknown = model.condition_kind != "none" and labels is None
    if unknown or not can_be_drawn(model.event_shape):
        return False
    size = block_size(model, num)
    x = model.sample(num, condition=labels, sampler=sampler, seed=seed, batch_size=size)
    texts = receipt(num, seed, sampler or own_sampler(model), batch_size=size)
    write_picture(picture(x.cpu()), folder / PICTURE_FILE, texts=texts)
    return True


def conditions(model: GenerativeModel, num: int) -> list[int] | None:
    """Return one label after the other, for a model that is conditioned on labels; else None."""
    classes = model.config.to_dict().get("num_classes")
    if model.condition_kind != "label" or not isinstance(classes, int):
        return None
    return [i % classes for i in range(num)]


def can_be_drawn(event_shape: tuple[int, ...]) -> bool:
    """Whether a picture of examples of that shape can be made."""
    try:
        as_images(torch.empty((1, *event_shape), device="meta"))
    except DataError:
        return False
    return True
