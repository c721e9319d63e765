"""The Python example of a card: a few lines that load the model and draw samples."""

from __future__ import annotations

import json
from typing import Any

from genzoo.capabilities import SupportsTranslate
from genzoo.conditions import spread
from genzoo.config import differences
from genzoo.errors import GenzooError
from genzoo.model import Model
from genzoo.sample_metadata import SampleMetadata
from genzoo.sampler import Sampler
from genzoo.sampling import own_sampler
from genzoo.showing import are_their_images, can_be_shown
from genzoo.spaces import Space

_NUM = 64
_NUM_GIVEN = 16
_PLAIN = (str, int, float, bool, type(None))
_LOADER = "from genzoo import GenModel"
_PICTURE = "from genzoo.plotting import save_picture"
_OF_SPACE = (
    "from genzoo.showing import save_picture",
    'save_picture(model.event, x, "picture.png")',
)
_TRANSLATION = (
    "x = torch.rand(4, *model.event_shape)  # Replace with your images, with values in [0, 1].",
    'save_picture(model.translate(x, to="y"), "picture.png")',
)


def snippet_for(model: Model, source: str, drawn: SampleMetadata | None = None) -> str:
    """Return Python code that loads a model from ``source`` and draws a picture, or an array.

    Arguments:
        model: The model.
        source: Its source.
        drawn: The settings of its sample picture, whose sampler and first condition are used.
    """
    load = f"model = GenModel.from_pretrained({json.dumps(source, ensure_ascii=False)})"
    if isinstance(model, SupportsTranslate):
        return "\n".join(["import torch", _LOADER, _PICTURE, "", load, *_TRANSLATION])
    drawn = drawn or SampleMetadata()
    imports, made = _sampler(model, drawn.known_sampler())
    named = ", sampler=sampler" if made else ""
    arguments = _num_and_condition(model, drawn)
    imports = ["import torch", *imports] if "torch." in arguments else imports
    draw = [load, *made, f"x = model.sample({arguments}{named}, seed=0)"]
    if can_be_shown(model.event):
        plain = are_their_images(model.event)
        shown = 'save_picture(x, "picture.png")' if plain else _OF_SPACE[1]
        picture = _PICTURE if plain else _OF_SPACE[0]
        return "\n".join([_LOADER, picture, *imports, "", *draw, shown])
    return "\n".join([_LOADER, *imports, "", *draw, "print(x.shape)"])


def _sampler(model: Model, sampler: Sampler | None) -> tuple[list[str], list[str]]:
    """Return the import and the construction of a sampler; nothing for the model's default."""
    own = own_sampler(model)
    if sampler is None or (type(sampler) is type(own) and sampler.config == own.config):
        return [], []
    cls, config = type(sampler), type(sampler.config)
    given = differences(sampler.config, config())
    if not all(isinstance(value, _PLAIN) for value in given.values()):
        return [], []
    fields = ", ".join(f"{name}={_literal(value)}" for name, value in given.items())
    names: dict[str, list[str]] = {}
    for each in (cls, config):
        names.setdefault(each.__module__, []).append(each.__name__)
    return (
        [f"from {module} import {', '.join(names[module])}" for module in sorted(names)],
        [f"sampler = {cls.__name__}({config.__name__}({fields}))"],
    )


def _literal(value: Any) -> str:
    """Return a plain value as Python code."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _num_and_condition(model: Model, drawn: SampleMetadata) -> str:
    """Return the arguments for the number of samples and the conditions."""
    if not model.conditions:
        return str(_NUM)
    given = next((row for row in drawn.given if _fits(model, row)), None)
    if given is not None:
        return f"{_NUM_GIVEN}, condition={_literal(given)}"
    values = {name: _example(name, space) for name, space in model.conditions.items()}
    if len(values) == 1:
        return f"{_NUM}, condition={next(iter(values.values()))}"
    return f"{_NUM}, condition={{{', '.join(f'{k!r}: {v}' for k, v in values.items())}}}"


def _fits(model: Model, row: Any) -> bool:
    """Whether a model accepts such a row, of one condition or of several by name."""
    try:
        spread(model, row, 1)
    except GenzooError:
        return False
    return True


def _example(name: str, space: Space) -> str:
    """Return Python code for 64 rows of a condition, or for one row for all samples."""
    if isinstance(space.null, str):
        return '"a word"'
    if space.count is not None and not space.event_shape:
        return f"[i % {space.count} for i in range({_NUM})]"
    return f"model.conditions[{name!r}].reference({_NUM}, torch.manual_seed(0))[0]"
