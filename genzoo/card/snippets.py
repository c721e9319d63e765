"""The Python of a card: a few lines that load the model and draw from it, and that run."""

from __future__ import annotations

import json
from typing import Any

from genzoo.capabilities import SupportsTranslate
from genzoo.card.drawn import Drawn
from genzoo.card.samples import can_be_drawn, conditions
from genzoo.config import differences
from genzoo.model import GenerativeModel
from genzoo.sampler import Sampler
from genzoo.sampling import own_sampler

_NUM = 64
_NUM_GIVEN = 16
_PLAIN = (str, int, float, bool, type(None))
_LOADER = "from genzoo import GenModel"
_PICTURE = "from genzoo.plotting import save_picture"
_TRANSLATION = (
    "x = torch.rand(4, *model.event_shape)  # Here come your images, with values from 0 to 1.",
    'save_picture(model.translate(x, to="y"), "picture.png")',
)


def snippet_for(model: GenerativeModel, source: str, drawn: Drawn | None = None) -> str:
    """Return Python that loads a model from ``source`` and makes a picture, or an array.

    Arguments:
        model: The model.
        source: Where it is.
        drawn: How its sample picture was drawn: the sampler, and one of the conditions, are taken.
    """
    load = f"model = GenModel.from_pretrained({json.dumps(source, ensure_ascii=False)})"
    if isinstance(model, SupportsTranslate):
        return "\n".join(["import torch", _LOADER, _PICTURE, "", load, *_TRANSLATION])
    drawn = drawn or Drawn()
    imports, made = _sampler(model, drawn.known_sampler())
    named = ", sampler=sampler" if made else ""
    draw = [load, *made, f"x = model.sample({_num_and_condition(model, drawn)}{named}, seed=0)"]
    if can_be_drawn(model.event_shape):
        shown = 'save_picture(x, "picture.png")'
        return "\n".join([_LOADER, _PICTURE, *imports, "", *draw, shown])
    return "\n".join([_LOADER, *imports, "", *draw, "print(x.shape)"])


def _sampler(model: GenerativeModel, sampler: Sampler | None) -> tuple[list[str], list[str]]:
    """Return what imports and what makes a sampler; nothing of the model's own, or of none."""
    own = own_sampler(model)
    if sampler is None or (type(sampler) is type(own) and sampler.config == own.config):
        return [], []
    cls, config = type(sampler), type(sampler.config)
    given = differences(sampler.config, config())
    if cls.__module__ != config.__module__ or not all(_is_plain(v) for v in given.values()):
        return [], []
    fields = ", ".join(f"{name}={_literal(value)}" for name, value in given.items())
    return (
        [f"from {cls.__module__} import {cls.__name__}, {config.__name__}"],
        [f"sampler = {cls.__name__}({config.__name__}({fields}))"],
    )


def _literal(value: Any) -> str:
    """Return a plain value as Python has it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN)


def _num_and_condition(model: GenerativeModel, drawn: Drawn) -> str:
    kind = {"text": str, "label": int}.get(model.condition_kind)
    given = [row for row in drawn.given if type(row) is kind]
    if given:
        return f"{_NUM_GIVEN}, condition={_literal(given[0])}"
    labels = conditions(model, _NUM)
    if labels is not None:
        return f"{_NUM}, condition=[i % {max(labels) + 1} for i in range({_NUM})]"
    told = {"none": "", "label": ", condition=0"}.get(model.condition_kind, ', condition="a word"')
    return f"{_NUM}{told}"
