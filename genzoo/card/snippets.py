"""The Python of a card: a few lines that load the model and draw from it, and that run."""

from __future__ import annotations

import json

from genzoo.capabilities import SupportsTranslate
from genzoo.card.samples import can_be_drawn, conditions
from genzoo.model import GenerativeModel

_NUM = 64
_HEAD = ("from genzoo import GenModel", "from genzoo.plotting import save_picture", "")
_TRANSLATION = (
    "x = torch.rand(4, *model.event_shape)  # Here come your images, with values from 0 to 1.",
    'save_picture(model.translate(x, to="y"), "picture.png")',
)


def snippet_for(model: GenerativeModel, source: str) -> str:
    """Return Python that loads a model from ``source`` and makes a picture, or an array."""
    load = f"model = GenModel.from_pretrained({json.dumps(source, ensure_ascii=False)})"
    if isinstance(model, SupportsTranslate):
        return "\n".join(["import torch", *_HEAD, load, *_TRANSLATION])
    draw = f"x = model.sample({_NUM}{_condition(model)}, seed=0)"
    if can_be_drawn(model.event_shape):
        return "\n".join([*_HEAD, load, draw, 'save_picture(x, "picture.png")'])
    return "\n".join([_HEAD[0], "", load, draw, "print(x.shape)"])


def _condition(model: GenerativeModel) -> str:
    labels = conditions(model, _NUM)
    if labels is not None:
        return f", condition=[i % {max(labels) + 1} for i in range({_NUM})]"
    return {"none": "", "label": ", condition=0"}.get(model.condition_kind, ', condition="a word"')
