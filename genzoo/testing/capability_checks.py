"""Checks of capabilities, and of their declaration."""

from __future__ import annotations

import inspect
import math
import tempfile
from functools import partial
from typing import Any

import torch

from genzoo import capabilities, seeds
from genzoo.capabilities import SupportsDataInit
from genzoo.errors import GenzooError
from genzoo.pretrained import GenModel
from genzoo.testing.cases import SEED, Case, demand, seeded
from genzoo.testing.questions import fillable, inpaint_by


def check_capabilities(case: Case) -> None:
    """Each capability is declared completely, with its own arguments, and can be used."""
    for protocol in capabilities.ALL:
        asked = [name for name in vars(protocol) if not name.startswith("_")]
        had = [name for name in asked if _has(case.cls, protocol, name)]
        if not had:
            continue
        missing = ", ".join(sorted(set(asked) - set(had)))
        title = protocol.__name__
        demand(not missing, f"Of {title} it has {', '.join(had)} alone; {missing} is missing.")
        for name in filter(partial(_is_method, protocol), asked):
            _demand_arguments(protocol, case.cls, name)


def check_condition(case: Case) -> None:
    """The example has the conditions of the model, and a missing condition is an error."""
    model, batch = case.model(), case.batch()
    for name in (case.cls.event_field, *model.conditions):
        demand(name in batch, f"The example's batch lacks {name!r}.")
    given: dict[str, Any] = {} if model.conditions else {"label": 0}
    if model.takes_null and all(space.null is not None for space in model.conditions.values()):
        given = {"no_such_condition": 0}
    try:
        model.sample(1, condition=given, seed=SEED)
    except GenzooError:
        return
    demand(False, f"With the conditions {list(model.conditions)}, {given!r} is taken.")


@torch.no_grad()
def check_translate(case: Case) -> None:
    """Data of both domains are translated to data of the other, with the same shape."""
    model: Any = case.model().eval()
    batch = case.batch()
    demand("y" in batch, "It declares translate, but its example's batch lacks 'y'.")
    for to, x in (("y", batch["x"]), ("x", batch["y"])):
        found = model.translate(x, to=to)
        demand(found.shape[1:] == batch[to].shape[1:], f"To {to}: {tuple(found.shape)}.")
        demand(bool(torch.isfinite(found).all()), f"To {to}: a value is not finite.")


@torch.no_grad()
def check_inpainting(case: Case) -> None:
    """Values where the mask is true are drawn from the generator; others are unchanged."""
    model: Any = case.model().eval()
    x = case.event_rows()
    condition = case.condition(model)
    mask = fillable(model, x, condition).expand_as(x)
    # Another seed than that of the example's rows: the same one may draw the rows again.
    a, again = (inpaint_by(model, x, mask, condition, SEED + 1) for _ in range(2))
    demand(a.shape == x.shape, f"Inpainted, {tuple(x.shape)} becomes {tuple(a.shape)}.")
    demand(torch.equal(a[~mask], x[~mask].to(a.dtype)), "inpaint changes what is given.")
    demand(torch.equal(a, again), "The same generator fills in other values.")


def check_data_init(case: Case) -> None:
    """A new model needs data; an initialised one does not, also after loading."""
    config, _ = case.cls.example()
    with seeded(SEED):
        model = case.cls(config)
    if not isinstance(model, SupportsDataInit):
        return
    demand(model.needs_data_init(), "A new model does not ask for the data it starts from.")
    model.init_from_data(case.batch(), case.data().info)
    demand(not model.needs_data_init(), "Once initialised, it asks for data again.")
    with tempfile.TemporaryDirectory() as folder:
        case.model().save_pretrained(folder)
        loaded: Any = GenModel.from_pretrained(folder)
    demand(not loaded.needs_data_init(), "Loaded, it asks for data again: use persistent buffers.")


@torch.no_grad()
def check_filters(case: Case) -> None:
    """Filters are finite, in the shape of an example or of a part of one."""
    model: Any = case.model()
    found, shape = model.filters(), model.event_shape
    fits = found.ndim == 1 + len(shape) and all(
        part <= whole for part, whole in zip(found.shape[1:], shape, strict=True)
    )
    demand(fits, f"Filters have {tuple(found.shape)}, not (N, *{shape}) or smaller.")
    demand(bool(torch.isfinite(found).all()), "A filter is not finite.")


@torch.no_grad()
def check_layers(case: Case) -> None:
    """Receptive fields of each layer are finite; fantasies are examples, then means of layers."""
    model: Any = case.model().eval()
    num, shape = model.num_layers, model.event_shape
    for layer in range(1, num + 1):
        fields = model.receptive_fields(layer)
        demand(
            fields.shape[1:] == shape and bool(torch.isfinite(fields).all()),
            f"Receptive fields of layer {layer} have {tuple(fields.shape)}, or are not finite.",
        )
    a, again = (
        model.fantasies(3, generator=seeds.generator(SEED), num_inference_steps=2)
        for _ in range(2)
    )
    wanted = [(3, *shape)] * (num + 1)
    found = [tuple(x.shape) for x in a]
    demand(found == wanted, f"Fantasies have shapes {found}, not {wanted}.")
    model.event.check(a[0])
    same = all(torch.equal(x, y) for x, y in zip(a, again, strict=True))
    demand(same, "The same generator draws other fantasies.")


@torch.no_grad()
def check_bits(case: Case) -> None:
    """Bits of values are of the shape of the rows, at least 0, and sum to −log₂ p of a row."""
    model: Any = case.model().eval()
    x = case.event_rows()
    given = case.condition(model)
    bits = model.bits(x, condition=given)
    demand(bits.shape == x.shape, f"Bits of {tuple(x.shape)} have shape {tuple(bits.shape)}.")
    demand(bool((bits >= 0).all()), "A value has fewer than 0 bits: its p is above 1, or NaN.")
    wanted = -model.log_prob(x, condition=given).values.cpu().double() / math.log(2)
    found = bits.cpu().double().flatten(1).sum(1)
    demand(
        torch.allclose(found, wanted, rtol=1e-4, atol=1e-3),
        f"The bits of a row sum to {found[0]:.4f}, and its −log₂ p is {wanted[0]:.4f}.",
    )


def _is_method(protocol: type, name: str) -> bool:
    return inspect.isfunction(vars(protocol)[name])


def _has(cls: type, protocol: type, name: str) -> bool:
    """Whether a class has an attribute of a capability, as a method if it is one."""
    found = getattr(cls, name, None)
    return callable(found) if _is_method(protocol, name) else found is not None


def _demand_arguments(protocol: type, cls: type, name: str) -> None:
    """Raise unless a method can be called with the arguments of its protocol."""
    promised = list(inspect.signature(getattr(protocol, name)).parameters.values())
    taken = inspect.signature(getattr(cls, name))
    positional = [p.name for p in promised if p.kind is p.POSITIONAL_OR_KEYWORD]
    named = {p.name: None for p in promised if p.kind is p.KEYWORD_ONLY}
    try:
        taken.bind(*positional, **named)
    except TypeError as error:
        demand(
            False,
            f"{protocol.__name__} asks for {name}{inspect.signature(getattr(protocol, name))}; "
            f"{name}{taken} does not take that: {error}.",
        )
