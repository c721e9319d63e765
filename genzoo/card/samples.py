"""The sample picture of a model folder: an image that says itself how it was drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from genzoo import registry
from genzoo.errors import DataError, GenzooError, PluginError
from genzoo.evaluation.receipts import flat
from genzoo.files import check_inside
from genzoo.model import GenerativeModel
from genzoo.plotting import as_images, picture, write_picture
from genzoo.sampler import Sampler

PICTURE_FILE = "samples.png"
NUM_SAMPLES = 36
KEY = "genzoo"
"""Under which a picture says how it was made."""
_MAX_TEXT = 10_000


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
    x = model.sample(num, condition=labels, sampler=sampler, seed=seed)
    texts = receipt(num, seed, sampler or model.sampler())
    write_picture(picture(x.cpu()), folder / PICTURE_FILE, texts=texts)
    return True


def receipt(
    num: int, seed: int | None, sampler: Sampler, *, titled: bool = False
) -> dict[str, str]:
    """Return what a picture of samples says of how it was drawn, by the key that it stands under.

    Arguments:
        num: How many samples it shows.
        seed: Where their randomness came from, where that is known.
        sampler: How they were drawn.
        titled: Whether each row has beside it what the model was given.
    """
    how = {"num": num, "seed": seed, **_how(sampler)}
    return {KEY: json.dumps({**how, "titled": True} if titled else how)}


def caption_of(folder: Path) -> str | None:
    """Return how a folder's sample picture was made, in words; None where there is none."""
    path = folder / PICTURE_FILE
    try:
        check_inside(path, folder)
        if not path.is_file():
            return None
        found = _receipt(path)
    except (GenzooError, OSError, ValueError, SyntaxError, RecursionError):
        return None
    if isinstance(told := found.get("caption"), str):
        return told
    given = {key: found.get(key) for key in ("sampler", "sampler_config", "seed")}
    given = {key: value for key, value in given.items() if value not in (None, {})}
    told = flat(given)
    num = f"{found['num']} samples" if isinstance(found.get("num"), int) else "Samples"
    rows = ", each row given what stands beside it" if found.get("titled") is True else ""
    return f"{num}{rows}, drawn with {told}." if told else f"{num}{rows}."


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


def _how(sampler: Sampler) -> dict[str, Any]:
    try:
        name = registry.name_of("samplers", type(sampler))
    except PluginError:
        name = type(sampler).__name__
    return {"sampler": name, "sampler_config": sampler.config.to_dict()}


def _receipt(path: Path) -> Mapping[str, Any]:
    """Return what a picture says of how it was drawn; nothing of one that says nothing."""
    with Image.open(path, formats=["PNG"]) as image:
        text = image.info.get(KEY)
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        return {}
    found = json.loads(text)
    return found if isinstance(found, dict) else {}
