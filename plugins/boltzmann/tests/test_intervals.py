"""The interval of log Z and of a likelihood: what it holds, and what is flagged."""

import math

import pytest
import torch

import genzoo
import genzoo.plugin
from genzoo.plugin import SupportsHeldOutRows
from genzoo_boltzmann import annealing, partition
from genzoo_boltzmann.log_partition import LogPartition
from genzoo_boltzmann.rbm import RBM
from likelihoods import mean_log_prob
from machines import gated, machine, rows, rows_of_mode, two_modes


def betas(num):
    return torch.linspace(0, 1, num, dtype=torch.float64)


def codes(found):
    return [note.code for note in found.notes]


@pytest.fixture
def few_temperatures(monkeypatch):
    """A hundred temperatures are as blind to the mode as 14,500 are."""
    monkeypatch.setattr(annealing, "published_betas", lambda: betas(100))


@pytest.mark.parametrize("held_out", [True, False])
def test_a_mode_that_only_the_rows_know_is_in_the_interval(few_temperatures, held_out):
    """Both directions from annealed states agree on log Z = 63.77, and the truth is 68.79."""
    rbm, log_z = gated()
    x, others = rows_of_mode(150), rows_of_mode(60, seed=1)
    truth = -rbm.free_energy(x.double()).mean().item() - log_z
    start = {"start": others} if held_out else {}
    generator = torch.Generator().manual_seed(0)
    found = mean_log_prob(rbm, x, generator=generator, num_samples=60, **start)
    assert found.value == pytest.approx(truth + 5.02, abs=0.1)  # What was said to be the figure.
    low, high = found.interval
    assert low < truth < high
    assert found.unreliable
    assert found.notes[0].code in ("directions-disagree", "log-p-positive")
    assert "directions-disagree" in codes(found)
    assert ("starts-judged" in codes(found)) is not held_out


def test_without_rows_the_mode_is_not_seen(few_temperatures, generator):
    """The negative control: what the rows are for."""
    rbm, log_z = gated()
    found = partition.best(rbm, generator=generator, num_chains=60, num_burn_in=50).estimate
    assert not found.unreliable
    assert found.interval[1] < log_z - 4


def test_halves_are_estimates_of_their_own(generator):
    """Each half starts where it should; averaged, the rows' would be lost in the other's."""
    rbm, log_z = gated()
    found = partition.reverse_halves(
        rbm, rows_of_mode(7), generator=generator, num_chains=21, betas=betas(50), num_burn_in=5
    )
    annealed, from_rows = found
    assert (len(annealed.log_weights), len(from_rows.log_weights)) == (11, 10)
    assert annealed.estimate.value == pytest.approx(log_z - 5.02, abs=0.1)
    assert from_rows.estimate.value > log_z + 5
    both = torch.cat([annealed.log_weights, from_rows.log_weights])
    assert -annealing.estimate_of(both, 0.0, sign=-1).value < -log_z + 5


@pytest.mark.parametrize("ask", [partition.reverse_ais, partition.reverse_halves, partition.best])
def test_reverse_chains_burn_in_for_five_thousand_sweeps(ask, monkeypatch, generator):
    seen = []

    def noted(path, v, num, generator):
        seen.append(num)
        return v

    monkeypatch.setattr(partition, "_burned_in", noted)
    monkeypatch.setattr(partition, "annealed_start", lambda path, num, g: path.start(num, g))
    rows = {"rows": None} if ask is partition.reverse_halves else {}
    ask(machine(23, 23), generator=generator, num_chains=2, betas=betas(2), **rows)
    assert seen == [5000]


def test_a_likelihood_takes_as_many_chains_as_it_is_asked_for(monkeypatch):
    asked = []

    def noted(model, *, num_chains, **options):
        asked.append(num_chains)
        return partition.exact(machine(2, 2))

    monkeypatch.setattr(partition, "best", noted)
    for num_samples in (None, 7):
        mean_log_prob(gated()[0], rows_of_mode(5), num_samples=num_samples)
    assert asked == [RBM.default_num_samples, 7] == [100, 7]


def test_evaluation_starts_chains_at_rows_that_are_not_judged(few_temperatures):
    rbm = gated()[0]
    assert isinstance(rbm, SupportsHeldOutRows)
    assert rbm.num_held_out() == 50
    assert rbm.num_held_out(7) == 3
    assert machine().num_held_out() == 0
    metric = genzoo.Component(name="log-likelihood", config={"num_samples": 20})
    for num, judged in ((40, False), (50, True)):
        found = genzoo.evaluate(rbm, rows_of_mode(50), [metric], max_examples=num).figures
        assert "directions-disagree" in codes(found["log-likelihood"])
        assert ("starts-judged" in codes(found["log-likelihood"])) is judged


def test_rows_are_drawn_evenly(generator):
    chosen = partition._drawn(torch.arange(10), 25, generator)
    assert sorted(torch.bincount(chosen).tolist()) == [2] * 5 + [3] * 5
    few = partition._drawn(torch.arange(1000), 100, generator)
    assert len(few.unique()) == 100
    assert few.double().mean() == pytest.approx(500, abs=4 * 289 / 10)  # Not the first ones.


def test_agreement_is_not_flagged_and_one_interval_is_told_from_another():
    def log_z(value, low, high):
        estimate = genzoo.plugin.Estimate(
            value=value,
            std_error=0.1,
            kind="stochastic estimate",
            unit="nats",
            num_samples=5,
            interval=(low, high),
        )
        return LogPartition(estimate, torch.zeros(5))

    forward, backward = log_z(1.0, 0.7, 1.3), log_z(1.5, 1.2, 1.8)
    near, above, below = log_z(1.25, 0.9, 1.5), log_z(1.9, 1.4, math.inf), log_z(0.5, 0.3, 0.6)
    assert codes(partition.with_interval(forward, backward, near).estimate) == ["both-ways"]
    assert codes(partition.with_interval(forward, backward).estimate) == ["both-ways"]
    found = partition.with_interval(forward, backward, above).estimate
    assert codes(found) == ["directions-disagree", "both-ways"]
    assert found.unreliable
    assert found.interval == (0.7, math.inf)
    assert found.notes[1].text == (
        "log Z by AIS 1.00, by reverse AIS 1.50, by reverse AIS from rows 1.90."
    )
    assert codes(partition.with_interval(forward, above).estimate) == codes(found)
    found = partition.with_interval(forward, backward, below).estimate
    assert codes(found) == ["starts-differ", "both-ways"]
    assert not found.unreliable
    assert found.interval == (0.3, 1.8)


def test_what_is_wrong_with_the_reverse_chains_is_said_of_them():
    def log_z(divergence):
        estimate = annealing.estimate_of(torch.zeros(100).double(), divergence, sign=1)
        return LogPartition(estimate, torch.zeros(100))

    found = partition.with_interval(*(log_z(d) for d in (0.0, 50.0, 60.0))).estimate
    assert codes(found) == ["reverse-schedule-coarse", "rows-schedule-coarse", "both-ways"]
    assert found.notes[0].text.startswith("By reverse AIS, the schedule is too coarse: ")
    assert "diverge by 60.0 nats" in found.notes[1].text
    assert found.unreliable


def test_rows_in_other_shares_than_the_machines_are_said_and_do_not_condemn_ais(generator):
    """Two modes of one mass that annealing finds, and base rates by which nine in ten find one.

    Reverse chains from rows of that mode give 1/Z nearly twice too large; AIS is right.
    """
    rbm = two_modes()
    rbm.base_rates.fill_(0.75)
    truth = partition.exact(rbm).estimate.value
    path = {"generator": generator, "betas": betas(300), "num_chains": 1000}
    forward = partition.ais(rbm, **path)
    halves = partition.reverse_halves(rbm, torch.ones(1, 6), num_burn_in=20, **path)
    found = partition.with_interval(forward, *halves).estimate
    assert halves[1].estimate.interval[1] < truth - 0.1
    assert codes(found) == ["starts-differ", "both-ways"]
    assert found.value == pytest.approx(truth, abs=0.2)
    assert found.interval[0] < truth < found.interval[1]


def test_the_interval_holds_the_truth_in_repetition(monkeypatch):
    """Twenty machines from weak to strong, by enumeration; the full table is in benchmarks/.

    There 98 % and more of those that are not flagged hold it. If 98 % did, two of 20 would miss
    with a probability of 6 %; the seed is fixed.
    """
    monkeypatch.setattr(annealing, "_POOL", 3)
    held, flagged = [], 0
    for seed in range(20):
        found, truth = interval_of_a_random_machine(seed)
        flagged += found.unreliable
        if not found.unreliable:
            held.append(found.interval[0] <= truth <= found.interval[1])
    assert flagged <= 3
    assert sum(held) >= len(held) - 1


def interval_of_a_random_machine(seed):
    """The estimate from 100 chains each way and rows of the machine's own, and the exact log Z."""
    generator = torch.Generator().manual_seed(seed)
    strength, num_visible, num_hidden = torch.rand(3, generator=generator).tolist()
    scale = 0.2 * math.exp(2.5 * strength)
    rbm = machine(int(8 + 12 * num_visible), int(4 + 4 * num_hidden), scale=scale, seed=seed)
    x = rows(rbm, 300, generator)
    rbm.base_rates.copy_(x.mean(0).clamp(1e-3, 1 - 1e-3))
    path = {"generator": generator, "betas": betas([11, 41, 151][seed % 3])}
    forward = partition.ais(rbm, **path)
    halves = partition.reverse_halves(rbm, x[:50], num_burn_in=50, **path)
    found = partition.with_interval(forward, *halves).estimate
    return found, partition.exact(rbm).estimate.value
