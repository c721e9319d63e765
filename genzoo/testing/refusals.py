"""Checks of refusals: values outside of the space, and weights that are not finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from genzoo import capabilities
from genzoo.errors import GenzooError
from genzoo.pretrained import GenerativeModel
from genzoo.spaces import Space
from genzoo.testing.cases import SEED, Case, NotApplicable, demand, seeded
from genzoo.testing.drawing import draw_block
from genzoo.testing.questions import Question, all_questions, fillable, inpaint_by, questions

_NUM = 5
_CANDIDATES = (math.nan, math.inf, 2.0, -0.5, 0.5, -1.0, 300.5, 2.0**22)
"""Test numbers; the model must refuse each one that its space does not allow."""


def check_likelihood_space(case: Case) -> None:
    """A likelihood refuses rows outside of its space."""
    _check_space(case, capabilities.SupportsLogProb)


def check_energy_space(case: Case) -> None:
    """An energy refuses rows outside of the model's space."""
    _check_space(case, capabilities.SupportsEnergy)


def check_encode_space(case: Case) -> None:
    """An encoder refuses rows outside of the model's space."""
    _check_space(case, capabilities.SupportsEncode)


def check_decode_space(case: Case) -> None:
    """A decoder refuses codes of another shape, and codes that are not finite."""
    _check_space(case, capabilities.SupportsDecode)


def check_classify_space(case: Case) -> None:
    """A classifier refuses rows outside of the space of its condition."""
    _check_space(case, capabilities.SupportsClassify)


def check_translate_space(case: Case) -> None:
    """A translator refuses rows outside of the space of their domain."""
    _check_space(case, capabilities.SupportsTranslate)


def check_inpainting_space(case: Case) -> None:
    """Values that are kept must be in the model's space; others may be anything."""
    _check_space(case, capabilities.SupportsInpainting)
    x = case.event_rows()
    if not x.is_floating_point():
        return
    model = case.model().eval()
    nan, condition = torch.full_like(x, math.nan), case.condition(model)
    with torch.no_grad():
        mask = fillable(model, x, condition)
        found = inpaint_by(model, torch.where(mask, nan, x), mask, condition)
    demand(bool(torch.isfinite(found).all()), "inpaint: NaN where the mask is true stays NaN.")


@torch.no_grad()
def check_empty_batches(case: Case) -> None:
    """No rows give an empty result of the right shape."""
    model = case.model().eval()
    with seeded(SEED):  # The method's own check must see its effect on the default generators.
        for question in all_questions(case, model):
            _check_empty(question)


def _check_empty(question: Question) -> None:
    found, error = _tried(question.of, question.rows[:0])
    if error is not None:
        _demand_ours(error, f"{question.title} of no rows")
        return
    expected = (0, *question.of(question.rows[:1]).shape[1:])
    shape = tuple(found.shape)
    demand(shape == expected, f"{question.title} of no rows has {shape}, not {expected}.")


@torch.no_grad()
def check_broken_weights(case: Case) -> None:
    """With NaN in a parameter, the error of every method names the parameter."""
    names = [name for name, p in case.model().named_parameters() if p.is_floating_point()]
    for name, value in ((names[0], math.nan), (names[-1], math.inf)):
        with seeded(SEED):
            _check_broken(case, name, value)


def _check_broken(case: Case, name: str, value: float) -> None:
    model = case.model().eval()
    asked = list(all_questions(case, model))  # Codes are computed while the weights are finite.
    condition = case.condition(model, _NUM)
    parameter = model.get_parameter(name)
    parameter[(-1,) * parameter.ndim] = value
    what = f"With {value} in {name},"
    _, error = _tried(model.sample, _NUM, seed=SEED, condition=condition)
    _demand_named(name, error, f"{what} sample")
    for question in asked:
        _, error = _tried(question.of, question.rows)
        _demand_named(name, error, f"{what} {question.title}")


@torch.no_grad()
def check_broken_states(case: Case) -> None:
    """A sampler does not turn NaN into numbers, as a comparison u < p does."""
    model = case.model().eval()
    plain = _drawn(case, model)
    real = [p for p in model.parameters() if p.is_floating_point()]
    with seeded(SEED):
        for p in real:
            p.normal_()
    if torch.equal(_drawn(case, model), plain):
        return  # Samples do not depend on the weights.
    for p in real:
        p.fill_(math.nan)
    found, error = _tried(_drawn, case, model)
    demand(
        error is not None or not bool(torch.isfinite(found).all()),
        "With NaN in every parameter the sampler draws finite samples: NaN is lost in a "
        "comparison or a clamp. Draw zeros and ones with genzoo.plugin.bernoulli, or raise "
        "NotFiniteSampleError.",
    )


def _drawn(case: Case, model: GenerativeModel) -> Tensor:
    """Return the result of the sampler itself, because `sample` would check the weights first."""
    return draw_block(model, _NUM, case.condition(model, _NUM))


@torch.no_grad()
def _check_space(case: Case, capability: type) -> None:
    found = questions(case, case.model().eval(), capability)
    if not found:
        raise NotApplicable("The method fails with rows that it must take.")
    for question in found:
        for what, rows in _outside(question):
            _demand_refused(f"{question.title} takes {what}", question.of, rows)
        if question.conditioned:
            _check_conditions(question)


def _outside(question: Question) -> Iterator[tuple[str, Any]]:
    """Yield rows outside of the question's space or shape, with a description of the error."""
    x, space = question.rows, question.space
    for value, rows in outside(space, x):
        yield f"{value:g} for {space}", rows
    if x.ndim > 1:
        longer = torch.cat([x, x[..., :1]], -1)
        yield f"rows of shape {tuple(longer.shape[1:])} for {tuple(x.shape[1:])}", longer
    yield "complex numbers", x.to(torch.complex64)


def outside(space: Space, rows: Any) -> Iterator[tuple[float, Any]]:
    """Yield rows whose last one has a number that the space does not allow, with the number."""
    if not isinstance(rows, Tensor):
        return
    for value in _CANDIDATES:
        if not (rows.is_floating_point() or (math.isfinite(value) and value % 1 == 0)):
            continue
        wrong = rows.clone()
        wrong.reshape(len(wrong), -1)[-1, 0] = value
        try:
            space.check(wrong[-1:])
        except GenzooError:
            yield value, wrong


def _check_conditions(question: Question) -> None:
    """Require that superfluous, missing, too few and unknown conditions are refused."""
    title, rows, model = question.title, question.rows, question.model
    ask, condition = question.given, question.condition
    if not model.conditions:
        superfluous = torch.zeros(len(rows), dtype=torch.long)
        said = f"{title} takes a condition, which the model has not"
        _demand_refused(said, ask, rows, superfluous)
        return
    for name, space in model.conditions.items():
        others = {key: values for key, values in condition.items() if key != name}
        if not model.takes_null or space.null is None:
            _demand_refused(f"{title} does without {name}", ask, rows, others)
        few = {**others, name: condition[name][:-1]}
        said = f"{title} takes {len(rows) - 1} of the condition {name}, {len(rows)} rows"
        _demand_refused(said, ask, rows, few)
        for value, wrong in outside(space, condition[name]):
            if not model.takes_null or not bool(space.is_null(wrong)[-1]):
                said = f"{title} takes {value:g} for the condition {name}, {space}"
                _demand_refused(said, ask, rows, {**others, name: wrong})


def _tried(ask: Callable[..., Any], *given: Any, **named: Any) -> tuple[Any, Exception | None]:
    """Return the result of a call and its error."""
    try:
        return ask(*given, **named), None
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        return None, error


_BEGIN = (
    "Begin with self.check_rows(x) or self.checked_codes(z, shape), and "
    "self.checked_condition(condition, len(x))."
)


def _demand_refused(said: str, ask: Callable[..., Any], *given: Any) -> None:
    """Raise unless a call raises an error of genzoo."""
    _, error = _tried(ask, *given)
    demand(
        error is not None,
        f"{said}. {_BEGIN}",
    )
    _demand_ours(error, said)


def _demand_ours(error: Exception | None, said: str) -> None:
    demand(
        isinstance(error, GenzooError),
        f"{said}: {type(error).__name__} ({str(error)[:80]}), not a GenzooError with what is "
        f"wrong and the remedy. {_BEGIN}",
    )


def _demand_named(name: str, error: Exception | None, said: str) -> None:
    """Raise unless an error of genzoo names a parameter."""
    demand(
        error is not None,
        f"{said} gives a result. Begin with self.check_rows(x) or self.checked_codes(z, shape).",
    )
    _demand_ours(error, said)
    demand(name in str(error), f"{said} raises an error that does not name it: {error}")
