"""The methods of each capability in one form, so that one check covers all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo import capabilities, seeds
from genzoo.conditions import condition_rows
from genzoo.errors import DataError
from genzoo.pretrained import GenerativeModel
from genzoo.spaces import Real, Space
from genzoo.testing.cases import SEED, Case
from genzoo.testing.latent_checks import codes_of

Ask = Callable[[Any, Tensor, Any], Any]
"""Calls a method of a model with rows and their conditions."""


@dataclass(frozen=True)
class Question:
    """A method of a model that takes rows, with rows that it must accept.

    Arguments:
        title: Its name in messages.
        model: The model.
        ask: Calls the method.
        conditioned: Whether the method has an argument ``condition``.
        rows: Rows, or codes.
        space: The space of the rows that it must accept.
        condition: The conditions of the rows by name; empty if there are none.
    """

    title: str
    model: GenerativeModel
    ask: Ask
    conditioned: bool
    rows: Tensor
    space: Space
    condition: dict[str, Any]

    def of(self, rows: Tensor) -> Any:
        """Call the method with other rows; fewer rows get the first conditions."""
        return self.given(rows, self.first(len(rows)))

    def first(self, num: int) -> dict[str, Any]:
        """Return the conditions of the first rows."""
        return condition_rows(self.condition, self.model.conditions, slice(num))

    def given(self, rows: Tensor, condition: Any) -> Any:
        """Call the method with other rows and conditions."""
        return self.ask(self.model, rows, condition)


def questions(case: Case, model: GenerativeModel, capability: type) -> list[Question]:
    """Return the methods of a capability that take rows.

    A method that fails with valid rows is left out; another check reports it.
    """
    try:
        found = list(_questions(case, model, capability))
        for question in found:
            question.of(question.rows)
    except Exception:  # noqa: BLE001 - a plugin may raise anything
        return []
    return found


def _questions(case: Case, model: GenerativeModel, capability: type) -> Iterator[Question]:
    if not isinstance(model, capability):
        return
    condition = case.condition(model)
    for title, (ask, conditioned) in _ASKED.get(capability, {}).items():
        given = condition if conditioned else {}
        if capability is capabilities.SupportsDecode:
            z = codes_of(case, model, condition)
            cut = condition_rows(given, model.conditions, slice(len(z)))
            space: Space = Real(shape=tuple(z.shape[1:]))
            yield Question(title, model, ask, conditioned, z, space, cut)
        else:
            field = _FIELDS.get(title, "x" if capability is capabilities.SupportsClassify else "")
            field = field or model.event_field
            known = {model.event_field: model.event, **model.conditions}
            rows = case.batch()[field]
            yield Question(title, model, ask, conditioned, rows, known[field], given)


def all_questions(case: Case, model: GenerativeModel) -> Iterator[Question]:
    """Yield all methods of a model that take rows."""
    for capability in capabilities.ALL:
        yield from questions(case, model, capability)


def every_other(x: Tensor) -> Tensor:
    """Return a mask of every second value of a row, beginning with False."""
    mask = torch.ones(x.shape[1:], dtype=torch.bool)
    mask.view(-1)[::2] = False
    return mask


def masks(x: Tensor) -> tuple[Tensor, ...]:
    """Return masks, one of which a model must fill in: every second value, and the second half.

    A model that draws values in an order fills in the end of a row only.
    """
    half = torch.zeros(x.shape[1:], dtype=torch.bool)
    half.view(-1)[half.numel() // 2 :] = True
    return every_other(x), half


def inpaint(model: Any, x: Tensor, condition: Any = None) -> Any:
    """Fill in a part of rows, by a mask that the model does not refuse."""
    return inpaint_by(model, x, fillable(model, x, condition), condition)


def fillable(model: Any, x: Tensor, condition: Any) -> Tensor:
    """Return the first of `masks` that a model fills in; the last one if it refuses all."""
    *others, last = masks(x)
    for mask in others:
        with contextlib.suppress(DataError):
            inpaint_by(model, x, mask, condition)
            return mask
    return last


def inpaint_by(model: Any, x: Tensor, mask: Tensor, condition: Any, seed: int = SEED) -> Any:
    """Fill in rows where a mask is true, given their conditions if the model has any."""
    generator = seeds.generator(seed, model.device)
    given = {"condition": condition} if model.conditions else {}
    return model.inpaint(x, mask, generator=generator, num_inference_steps=3, **given)


def _likelihood(model: Any, rows: Tensor, condition: Any) -> Any:
    generator = seeds.generator(SEED, model.device)
    with torch.no_grad():
        found = model.log_prob(rows, condition=condition, generator=generator, num_samples=4)
    return found.values


def _codes(model: Any, rows: Tensor, condition: Any) -> Any:
    generator = seeds.generator(SEED, model.device)
    return model.draw_codes(rows, condition=condition, generator=generator)


_FIELDS = {"translate to x": "y", "translate to y": "x"}
"""The field whose rows a method takes, if it is not the event."""

_ASKED: Mapping[type, Mapping[str, tuple[Ask, bool]]] = {
    capabilities.SupportsLogProb: {"log_prob": (_likelihood, True)},
    capabilities.SupportsEnergy: {"energy": (lambda model, x, _: model.energy(x), False)},
    capabilities.SupportsEncode: {
        "encode": (lambda model, x, c: model.encode(x, condition=c), True),
        "draw_codes": (_codes, True),
    },
    capabilities.SupportsDecode: {
        "decode": (lambda model, z, c: model.decode(z, condition=c), True)
    },
    capabilities.SupportsClassify: {"classify": (lambda model, x, _: model.classify(x), False)},
    capabilities.SupportsTranslate: {
        "translate to y": (lambda model, x, _: model.translate(x, to="y"), False),
        "translate to x": (lambda model, y, _: model.translate(y, to="x"), False),
    },
    capabilities.SupportsInpainting: {"inpaint": (inpaint, False)},
}
"""The methods of each capability, and whether they have an argument ``condition``."""
