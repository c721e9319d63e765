"""Checks of a log-likelihood and its kind."""

from __future__ import annotations

import itertools
import math
from typing import Any, get_args

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.capabilities import SupportsLogProb
from genzoo.conditions import spread
from genzoo.errors import CapabilityError
from genzoo.estimate import EstimateKind
from genzoo.log_prob import LogProb, Measure
from genzoo.pretrained import GenerativeModel
from genzoo.testing.cases import SEED, Case, NotApplicable, demand
from genzoo.testing.total_probability import (
    DRAWS,
    DRAWS_OF_BOUNDS,
    MAX_STATES,
    Total,
    estimated,
    sum_over,
)

_FEW_DRAWS, _MANY_DRAWS = 4, 64
_MAX_RELATIVE_ERROR = 0.1


def check_likelihood(case: Case) -> None:
    """log_prob gives one finite value per row, and the same from the same generator."""
    model = case.model().eval()
    x, condition = case.event_rows(), case.condition(model)
    first, again = (_log_prob(model, x, condition) for _ in range(2))
    demand(isinstance(first, LogProb), f"log_prob gives {type(first)}, not a LogProb.")
    demand(first.kind in get_args(EstimateKind), f"It is of the kind {first.kind!r}.")
    stated = model.log_prob_kind
    demand(stated in (None, first.kind), f"log_prob_kind says {stated!r}; it is {first.kind!r}.")
    demand(first.measure in get_args(Measure), f"Its measure is {first.measure!r}.")
    _check_values(first, len(x))
    same = torch.equal(first.values, again.values)
    demand(same, "The same generator gives other values.")
    if first.kind == "exact":
        other = _log_prob(model, x, condition, seed=1, num_samples=_FEW_DRAWS)
        same = torch.equal(first.values, other.values)
        demand(same, "It says it is exact, and depends on the generator.")


def _check_values(found: LogProb, num: int) -> None:
    v = found.values
    demand(len(v) == num, f"Of {num} rows it gives {len(v)} values.")
    form = f"values of {v.dtype} on {v.device}{' with a graph' if v.requires_grad else ''}"
    plain = v.dtype == torch.float64 and v.device.type == "cpu" and not v.requires_grad
    demand(plain, f"Without gradients log_prob gives {form}; see genzoo.plugin.by_blocks.")
    demand(bool(torch.isfinite(v).all()), f"Its values are {v.tolist()}.")
    demand(found.shared_error >= 0, f"Its shared error is {found.shared_error}.")
    errors = v if found.std_errors is None else found.std_errors
    demand(bool((errors.isfinite() & (errors >= 0)).all()) or errors is v, "An error is negative.")


def check_likelihood_by_row(case: Case) -> None:
    """An exact log p(x) of a row does not depend on other rows."""
    model = case.model().eval()
    x, condition = case.event_rows(), case.condition(model)
    whole = _log_prob(model, x, condition)
    if whole.kind != "exact":
        raise NotApplicable(f"A {whole.kind} depends on draws that the rows share.")
    rows = [_log_prob(model, x[i : i + 1], _row(condition, i)).values for i in range(len(x))]
    alone = torch.cat(rows)
    same = torch.allclose(whole.values, alone, rtol=1e-4, atol=1e-4)
    demand(same, f"Of {len(x)} rows it gives {whole.values}; of each alone {alone}.")


def check_likelihood_gradient(case: Case) -> None:
    """With gradients enabled, the values are the same and have a graph, or are refused."""
    model = case.model().eval()
    x, condition = case.event_rows(), case.condition(model)
    plain = _log_prob(model, x, condition)
    try:
        found = _log_prob(model, x, condition, gradients=True)
    except CapabilityError:
        return
    values = found.values
    demand(values.requires_grad, "With gradients enabled the values have no graph.")
    where = (values.dtype, values.device) == (model.dtype, model.device)
    demand(where, f"With gradients enabled they are {values.dtype} on {values.device}.")
    if plain.kind == "exact":
        close = torch.allclose(values.double().cpu(), plain.values, rtol=1e-4, atol=1e-4)
        demand(close, f"With gradients enabled they are {values}, without {plain.values}.")
    gradients = torch.autograd.grad(values.sum(), list(model.parameters()), allow_unused=True)
    moved = any(g is not None and bool(g.ne(0).any()) for g in gradients)
    demand(moved, "The gradient of log_prob is 0 in every parameter.")


def check_likelihood_kind(case: Case) -> None:
    """The total probability is one if exact, at most one for lower bounds, else at least one."""
    model = case.model().eval()
    kind = _log_prob(model, case.event_rows(), case.condition(model)).kind
    total = _total(case, model, exact=kind == "exact")
    if total.std_error > _MAX_RELATIVE_ERROR * max(1.0, total.value):
        demand(
            False,
            f"The total probability comes to {total.value:.2g} ± {total.std_error:.1g}, too vague "
            "to judge by. Make the example smaller (ten binary values, or two real ones).",
        )
    slack = 5 * total.std_error + 1e-3
    said = f"The probabilities of all x come to {total.value:.4g} (± {total.std_error:.1g})"
    low = total.value < 1 - slack and kind in ("exact", "upper bound")
    high = total.value > 1 + slack and kind in ("exact", "lower bound")
    demand(not low, f"{said}, which is less than 1: what is called {kind!r} is too low.")
    demand(not high, f"{said}, which is more than 1: what is called {kind!r} is too high.")
    vague = kind == "stochastic estimate" and not 1 / math.e <= total.value <= math.e
    demand(not vague, f"{said}: that estimate is off by more than a nat.")


def check_bound_tightens(case: Case) -> None:
    """A bound gets tighter with more draws, not looser."""
    model = case.model().eval()
    x, condition = case.event_rows(), case.condition(model)
    few, many = (
        [_log_prob(model, x, condition, seed=s, num_samples=k) for s in range(8)]
        for k in (_FEW_DRAWS, _MANY_DRAWS)
    )
    kind = few[0].kind
    if kind not in ("lower bound", "upper bound"):
        raise NotApplicable(f"It gives no bound but a {kind} value.")
    loose, tight = (torch.stack([f.values.mean() for f in found]) for found in (few, many))
    error = torch.stack([loose.var(), tight.var()]).sum().div(len(few)).sqrt().item()
    gain = (tight.mean() - loose.mean()).item() * (1 if kind == "lower bound" else -1)
    demand(
        gain >= -4 * error - 1e-4,
        f"What is called a {kind} moves by {-gain:.3g} (± {error:.1g}) the wrong way where "
        f"{_MANY_DRAWS} draws are made instead of {_FEW_DRAWS}.",
    )


def check_energy(case: Case) -> None:
    """Energies are one finite number per row, with the differences of an exact likelihood."""
    model: Any = case.model().eval()
    x = case.event_rows()
    with torch.no_grad():
        energy = model.energy(x)
        alone = model.energy(x[:1])
    demand(tuple(energy.shape) == (len(x),), f"{len(x)} energies have {tuple(energy.shape)}.")
    demand(bool(torch.isfinite(energy).all()), "An energy is not finite.")
    demand(torch.allclose(alone, energy[:1], rtol=1e-4), "A row's energy depends on other rows.")
    if not isinstance(model, SupportsLogProb):
        return
    log_p = _log_prob(model, x[:2], None)
    if log_p.kind == "exact":
        gained = (log_p.values[0] - log_p.values[1]).item()
        lost = (energy[1] - energy[0]).item()
        demand(
            math.isclose(gained, lost, rel_tol=1e-3, abs_tol=1e-3),
            f"Two rows differ by {gained:.4g} in log p, and by {-lost:.4g} in energy.",
        )


def _total(case: Case, model: GenerativeModel, *, exact: bool) -> Total:
    condition, x = _row(case.condition(model), 0), case.event_rows()
    one = {name: values[0] for name, values in condition.items()}
    drawn = itertools.count()

    def log_prob(rows: Tensor, draws: int) -> Tensor:
        given = spread(model, one, len(rows))
        found = [
            _log_prob(model, rows.to(x.dtype), given, seed=next(drawn), num_samples=_FEW_DRAWS)
            for _ in range(1 if exact else draws)
        ]
        return torch.stack([f.values.double() for f in found], 1)

    measure = _log_prob(model, x[:1], condition).measure
    space = model.event if measure == "mass" else model.event.relaxed()
    if space.count is not None and space.count <= MAX_STATES:
        return sum_over(space.enumerate(), log_prob)
    num = DRAWS if exact or space.is_discrete else DRAWS_OF_BOUNDS
    samples = model.sample(200, seed=SEED, condition=one)
    generator = seeds.generator(SEED)
    return estimated(*space.reference_around(samples, num, generator), log_prob)


def _log_prob(
    model: Any,
    x: Tensor,
    condition: Any,
    *,
    seed: int = SEED,
    num_samples: int | None = None,
    gradients: bool = False,
) -> LogProb:
    with torch.set_grad_enabled(gradients):
        found: LogProb = model.log_prob(
            x, condition=condition, generator=seeds.generator(seed), num_samples=num_samples
        )
        return found


def _row(condition: Any, index: int) -> Any:
    return {name: values[index : index + 1] for name, values in condition.items()}
