"""Whether a sampler's chains have met, and how much their states are worth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.capabilities import SupportsEnergy
from genzoo.conditions import spread
from genzoo.config import Bounds, Config
from genzoo.data.dataset import Dataset
from genzoo.estimate import Estimate, Note, Unit
from genzoo.evaluation.metric import Case, Metric
from genzoo.evaluation.mixing import (
    autocorrelation_time,
    jackknife_error,
    r_hat_bound,
    split_r_hat,
)
from genzoo.model import GenerativeModel
from genzoo.sampler import Sampler
from genzoo.sampling import own_sampler

_LEAST = 8
_LONG = 50
_CLOSE = 1.01
_LEVEL = 0.95
_FEW = Note("few-states", f"fewer than {_LEAST} states of a chain are left.", unreliable=True)
_STILL = Note("no-change", "no chain's statistic ever changes.", unreliable=True)
_SHORT = Note(
    "chains-short",
    f"the chains are shorter than {_LONG} autocorrelation times.",
    unreliable=True,
)


@dataclass(frozen=True, kw_only=True)
class ChainConfig(Config):
    """The diagnosis of chains."""

    num_chains: Annotated[int, Bounds(2, 10**5)] = 16
    """How many chains run beside each other."""
    num_states: Annotated[int, Bounds(_LEAST, 10**7)] = 1000
    """At most so many states of each are judged; as many are discarded before."""


class ChainDiagnostics(Metric):
    """Autocorrelation time, effective sample size and split R̂ of the model's own chains.

    They are of one number a state: the energy where the model has one, else the mean of x. The
    first half of the states is discarded. A good R̂ shows that nothing was seen to be wrong, not
    that all of the distribution is reached. Chains that have met have R̂ > 1 too, the more so the
    shorter they are: a note says where it is above what 95 % of such chains stay below, and above
    1.01. Errors are a jackknife's over chains.
    """

    Config = ChainConfig
    effort = ("num_chains", "num_states")

    def inapplicable(self, model: GenerativeModel, data: Dataset) -> str:
        """Say why the figures make no sense; empty where they do."""
        sampler = own_sampler(model)
        if not sampler.is_chain:
            return f"the model's sampler, {type(sampler).__name__}, is not a Markov chain"
        return super().inapplicable(model, data)

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the three figures."""
        sampler = _sampler(case)
        series = self._series(case, sampler)
        facts = {
            "chain": type(sampler).__name__,
            "chains": series.shape[1],
            "states": series.shape[0],
            "statistic": "energy" if isinstance(case.model, SupportsEnergy) else "mean of x",
        }
        return diagnosed(series, facts)

    def _series(self, case: Case, sampler: Sampler) -> Tensor:
        """Return the statistic of the second half of each chain's states, (T, C) float64."""
        num = self.config.num_chains
        condition = spread(case.model, case.model.conditions_of(case.rows(num)), num)
        states = sampler.trajectory(case.model, num, condition=condition, generator=case.generator)
        found = [_statistic(case.model, state) for state in islice(states, self._num_states())]
        series = torch.stack(found)
        return series[len(series) // 2 :]

    def _num_states(self) -> int:
        return 2 * int(self.config.num_states)


def diagnosed(series: Tensor, receipt: dict[str, Any]) -> dict[str, Estimate]:
    """Return the figures of one number for each state of each chain, (T, C) float64."""
    length, num = series.shape
    notes = _notes(series)
    figures: dict[str, tuple[Callable[[Tensor], float], Unit]] = {
        "autocorrelation-time": (autocorrelation_time, "states"),
        "effective-sample-size": (lambda s: series.numel() / autocorrelation_time(s), "states"),
        "r-hat": (split_r_hat, ""),
    }
    sound = length >= _LEAST and _STILL not in notes
    return {
        name: Estimate(
            value=figure(series) if sound else math.nan,
            std_error=jackknife_error(figure, series) if sound else math.nan,
            kind="stochastic estimate",
            unit=unit,
            num_samples=length * num,
            notes=notes,
            receipt=receipt,
        )
        for name, (figure, unit) in figures.items()
    }


def _notes(series: Tensor) -> tuple[Note, ...]:
    """Return what makes the figures of series (T, C) unreliable."""
    if len(series) < _LEAST:
        return (_FEW,)
    if bool((series.var(0) == 0).all()):
        return (_STILL,)
    notes = []
    if len(series) < _LONG * autocorrelation_time(series):
        notes.append(_SHORT)
    r_hat, bound = split_r_hat(series), r_hat_bound(series, _LEVEL)
    if r_hat > max(_CLOSE, bound):
        notes.append(Note("not-met", _apart(r_hat, bound)))
    return tuple(notes)


def _apart(r_hat: float, bound: float) -> str:
    """Say that R̂ is above what chains of the same length have that have met."""
    met = f"of chains of this length that have met {_LEVEL:.0%} stay below {bound:.3f}"
    return f"The chains are not shown to have met: split R̂ is {r_hat:.3f}, and {met}."


def _sampler(case: Case) -> Sampler:
    """Return the chain that is judged: the one given where it is a chain, else the model's."""
    given = case.sampler
    return given if given is not None and given.is_chain else own_sampler(case.model)


def _statistic(model: GenerativeModel, state: Tensor) -> Tensor:
    """Return one number for each chain's state, (C,) float64 on the CPU."""
    x = model.present(state)
    found = model.energy(x) if isinstance(model, SupportsEnergy) else x.flatten(1).mean(1)
    return found.double().cpu()
