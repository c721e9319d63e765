"""Checks of a log-likelihood: that it is what it says it is."""

from __future__ import annotations

import itertools
import math
from typing import Any, get_args

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.capabilities import SupportsLogLikelihood
from genzoo.errors import DataError
from genzoo.estimate import Estimate, EstimateKind
from genzoo.model import GenerativeModel
from genzoo.testing.cases import SEED, Case, NotApplicable, demand
from genzoo.testing.masses import (
    DRAWS,
    DRAWS_OF_BOUNDS,
    Total,
    integral,
    integral_over_unit,
    sum_over,
)

_FEW_DRAWS, _MANY_DRAWS = 4, 64
_MAX_RELATIVE_ERROR = 0.1


def check_likelihood(case: Case) -> None:
    """The log-likelihood is a finite estimate in nats, and the same from the same generator."""
    model = case.model().eval()
    x, condition = case.batch()["x"], _condition(case, model)
    first, again = (_estimate(model, x, condition) for _ in range(2))
    demand(isinstance(first, Estimate), f"log_likelihood gives {type(first)}, no Estimate.")
    demand(first.kind in get_args(EstimateKind), f"It is of the kind {first.kind!r}.")
    demand(first.unit == "nats", f"It is in {first.unit!r}, not in nats.")
    finite = math.isfinite(first.value) and first.std_error >= 0
    demand(finite, f"It is {first.value} ± {first.std_error}.")
    demand(first.value == again.value, "The same generator gives another estimate.")
    if first.kind == "exact":
        other = _estimate(model, x, condition, seed=1, num_samples=_FEW_DRAWS)
        demand(first.value == other.value, "It says it is exact, and depends on the generator.")


def check_likelihood_is_a_mean(case: Case) -> None:
    """An exact log-likelihood of several rows is the mean of the rows' own."""
    model = case.model().eval()
    x, condition = case.batch()["x"], _condition(case, model)
    whole = _estimate(model, x, condition)
    if whole.kind != "exact":
        raise NotApplicable(f"A {whole.kind} is no mean of rows.")
    rows = [_estimate(model, x[i : i + 1], _row(condition, i)).value for i in range(len(x))]
    mean = sum(rows) / len(rows)
    same = math.isclose(whole.value, mean, rel_tol=1e-4, abs_tol=1e-4)
    demand(same, f"Of {len(x)} rows it gives {whole.value}; the mean of the rows' own is {mean}.")


def check_likelihood_kind(case: Case) -> None:
    """Exact ones come to one over all x, lower bounds to at most, upper bounds to at least one."""
    model = case.model().eval()
    kind = _estimate(model, case.batch()["x"], _condition(case, model)).kind
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
    """A bound gets tighter, not looser, where more draws are asked for."""
    model = case.model().eval()
    x, condition = case.batch()["x"], _condition(case, model)
    few, many = (
        [_estimate(model, x, condition, seed=s, num_samples=k) for s in range(8)]
        for k in (_FEW_DRAWS, _MANY_DRAWS)
    )
    kind = few[0].kind
    if kind not in ("lower bound", "upper bound"):
        raise NotApplicable(f"It gives no bound but a {kind} value.")
    loose, tight = (torch.tensor([e.value for e in found]) for found in (few, many))
    error = torch.stack([loose.var(), tight.var()]).sum().div(len(few)).sqrt().item()
    gain = (tight.mean() - loose.mean()).item() * (1 if kind == "lower bound" else -1)
    demand(
        gain >= -4 * error - 1e-4,
        f"What is called a {kind} moves by {-gain:.3g} (± {error:.1g}) the wrong way where "
        f"{_MANY_DRAWS} draws are made instead of {_FEW_DRAWS}.",
    )


def check_energy(case: Case) -> None:
    """Energies are one finite number a row; with an exact likelihood, they differ as it does."""
    model: Any = case.model().eval()
    x = case.batch()["x"]
    with torch.no_grad():
        energy = model.energy(x)
        alone = model.energy(x[:1])
    demand(tuple(energy.shape) == (len(x),), f"{len(x)} energies have {tuple(energy.shape)}.")
    demand(bool(torch.isfinite(energy).all()), "An energy is not finite.")
    demand(torch.allclose(alone, energy[:1], rtol=1e-4), "A row's energy depends on other rows.")
    if not isinstance(model, SupportsLogLikelihood):
        return
    estimates = [_estimate(model, x[i : i + 1], None) for i in range(2)]
    if estimates[0].kind == "exact":
        gained = estimates[0].value - estimates[1].value
        lost = (energy[1] - energy[0]).item()
        demand(
            math.isclose(gained, lost, rel_tol=1e-3, abs_tol=1e-3),
            f"Two rows differ by {gained:.4g} in log p, and by {-lost:.4g} in energy.",
        )


def _total(case: Case, model: GenerativeModel, *, exact: bool) -> Total:
    condition, x = _row(_condition(case, model), 0), case.batch()["x"]

    drawn = itertools.count()

    def log_prob(row: Tensor, draws: int) -> list[float]:
        one = row[None].to(x.dtype)
        return [
            _estimate(model, one, condition, seed=next(drawn), num_samples=_FEW_DRAWS).value
            for _ in range(1 if exact else draws)
        ]

    kind, levels = case.data_kind(), getattr(model.config, "levels", None)
    shape = tuple(x.shape[1:])
    if kind == "categorical":
        return sum_over(_categories(model, x), shape, log_prob, 1)
    if kind == "binary":
        return sum_over(2, shape, log_prob, 1.0)
    if levels is not None:
        return sum_over(levels, shape, log_prob, 1 / (levels - 1))
    return _density(case, model, log_prob, DRAWS if exact else DRAWS_OF_BOUNDS)


def _density(case: Case, model: GenerativeModel, log_prob: Any, draws: int) -> Total:
    """Return the integral of a density, over the unit cube where it is none elsewhere."""
    first = _row(_condition(case, model), 0)
    condition = None if first is None else first[0]
    samples = model.sample(200, seed=SEED, condition=condition)
    try:
        return integral(samples, log_prob, draws)
    except DataError:
        return integral_over_unit(model.event_shape, log_prob)


def _categories(model: GenerativeModel, x: Tensor) -> int:
    named = ("num_categories", "vocabulary_size", "levels")
    given = [getattr(model.config, name, None) for name in named]
    return next((int(n) for n in given if n is not None), int(x.max()) + 1)


def _estimate(
    model: Any, x: Tensor, condition: Any, *, seed: int = SEED, num_samples: int | None = None
) -> Estimate:
    with torch.no_grad():
        found: Estimate = model.log_likelihood(
            x, condition=condition, generator=seeds.generator(seed), num_samples=num_samples
        )
    return found


def _condition(case: Case, model: GenerativeModel) -> Any:
    return case.condition(model, len(case.data()))


def _row(condition: Any, index: int) -> Any:
    return None if condition is None else condition[index : index + 1]
