"""Chains: autocorrelation times and R̂ of processes whose own are known."""

import math
from dataclasses import dataclass
from typing import Annotated

import pytest
import scipy.stats
import torch

from genzoo import Component, register, seeds
from genzoo.data import from_array
from genzoo.errors import CapabilityError
from genzoo.evaluation import evaluate
from genzoo.evaluation.mcmc_diagnostics import (
    ChainConfig,
    ChainDiagnostics,
    _notes,
    autocorrelation,
    autocorrelation_time,
    diagnosed,
    f_quantile,
    jackknife_error,
    r_hat_bound,
    split_r_hat,
)
from genzoo.plugin import Bounds, Config, Sampler
from genzoo.sampling import own_sampler
from judges import Replay, case

ROWS = torch.full((10, 1), 0.5)
FIGURES = ["autocorrelation-time", "effective-sample-size", "r-hat"]


def steps(rho, num, generator):
    """Yield states (num,) of s′ = ρ s + (1 − ρ²)^½ ε, whose law is N(0, 1) from the start."""
    state = torch.randn(num, generator=generator, dtype=torch.float64)
    while True:
        yield state
        noise = torch.randn(num, generator=generator, dtype=torch.float64)
        state = rho * state + math.sqrt(1 - rho**2) * noise


def series(rho, length, num, seed=0):
    states = steps(rho, num, seeds.generator(seed))
    return torch.stack([next(states) for _ in range(length)])


@dataclass(frozen=True, kw_only=True)
class WalkConfig(Config):
    """A chain."""

    rho: Annotated[float, Bounds(-1, 1)] = 0.5
    length: Annotated[int, Bounds(1, 10**6)] = 10**6
    jump: float = 0.0
    """By how much the first tenth of the states is off."""


@register("samplers", "test-walk")
class Walk(Sampler):
    Config = WalkConfig
    is_markov_chain = True

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        states = steps(self.config.rho, num, generator)
        for i in range(self.config.length):
            early = self.config.jump if i < self.config.length // 10 else 0.0
            yield next(states)[:, None] + early


class Walking(Replay):
    pass


class Energetic(Walking):
    def energy(self, x):
        return 3 * x.flatten(1).sum(1) + 7


def walking(cls=Walking, **values):
    model = cls(ROWS)
    model.default_sampler = lambda config: Component(name="test-walk", config=values)
    return model


def data():
    return from_array(torch.rand(10, 1, generator=seeds.generator(0)), "rows")


# Closed forms.


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, -0.5])
def test_the_autocorrelation_time_of_an_ar1_process_is_the_closed_form(rho):
    """τ = (1 + ρ) / (1 − ρ), within 6 %, which is some three standard errors of 160,000 states."""
    found = autocorrelation_time(series(rho, 10_000, 16))
    assert found == pytest.approx((1 + rho) / (1 - rho), rel=0.06)


def test_the_autocorrelation_of_an_ar1_process_is_geometric():
    found = autocorrelation(series(0.8, 20_000, 16))[:10]
    torch.testing.assert_close(found, 0.8 ** torch.arange(10).double(), atol=0.02, rtol=0)


def test_an_autocorrelation_is_the_formula_of_one_chain():
    s = series(0.5, 50, 1)
    centred = s[:, 0] - s.mean()
    gamma = torch.stack([(centred[: 50 - t] * centred[t:]).sum() / 50 for t in range(50)])
    expected = 1 - (s.var() - gamma) / (49 / 50 * s.var())
    expected[0] = 1
    torch.testing.assert_close(autocorrelation(s), expected)


def test_r_hat_is_the_formula_of_halves():
    s = series(0.3, 40, 3)
    halves = torch.cat([s[:20], s[20:]], dim=1)
    within, between = halves.var(0).mean(), halves.mean(0).var()
    expected = ((19 / 20 * within + between) / within).sqrt().item()
    assert split_r_hat(s) == pytest.approx(expected)


def test_chains_that_have_not_met_or_drift_are_seen():
    met = series(0.0, 500, 8)
    assert split_r_hat(met) == pytest.approx(1, abs=0.01)
    assert split_r_hat(met + 3 * torch.arange(8)) > 1.5
    assert split_r_hat(met + torch.linspace(0, 6, 500)[:, None]) > 1.5
    assert autocorrelation_time(met + 3 * torch.arange(8)) > 100


def test_the_effective_sample_size_is_that_of_the_mean():
    """Var of a chain's mean is τ / T: over 2,000 chains it is known within 3 %."""
    length, rho = 2000, 0.8
    s = series(rho, length, 2000)
    tau = s.mean(0).var().item() * length
    assert autocorrelation_time(s) == pytest.approx(tau, rel=0.1)


def sets_of_chains(rho, length, repetitions, num=16, seed=0):
    """Return (T, C) of each of so many repetitions."""
    drawn = series(rho, length, num * repetitions, seed)
    return list(drawn.view(length, repetitions, num).unbind(1))


@pytest.mark.parametrize("figure", [autocorrelation_time, split_r_hat])
def test_the_error_is_the_spread_over_sets_of_chains(figure):
    """Of 100 sets both are known within some 8 %; of 400, errors are 1.19 and 1.04 of the spread.

    Where each pair of τ's sum counts in full they are 1.44 of it, for the same sets.
    """
    runs = sets_of_chains(0.5, 1000, 100)
    spread = torch.tensor([figure(s) for s in runs]).std().item()
    errors = torch.tensor([jackknife_error(figure, s) for s in runs])
    assert 0.8 < errors.square().mean().sqrt().item() / spread < 1.35


def test_no_pair_of_the_sum_counts_for_more_than_the_one_before():
    """A ρ that rises again is chance: here it would make 7.1 of τ = 3, for 3.3."""
    s = series(0.5, 100, 2, seed=9)
    pairs = autocorrelation(s).view(-1, 2).sum(1)
    end = int((pairs < 0).nonzero()[0])
    assert bool((pairs[1:end] > pairs[: end - 1]).any())
    expected = -1 + 2 * torch.cummin(pairs[:end], 0).values.sum().item()
    assert autocorrelation_time(s) == pytest.approx(expected)


# Whether chains have met.


@pytest.mark.parametrize(("above", "below"), [(3, 4), (7, 30), (31, 140), (31, 8000), (3, 1e6)])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_quantile_of_f_is_that_of_scipy(level, above, below):
    expected = scipy.stats.f.ppf(level, above, below)
    assert f_quantile(level, above, below) == pytest.approx(expected, rel=0.03)


def test_the_bound_on_r_hat_of_independent_draws_is_that_of_an_analysis_of_variance():
    """V / W is F / n of M − 1 and M(n − 1) degrees; σ_m² is known within 1 %."""
    s = series(0.0, 10_000, 16)
    num, length = 32, 5000
    quantile = scipy.stats.f.ppf(0.95, num - 1, num * (length - 1))
    expected = (length - 1) / length + quantile / length
    assert r_hat_bound(s) ** 2 - 1 == pytest.approx(expected - 1, rel=0.1)


def noted(sets):
    """Return the share of sets whose chains are not shown to have met."""
    codes = [[note.code for note in _notes(s)] for s in sets]
    return sum("not-met" in found for found in codes) / len(sets)


@pytest.mark.parametrize(("rho", "length"), [(0.0, 500), (0.5, 500), (0.9, 500), (0.9, 1000)])
def test_of_chains_that_have_met_at_most_one_in_twenty_is_noted(rho, length):
    """Of 100 sets .11 is 2.8 standard errors above .05. R̂ > 1.01 noted all sets of ρ = .9."""
    assert noted(sets_of_chains(rho, length, 100)) <= 0.11


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_the_bound_is_that_of_one_in_twenty(rho):
    """Of 300 sets .05 is known within .0126; three of them."""
    sets = sets_of_chains(rho, 500, 300)
    share = sum(split_r_hat(s) > r_hat_bound(s) for s in sets) / len(sets)
    assert share == pytest.approx(0.05, abs=0.038)


@pytest.mark.parametrize(
    ("rho", "length", "apart"), [(0.0, 500, 0.5), (0.5, 500, 0.5), (0.9, 1000, 0.5), (0.9, 500, 4)]
)
def test_chains_of_two_means_are_noted(rho, length, apart):
    """Half of the chains are shifted, by that many standard deviations. Of 400 sets 96 % and more.

    At ρ = .9 a half of 500 states has a mean of a standard deviation of .19, so that .5 is seen
    in 96 of 100 sets; in as many of 40 as here with a standard error of .03.
    """
    shift = apart * (torch.arange(16) % 2)
    assert noted([s + shift for s in sets_of_chains(rho, length, 40)]) >= 0.87


def test_chains_that_drift_together_are_noted():
    drift = torch.linspace(-0.5, 0.5, 500)[:, None]
    assert noted([s + drift for s in sets_of_chains(0.5, 500, 20)]) == 1


def test_chains_shorter_than_their_memory_are_called_short():
    """τ = 199 in 500 states: R̂ says little, and the figures say that they are unreliable."""
    for s in sets_of_chains(0.99, 500, 20):
        assert "chains-short" in [note.code for note in _notes(s)]
    assert r_hat_bound(torch.linspace(0, 1, 8)[:, None] + torch.arange(2).double()) == math.inf


# The metric.


def test_a_models_chains_are_judged_by_the_mean_of_x():
    found = ChainDiagnostics().compute(case(walking(rho=0.5), data()))
    assert list(found) == FIGURES
    time, size, r_hat = found.values()
    assert time.value == pytest.approx(3, abs=4 * time.std_error)
    assert time.std_error < 0.3
    assert size.value == pytest.approx(16_000 / time.value)
    assert size.std_error / size.value == pytest.approx(time.std_error / time.value, rel=0.1)
    assert r_hat.value == pytest.approx(1, abs=0.01)
    assert (time.unit, size.unit, r_hat.unit) == ("states", "states", "")
    assert time.num_samples == 16_000
    assert time.provenance == {
        "chain": "Walk",
        "chains": 16,
        "states": 1000,
        "statistic": "mean of x",
    }
    assert time.notes == ()


def test_the_energy_is_judged_where_there_is_one():
    judged = ChainDiagnostics().compute(case(walking(Energetic), data()))
    plain = ChainDiagnostics().compute(case(walking(), data()))
    assert judged["r-hat"].provenance["statistic"] == "energy"
    # Neither figure changes with scale and origin.
    assert judged["r-hat"].value == pytest.approx(plain["r-hat"].value)


def test_the_first_half_of_the_states_is_discarded():
    found = ChainDiagnostics().compute(case(walking(length=600, jump=50.0), data()))
    assert found["r-hat"].provenance["states"] == 300
    assert found["r-hat"].value < 1.02


def test_chains_are_as_many_and_as_long_as_the_config_says():
    metric = ChainDiagnostics(ChainConfig(num_chains=4, num_states=100))
    figure = metric.compute(case(walking(), data()))["r-hat"]
    assert (figure.provenance["chains"], figure.provenance["states"]) == (4, 100)


def test_short_chains_and_chains_apart_are_called_what_they_are():
    slow = ChainDiagnostics().compute(case(walking(rho=0.99), data()))["r-hat"]
    assert "shorter than 50 autocorrelation times" in slow.notes[0].text
    few = ChainDiagnostics().compute(case(walking(length=10), data()))["r-hat"]
    assert math.isnan(few.value)
    assert list(map(str, few.notes)) == ["Unreliable: fewer than 8 states of a chain are left."]
    still = diagnosed(torch.ones(100, 4).double(), {})["autocorrelation-time"]
    assert math.isnan(still.value)
    assert list(map(str, still.notes)) == ["Unreliable: no chain's statistic ever changes."]
    apart = diagnosed(series(0.0, 500, 4) + 3 * torch.arange(4), {})["r-hat"]
    (note,) = [note for note in apart.notes if note.code == "not-met"]
    assert "not shown to have met: split R̂ is" in note.text


def test_a_sampler_that_is_given_is_judged_where_it_is_a_chain():
    given = Walk(WalkConfig(length=100))
    found = ChainDiagnostics().compute(case(walking(), data(), sampler=given))
    assert found["r-hat"].provenance["states"] == 50
    other = own_sampler(Replay(ROWS))
    found = ChainDiagnostics().compute(case(walking(), data(), sampler=other))
    assert found["r-hat"].provenance["chain"] == "Walk"


def test_a_seed_gives_the_same_figures():
    def value(seed):
        found = evaluate(walking(), data(), ["chain-diagnostics"], seed=seed).figures
        return found["autocorrelation-time"].value

    assert value(0) == value(0)
    assert value(0) != value(1)


def test_what_is_no_chain_is_not_judged_as_one():
    with pytest.raises(
        CapabilityError, match="the model's sampler, Redraw, is not a Markov chain"
    ):
        evaluate(Replay(ROWS), data(), ["chain-diagnostics"])
