"""log Z by three methods against enumeration."""

import math

import pytest
import torch

import genzoo
import genzoo.plugin
from genzoo_boltzmann import enumeration, partition
from genzoo_boltzmann.log_partition import LogPartition
from likelihoods import mean_log_prob
from machines import (
    expected_variation,
    frequencies,
    log_joint,
    machine,
    probabilities,
    states,
    total_variation,
)


def betas(num):
    return torch.linspace(0, 1, num, dtype=torch.float64)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (3, 14)])
def test_exact_is_the_sum_over_all_joint_states(shape):
    rbm = machine(*shape)
    found = rbm.log_partition_function("exact")
    assert found.estimate.value == pytest.approx(log_joint(rbm).flatten().logsumexp(0).item())
    assert found.estimate.kind == "exact"
    assert found.estimate.num_samples == 2 ** min(shape)
    assert found.effective_sample_size == math.inf


@torch.no_grad()
def test_the_smaller_layer_is_summed_over_whichever_it_is():
    """One layer has 23 units, whose states are too many; the other has 3."""
    rbm, turned = machine(3, 23), machine(23, 3)
    turned.W.copy_(rbm.W.T)
    turned.b.copy_(rbm.c)
    turned.c.copy_(rbm.b)
    values = [partition.exact(found).estimate.value for found in (rbm, turned)]
    field = rbm.c + states(3) @ rbm.W
    wanted = (states(3) @ rbm.b + torch.nn.functional.softplus(field).sum(1)).logsumexp(0)
    assert values == pytest.approx([wanted.item()] * 2)


@pytest.mark.parametrize(("scale", "num"), [(0.5, 16), (15.0, 4), (60.0, 1), (1e3, 0)])
def test_a_sum_by_products_is_that_by_softplus(scale, num, monkeypatch):
    """The states are in blocks, and weights so large that few factors fit in a product."""
    monkeypatch.setattr(enumeration, "_FACTORS_AT_ONCE", 2**6)
    monkeypatch.setattr(enumeration, "_BLOCKS_AT_ONCE", 3)
    rbm = machine(9, 7, scale=scale)
    W, b, c = (p.detach() for p in (rbm.W, rbm.b, rbm.c))
    assert enumeration._num_factors(W, b) == num
    joint = states(7) @ c + torch.nn.functional.softplus(b + states(7) @ W.T).sum(1)
    wanted = joint.logsumexp(0)
    found = rbm.log_sum()
    torch.testing.assert_close(found.detach(), wanted, rtol=1e-13, atol=1e-12)
    p = joint.softmax(0)
    on = torch.sigmoid(b + states(7) @ W.T)
    gradients = torch.autograd.grad(found, [rbm.W, rbm.b, rbm.c])
    wanted = (torch.einsum("k,ki,kj->ij", p, on, states(7)), p @ on, p @ states(7))
    for value, exact in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(value, exact, rtol=1e-9, atol=1e-11)


def test_exact_refuses_what_cannot_be_enumerated():
    with pytest.raises(genzoo.CapabilityError, match=r"2\^23 states"):
        machine(23, 23).log_partition_function("exact")


def test_chains_begin_at_rows_only_where_a_sum_is_too_long():
    """2^22 states are summed, and so no row is needed."""
    for shape, num in (((22, 30), 0), ((30, 22), 0), ((23, 30), 50), ((30, 23), 50)):
        assert machine(*shape).num_held_out() == num


def test_unknown_method_and_bad_betas_are_named(generator):
    with pytest.raises(genzoo.ConfigError, match="Did you mean 'ais'"):
        machine().log_partition_function("aiss")
    for wrong in ([0.0, 0.5], [0.1, 1.0], [0.0, 0.7, 0.5, 1.0], [1.0]):
        with pytest.raises(genzoo.ConfigError, match="rise from 0 to 1"):
            partition.ais(machine(), generator=generator, betas=torch.tensor(wrong))


def test_ais_is_unbiased(generator):
    """The mean weight is Z at any number of temperatures; here at four, where weights vary."""
    rbm = machine()
    found = partition.ais(rbm, generator=generator, num_chains=50_000, betas=betas(5))
    z = log_joint(rbm).flatten().logsumexp(0)
    w = (found.log_weights - z).exp()
    assert w.std() > 0.3  # Not so easy that any schedule would do.
    assert abs(w.mean().item() - 1) < 4 * w.std().item() / math.sqrt(50_000)


def test_reverse_ais_is_unbiased_for_the_inverse(generator):
    rbm = machine()
    z = log_joint(rbm).flatten().logsumexp(0)
    start = states(6)[
        torch.multinomial(probabilities(rbm), 50_000, replacement=True, generator=generator)
    ]
    found = partition.reverse_ais(
        rbm, generator=generator, start=start, num_burn_in=0, betas=betas(5)
    )
    w = (found.log_weights + z).exp()
    assert w.std() > 0.3
    assert abs(w.mean().item() - 1) < 4 * w.std().item() / math.sqrt(50_000)


def test_burning_in_brings_wrong_starts_to_the_machine(generator):
    """Chains that all begin at zeros are not draws of p; twenty sweeps later they are."""
    rbm, zeros = machine(), torch.zeros(20_000, 6).double()
    z = log_joint(rbm).flatten().logsumexp(0)
    misses = []
    for num_burn_in in (0, 20):
        found = partition.reverse_ais(
            rbm, generator=generator, start=zeros, num_burn_in=num_burn_in, betas=betas(5)
        )
        w = (found.log_weights + z).exp()
        misses.append(abs(w.mean().item() - 1) / (w.std().item() / math.sqrt(len(w))))
    assert misses[0] > 20
    assert misses[1] < 4  # Standard errors.


def test_both_directions_bracket_the_truth(generator):
    rbm = machine(12, 8)
    truth = rbm.log_partition_function("exact").estimate.value
    forward = partition.ais(rbm, generator=generator, betas=betas(500))
    backward = partition.reverse_ais(rbm, generator=generator, betas=betas(500), num_burn_in=300)
    both = partition.with_interval(forward, backward)
    assert abs(forward.estimate.value - truth) < 0.1
    assert abs(backward.estimate.value - truth) < 0.1
    low, high = both.estimate.interval
    assert low < truth < high
    assert high - low < 0.5


def test_a_bad_estimate_is_called_unreliable(generator):
    """From fair coins with few temperatures the weights rest on a chain or two."""
    rbm = machine(40, 10, scale=2.0)
    bad = partition.ais(rbm, generator=generator, betas=betas(10), path=rbm.path(uniform=True))
    good = partition.ais(rbm, generator=generator, betas=betas(3000))
    assert bad.effective_sample_size < 10
    assert bad.estimate.unreliable
    assert bad.estimate.notes[0].code == "ess-low"
    assert good.effective_sample_size > 10
    assert good.estimate.notes == ()


def test_effective_sample_size_of_known_weights():
    assert partition.effective_sample_size(torch.zeros(7)) == pytest.approx(7)
    lonely = torch.tensor([0.0, -100.0, -100.0])
    assert partition.effective_sample_size(lonely) == pytest.approx(1)
    assert partition.effective_sample_size(torch.tensor([2.0, 1.0]).log()) == pytest.approx(9 / 5)


def test_published_schedule():
    schedule = partition.published_betas()
    assert len(schedule) == 14_501
    assert (schedule <= 0.5).sum() == 501
    assert schedule[0] == 0
    assert schedule[-1] == 1
    assert (schedule.diff() > 0).all()


def test_ends_of_the_path_are_the_base_rates_and_the_machine():
    rbm = machine()
    path, v = rbm.path(), states(6)
    field = path.field(v)
    base = (states(6) @ torch.logit(rbm.base_rates)) + 4 * math.log(2)
    torch.testing.assert_close(path.log_unnormalized(v, field, 0.0), base)
    torch.testing.assert_close(path.log_unnormalized(v, field, 1.0), -rbm.free_energy(v).detach())
    assert path.log_z0 == pytest.approx(base.logsumexp(0).item())


@pytest.mark.parametrize(("old", "new"), [(0.0, 0.001), (0.3, 0.31), (0.9, 0.2), (0.0, 1.0)])
def test_a_steps_change_is_the_ratio_of_unnormalised_densities(old, new, generator):
    """Through the fast identity and, where the exponent is large, through two softplus."""
    for scale in (1.0, 20.0):
        path, v = machine(scale=scale).path(), states(6)
        field = path.field(v)
        wanted = path.log_unnormalized(v, field, new) - path.log_unnormalized(v, field, old)
        found, _ = path.step(v, old, new, generator)
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_a_step_leaves_its_temperature_as_it_is(generator):
    """Draws from p_β stay draws from p_β: 200,000 of them over 64 states."""
    rbm, beta, num = machine(), 0.6, 200_000
    path = rbm.path()
    log_p = path.log_unnormalized(states(6), path.field(states(6)), beta)
    p = (log_p - log_p.logsumexp(0)).exp()
    v = states(6)[torch.multinomial(p, num, replacement=True, generator=generator)]
    _, moved = path.step(v, 0.3, beta, generator)
    assert total_variation(frequencies(moved), p) < 2 * expected_variation(p, num)
    assert not torch.equal(moved, v)


def test_likelihood_turns_the_bracket_round():
    rbm = machine()
    log_z = LogPartition(
        genzoo.plugin.Estimate(
            value=10.0,
            std_error=0.0,
            kind="stochastic estimate",
            unit="nats",
            num_samples=5,
            interval=(9.0, 12.0),
            notes=(genzoo.plugin.Note("so", "so.", unreliable=True),),
        ),
        torch.zeros(5),
    )
    estimate = mean_log_prob(rbm, states(6), log_partition=log_z)
    energy = -rbm.free_energy(states(6)).mean().item()
    assert estimate.value == pytest.approx(energy - 10)
    assert estimate.interval == pytest.approx((energy - 12, energy - 9))
    assert estimate.notes == (genzoo.plugin.Note("so", "so.", unreliable=True),)
    assert estimate.kind == "stochastic estimate"


def test_a_probability_above_one_is_said_to_be_one():
    """Annealing from the uniform machine cannot find the one state that has nearly all mass."""
    rbm = machine(50, 1, scale=0.0)
    with torch.no_grad():
        rbm.W.fill_(8.0)
        rbm.b.zero_()
        rbm.c.fill_(5 - 50 * (8 - math.log(2)))
        rbm.base_rates.fill_(0.5)
    row = torch.ones(1, 50).double()
    generator = torch.Generator().manual_seed(0)
    betas = torch.linspace(0, 1, 1000)
    log_z = rbm.log_partition_function("ais", generator=generator, betas=betas)
    found = mean_log_prob(rbm, row, log_partition=log_z)
    assert found.value == pytest.approx(5, abs=0.5)
    assert str(found.notes[0]).startswith("Unreliable: a row would have log p = ")
    both = mean_log_prob(rbm, torch.cat([row, 0 * row]), log_partition=log_z)
    assert both.notes == found.notes  # The likeliest row is looked at, not the mean.
    assert mean_log_prob(rbm, 0 * row, log_partition=log_z).notes == log_z.estimate.notes
    assert mean_log_prob(rbm, row).notes == ()


def test_a_row_is_too_likely_from_three_errors_of_log_z_on():
    """At log Z = 0 a row of log p = a is above 1 by a; the largest of the rows counts."""

    def codes(*values, **changes):
        given = {"kind": "stochastic estimate", "unit": "nats", "num_samples": 5, **changes}
        estimate = genzoo.plugin.Estimate(value=0.0, std_error=0.125, **given)
        log_z = LogPartition(estimate, torch.zeros(5))
        return [note.code for note in log_z.of_rows(torch.tensor(values)).notes]

    assert codes(-1.0, 0.26) == codes(0.375) == []
    assert codes(0.38) == codes(-1.0, 0.38) == codes(0.38, -1.0) == ["log-p-positive"]
    assert codes(0.38, kind="exact") == []


METHODS = {"ais": partition.ais, "reverse-ais": partition.reverse_ais}


@pytest.mark.parametrize("method", METHODS)
def test_log_z_is_drawn_from_the_generator_that_is_given(method):
    rbm, options = machine(), {"betas": betas(5), "num_chains": 6}
    if method == "reverse-ais":
        options |= {"num_burn_in": 2, "start": states(6)[::11]}

    def weights(seed):
        generator = torch.Generator().manual_seed(seed)
        before = generator.get_state()
        found = rbm.log_partition_function(method, generator=generator, **options)
        assert not torch.equal(generator.get_state(), before)
        return found.log_weights

    first = weights(1)
    assert torch.equal(weights(1), first)
    assert not torch.equal(weights(2), first)
    direct = METHODS[method](rbm, generator=torch.Generator().manual_seed(1), **options)
    assert torch.equal(direct.log_weights, first)
    own = [rbm.log_partition_function(method, **options).log_weights for _ in range(2)]
    assert not torch.equal(*own)


def test_the_best_estimate_is_drawn_from_the_generator_that_is_given():
    rbm, options = machine(23, 23, scale=0.5), {"betas": betas(5), "num_chains": 4}

    def values(generator):
        """What is said of the estimates in both directions."""
        found = partition.best(rbm, generator=generator, num_burn_in=1, **options)
        return found.estimate.notes[-1].text

    first = values(torch.Generator().manual_seed(1))
    assert values(torch.Generator().manual_seed(1)) == first
    assert values(None) != first


@torch.no_grad()
def test_a_sweep_leaves_the_machine_as_it_is(generator):
    """Draws from p stay draws from p: 100,000 of them over 64 states."""
    rbm, num = machine(), 100_000
    p = probabilities(rbm)
    v = states(6)[torch.multinomial(p, num, replacement=True, generator=generator)]
    moved = rbm.path().sweep(v, generator)
    assert not torch.equal(moved, v)
    # Twice what exact draws have on average.
    assert total_variation(frequencies(moved), p) < 2 * expected_variation(p, num)
