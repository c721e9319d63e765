"""Parallel tempering's moves against the enumerated laws of its replicas."""

import copy
import itertools
import math
import re

import pytest
import torch

import genzoo
from genzoo_boltzmann import samplers
from genzoo_boltzmann.path import TwoBlockPath
from genzoo_boltzmann.samplers import TemperedGibbs, TemperedGibbsConfig
from machines import (
    expected_variation,
    frequencies,
    machine,
    states,
    total_variation,
    two_modes,
)

BETA = torch.linspace(0, 1, 4, dtype=torch.float64)
REPEATS = 500


def log_p_of_levels(rbm):
    """log p_β(v) of every state at every temperature, (4, 2^V), summed over hidden states."""
    v, h = states(rbm.W.shape[0]), states(rbm.W.shape[1])
    joint = torch.einsum("ai,ij,bj->ab", v, rbm.W, h) + (v @ rbm.b)[:, None] + h @ rbm.c
    base = (v @ torch.logit(rbm.base_rates))[:, None]
    log_p = torch.stack([((1 - beta) * base + beta * joint).logsumexp(1) for beta in BETA])
    return log_p.log_softmax(1).detach()


def joint_states():
    """The state of each of four replicas of two units, for all 256 of them, (256, 4)."""
    return torch.tensor(list(itertools.product(range(4), repeat=4)))


def number_of(replicas):
    """The place of replicas' states (..., 4) among all of them."""
    return (replicas * torch.tensor([64, 16, 4, 1])).sum(-1)


def exchange_kernel(rbm, parity):
    """The probabilities of an exchange, (256, 256), by Metropolis' rule for each pair."""
    log_p, found = log_p_of_levels(rbm).tolist(), torch.zeros(256, 256, dtype=torch.float64)
    pairs = [[(0, 1), (2, 3)], [(1, 2)]][parity]
    for place, x in enumerate(joint_states().tolist()):
        for swapped in itertools.product([False, True], repeat=len(pairs)):
            y, share = list(x), 1.0
            for (i, j), swap in zip(pairs, swapped, strict=True):
                gain = log_p[i][x[j]] + log_p[j][x[i]] - log_p[i][x[i]] - log_p[j][x[j]]
                accepted = math.exp(min(0.0, gain))
                share *= accepted if swap else 1 - accepted
                y[i], y[j] = (x[j], x[i]) if swap else (x[i], x[j])
            found[place, number_of(torch.tensor(y))] += share
    return found


def exchanged(rbm, parity, generator):
    """How often an exchange goes from one joint state to another, (256, 256)."""
    before = joint_states().repeat_interleave(REPEATS, 0)
    v = states(2)[before.T]
    after, swapped = samplers._exchange(rbm.path(), v, BETA, parity, generator)
    moved = (after.view(4, -1, 2) != v).any(2)
    assert not (moved[parity::2][: len(swapped)] & ~swapped).any()
    bits = after.view(4, -1, 2).long()
    place = number_of((bits[..., 0] + 2 * bits[..., 1]).T)
    pairs = torch.arange(256).repeat_interleave(REPEATS) * 256 + place
    return torch.bincount(pairs, minlength=256**2).view(256, 256).double() / REPEATS


@pytest.mark.parametrize("parity", [0, 1])
def test_an_exchange_leaves_the_joint_law_of_the_replicas(parity, generator):
    """Each kernel is enumerated; every share that is drawn lies within six standard errors."""
    rbm = machine(2, 3, scale=1.5)
    wanted, found = exchange_kernel(rbm, parity), exchanged(rbm, parity, generator)
    error = (wanted * (1 - wanted) / REPEATS).sqrt()
    assert ((found - wanted).abs() <= 6 * error + 1e-9).all()
    # Not so easy that any acceptance would do: many are neither certain nor impossible.
    assert ((wanted > 0.05) & (wanted < 0.95)).sum() > 100
    p = log_p_of_levels(rbm)[torch.arange(4), joint_states()].sum(1).exp()
    flow = p[:, None] * wanted
    torch.testing.assert_close(p @ wanted, p)
    torch.testing.assert_close(flow, flow.T)
    assert ((p @ found - p).abs() <= 6 * (p**2 @ error**2).sqrt() + 1e-9).all()


@torch.no_grad()
def test_a_sweep_leaves_the_law_of_every_replica(generator):
    """Draws from p_β stay draws from p_β, 40,000 of them over 16 states for each β."""
    rbm, num = machine(4, 3), 40_000
    p = log_p_of_levels(rbm).exp()
    v = states(4)[torch.multinomial(p, num, replacement=True, generator=generator)].flatten(0, 1)
    moved = rbm.path().sweep(v, generator, BETA.repeat_interleave(num))
    assert not torch.equal(moved, v)
    for level, replicas in zip(p, moved.view(4, num, 4), strict=True):
        # Twice what exact draws have on average.
        assert total_variation(frequencies(replicas), level) < 2 * expected_variation(level, num)


def test_temperatures_are_equally_spaced_and_neighbours_take_turns(monkeypatch, generator):
    seen = []

    def noted(path, v, beta, parity, generator):
        seen.append((tuple(v.shape), beta.tolist(), parity))
        return v.flatten(0, 1), torch.zeros(2, v.shape[1], dtype=torch.bool)

    monkeypatch.setattr(samplers, "_exchange", noted)
    sampler = TemperedGibbs(TemperedGibbsConfig(num_steps=3, num_temperatures=5))
    list(sampler.trajectory(machine(), 2, generator=generator))
    betas = [0.0, 0.25, 0.5, 0.75, 1.0]
    assert seen == [((5, 2, 6), betas, parity) for parity in (0, 1, 0)]


def test_every_replica_starts_where_the_caller_says(monkeypatch, generator):
    """At a depth of 40 a sweep at β ≥ 0.5 does not leave a mode, nor swap the chains."""
    start = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0])[:, None].expand(-1, 6)
    sampler = TemperedGibbs(TemperedGibbsConfig(num_steps=1, num_temperatures=3))
    (found,) = sampler.trajectory(two_modes(40.0), 5, start=start, generator=generator)
    assert torch.equal(found, start.double())
    seen = []
    monkeypatch.setattr(TwoBlockPath, "sweep", lambda path, v, *rest: seen.append(v) or v)
    list(sampler.trajectory(two_modes(40.0), 5, start=start, generator=generator))
    assert torch.equal(seen[0].view(3, 5, 6), start.double().expand(3, 5, 6))


def test_the_rates_of_exchanges_are_those_of_the_replicas_at_their_own_laws(caplog):
    """The mean of min(1, ratio) over independent draws from neighbouring laws."""
    rbm = machine(4, 3, scale=1.5).float()
    double = copy.deepcopy(rbm).double()
    p = log_p_of_levels(double)
    wanted = []
    for low, high in itertools.pairwise(p):
        gain = low[None] + high[:, None] - low[:, None] - high[None]
        wanted.append(
            float((low.exp()[:, None] * high.exp()[None] * gain.exp().clamp(max=1)).sum())
        )
    given = {"num_temperatures": 4, "num_chains": 2000}
    found = genzoo.evaluate(
        rbm,
        states(4).float(),
        [genzoo.Component(name="swap-rates", config=given)],
    ).figures
    lowest, mean = found["swap-rate-lowest"], found["swap-rate-mean"]
    assert lowest.value == pytest.approx(min(wanted), abs=0.005)
    assert mean.value == pytest.approx(sum(wanted) / 3, abs=0.005)
    assert lowest.provenance["lowest_at"] == pytest.approx(wanted.index(min(wanted)) / 3)
    assert max(wanted) - min(wanted) > 0.02
    # Binomial: each of the three pairs is proposed in every second of the 200 sweeps.
    for rate, proposals in ((lowest, 2000 * 100), (mean, 3 * 2000 * 100)):
        error = math.sqrt(rate.value * (1 - rate.value) / proposals)
        assert rate.std_error == pytest.approx(error)
    assert [note.code for note in lowest.notes] == ["swaps-frequent"]
    few = genzoo.Component(name="swap-rates", config={"num_temperatures": 2, "num_steps": 20})
    (note,) = (
        genzoo.evaluate(two_modes(60.0).float(), states(6).float(), [few])
        .figures["swap-rate-lowest"]
        .notes
    )
    assert note.code == "swaps-rare"
    assert "take more temperatures" in note.text

    caplog.set_level("INFO", "genzoo")
    sampler = TemperedGibbs(TemperedGibbsConfig(num_steps=40, num_temperatures=3))
    rbm.sample(20, sampler=sampler, seed=0)
    (line,) = caplog.messages
    assert re.search(r"in \d+% \(β = (0 and 0.5|0.5 and 1)\) to \d+% of the proposals\.$", line)
    two_modes(60.0).sample(20, sampler=sampler, seed=0)
    assert caplog.messages[-1].endswith("Take more temperatures (num_temperatures).")
