"""Steps that float32 can take, and steps that are too long for any type."""

import copy
import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from genzoo import Binary
from genzoo_boltzmann import annealing, partition
from genzoo_boltzmann.rbm import RBM, RBMConfig
from likelihoods import mean_log_prob
from machines import machine, states


def betas(num):
    return torch.linspace(0, 1, num, dtype=torch.float64)


def codes(found):
    return [note.code for note in found.estimate.notes]


def flat(num_visible, num_hidden, **values):
    """A machine without weights, so that log Z = Σ log(1 + e^b) + Σ log(1 + e^c)."""
    rbm = RBM(RBMConfig(event=Binary(shape=(num_visible,)), num_hidden=num_hidden))
    with torch.no_grad():
        for name in ("W", "b", "c"):
            getattr(rbm, name).fill_(values.get(name, 0.0))
    return rbm


@pytest.mark.parametrize("exponent", [0.01, 0.5, 3.9, 4.1, 10.0, 16.0, 17.0, 40.0])
def test_a_step_in_float32_is_that_of_float64_at_any_exponent(exponent, generator):
    """With one field for all units, of both signs.

    6e-6 a unit is the error of the fast identity up to an exponent of 4, as stated in units.py;
    beyond it float64 is exact but for torch's softplus, which is 2e-9 low from 20 on.
    """
    tolerance = 50 * (6e-6 if exponent < 4 else 5e-9)
    for old, new in ((0.0, 0.1), (0.9, 1.0), (0.1, 0.0)):
        for sign in (-1, 1):
            rbm = flat(3, 50, c=sign * exponent / 0.1)
            c = rbm.c.detach().double()
            wanted = (F.softplus(c * new) - F.softplus(c * old)).sum().item()
            found, _ = rbm.path().step(torch.ones(2, 3), old, new, generator)
            assert found[0].item() == pytest.approx(wanted, abs=tolerance, rel=0)


def test_twelve_temperatures_to_a_machine_of_large_biases(generator):
    """Was 4229.58 ± 0.00 by 100 effective chains; all hidden units are on, so log Z is a sum."""
    rbm = flat(30, 24, c=175.0)
    torch.nn.init.normal_(rbm.W, std=0.1, generator=generator)
    truth = 24 * 175 + F.softplus(rbm.W.detach().double().sum(1)).sum().item()
    found = partition.ais(rbm, generator=generator, betas=betas(12))
    low, high = found.estimate.interval
    assert low < truth < high
    assert high - low < 0.5
    assert not found.estimate.unreliable


def test_weights_are_the_same_under_autocast():
    rbm = machine(30, 25).float()
    values = []
    for enabled in (False, True):
        generator = torch.Generator().manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found = partition.best(
                rbm,
                start=torch.ones(3, 30),
                generator=generator,
                betas=betas(20),
                num_chains=10,
                num_burn_in=3,
            )
        values.append((found.estimate.value, found.estimate.interval))
    assert values[0] == values[1]


def test_a_machine_that_is_stored_in_few_digits_is_annealed_in_float32():
    rbm = machine(30, 25).bfloat16()
    x = (torch.rand(20, 30, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    values = []
    for wide in (rbm, copy.deepcopy(rbm).float()):
        options = {"betas": betas(20), "num_chains": 10, "num_burn_in": 3}
        generator = torch.Generator().manual_seed(0)
        log_z = partition.best(wide, start=x, generator=generator, **options)
        values.append(mean_log_prob(wide, x, log_partition=log_z))
    assert values[0] == values[1]


def test_chains_that_agree_because_none_of_them_moves_in_time_are_flagged(generator):
    """In one step from all off to all on every chain has one weight; log Z is 270 nats too low.

    A unit that is on has the weight e^21.5, and at base rates of 4e-6 none of the 3,000 is.
    """
    rbm = flat(30, 2, b=9.0)
    rbm.base_rates.fill_(1.0 / (1 + math.exp(12.5)))
    truth = 30 * math.log1p(math.exp(9)) + 2 * math.log(2)
    found = partition.ais(rbm, generator=generator, betas=betas(2))
    assert found.effective_sample_size == pytest.approx(100)
    assert found.estimate.value < truth - 200
    assert codes(found) == ["schedule-coarse"]
    assert found.estimate.unreliable
    fine = partition.ais(rbm, generator=generator, betas=betas(2000))
    assert fine.estimate.notes == ()
    assert fine.estimate.interval[0] < truth < fine.estimate.interval[1]


def test_divergence_is_that_of_the_distributions(generator):
    """½ Σ_k J_k by enumeration, with chains that are at each distribution when it is left."""
    rbm = machine(6, 4, scale=0.7)
    path, schedule = rbm.path(), betas(4).tolist()
    log_p = torch.stack(
        [path.log_unnormalized(states(6), path.field(states(6)), b) for b in schedule]
    )
    p = log_p.softmax(1)
    exact = 0.5 * ((p[1:] - p[:-1]) * (log_p[1:] - log_p[:-1])).sum().item()
    found = []
    for _ in range(200):
        v = path.start(10, generator)
        found.append(annealing.anneal(path, v, schedule, generator).divergence)
    mean, error = (
        torch.tensor(found).mean().item(),
        torch.tensor(found).std().item() / math.sqrt(200),
    )
    # The chains lag a little behind after a single sweep; the exact J is a nat.
    assert mean == pytest.approx(exact, abs=4 * error + 0.1 * exact)
    assert exact > 0.3


@pytest.mark.parametrize("num", [2, 7, 50, 51, 997])
def test_stretches_are_the_schedule(num):
    schedule = betas(num).tolist()
    parts = annealing._stretches(schedule)
    steps = [pair for part in parts for pair in itertools.pairwise(part)]
    assert steps == list(itertools.pairwise(schedule))
    assert len(parts) <= 50
    assert sum(annealing._longest(part) for part in parts) >= len(parts) ** 2 / (num - 1) - 1e-9


def test_a_schedules_divergence_falls_with_its_length(generator):
    """J is quadratic in a step: n times the steps are 1/n of the divergence, also in stretches."""
    rbm = machine(20, 8, scale=0.5)
    path = rbm.path()
    found = []
    for num in (26, 51, 501):
        v = path.start(500, generator)
        found.append(annealing.anneal(path, v, betas(num).tolist(), generator).divergence)
    assert found[0] == pytest.approx(2 * found[1], rel=0.3)
    assert found[1] == pytest.approx(10 * found[2], rel=0.3)


def test_one_long_step_among_many_short_ones_counts(generator):
    path = flat(30, 2, b=9.0).path()
    schedule = [0.0, *torch.linspace(0.5, 1, 1000, dtype=torch.float64).tolist()]
    v = path.start(100, generator)
    whole = annealing.anneal(path, v, [0.0, 0.5], generator).divergence
    assert annealing.anneal(path, v, schedule, generator).divergence > 0.9 * whole
    assert whole > 5


def test_the_default_schedule_is_not_called_coarse(generator):
    """Machines from weak to strong, already with every twentieth of its temperatures."""
    for seed in range(5):
        rbm = machine(30, 15, scale=0.25 * 1.7**seed, seed=seed)
        thinned = partition.published_betas()[::20]
        found = partition.ais(rbm, generator=generator, betas=thinned)
        assert "schedule-coarse" not in codes(found)


def test_all_of_a_few_chains_are_probed(generator):
    """One long step: ½ J of each chain's own change, though there are fewer than ten chains."""
    path = machine(6, 4).path()
    v = path.start(3, generator)
    found = annealing.anneal(path, v, [0.0, 1.0], generator)
    wanted = (path.change(found.v, 0.0, 1.0).mean() - path.change(v, 0.0, 1.0).mean()) / 2
    assert found.divergence == pytest.approx(wanted.item())


def test_one_chain_says_nothing_of_its_error():
    found = annealing.estimate_of(torch.tensor([2.0]).double(), 0.0, sign=1)
    assert found.value == 2
    assert found.std_error == math.inf
    assert found.interval == (-math.inf, math.inf)


@pytest.mark.parametrize(("num", "limit"), [(12, 1.0), (27, 1.0), (1000, math.log(100))])
def test_a_schedule_is_coarse_where_fewer_than_ten_chains_are_where_they_should_be(num, limit):
    """num × exp(−divergence) < 10, or more than a nat where there are few chains."""
    log_weights = torch.zeros(num).double()
    assert annealing.estimate_of(log_weights, limit - 0.01, sign=1).notes == ()
    (note,) = annealing.estimate_of(log_weights, limit + 0.01, sign=1).notes
    assert note.code == "schedule-coarse"
    assert note.unreliable
