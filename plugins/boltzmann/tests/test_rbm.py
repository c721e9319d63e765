"""The machine against its definition, by enumeration in float64."""

import math

import pytest
import torch

import genzoo
from genzoo import Binary, DataInfo, Unit
from genzoo.plugin import (
    NotFiniteWeightsError,
    SupportsDataInit,
    SupportsInpainting,
    SupportsLogProb,
)
from genzoo_boltzmann.rbm import RBM, RBMConfig
from genzoo_boltzmann.samplers import Gibbs, TemperedGibbs
from likelihoods import mean_log_prob
from machines import frequencies, log_joint, machine, probabilities, states, total_variation

TIGHT = {"rtol": 1e-12, "atol": 1e-12}


def test_joint_energy_is_the_definition():
    rbm = machine()
    v, h = states(6), states(4)
    energies = torch.stack([rbm.joint_energy(v, row.expand(len(v), -1)) for row in h], dim=1)
    torch.testing.assert_close(-energies, log_joint(rbm), **TIGHT)


def test_free_energy_sums_over_hidden_states():
    rbm = machine()
    torch.testing.assert_close(-rbm.free_energy(states(6)), log_joint(rbm).logsumexp(1), **TIGHT)


def test_conditionals_are_ratios_of_joints():
    rbm = machine()
    joint = log_joint(rbm)
    given_v = (joint - joint.logsumexp(1, keepdim=True)).exp() @ states(4)
    given_h = (joint - joint.logsumexp(0, keepdim=True)).exp().T @ states(6)
    torch.testing.assert_close(rbm.hidden_given(states(6)).probs, given_v, **TIGHT)
    torch.testing.assert_close(rbm.visible_given(states(4)).probs, given_h, **TIGHT)


def test_likelihood_of_every_state_sums_to_one():
    rbm = machine()
    log_p = [mean_log_prob(rbm, v[None]).value for v in states(6)]
    assert torch.tensor(log_p).exp().sum().item() == pytest.approx(1, abs=1e-6)
    assert mean_log_prob(rbm, states(6)).kind == "exact"


def test_mean_likelihood_is_the_entropy_of_its_own_distribution():
    rbm = machine()
    p = probabilities(rbm)
    rows = states(6)[
        torch.multinomial(p, 20_000, replacement=True, generator=torch.Generator().manual_seed(0))
    ]
    estimate = mean_log_prob(rbm, rows)
    entropy = -(p * p.log()).sum().item()
    # Four standard errors: a wrong implementation is off by far more.
    assert abs(estimate.value + entropy) < 4 * estimate.std_error
    assert estimate.std_error == pytest.approx(p.log().std().item() / 141, rel=1)


def test_likelihood_of_a_float32_machine_is_summed_in_float64():
    """Energies of 3e5: in float32 the mean was off by 1e-2, ten thousand times the tolerance."""
    rbm = machine(50, 12, scale=300.0).float()
    x = (torch.rand(40, 50, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    found = mean_log_prob(rbm, x)
    exact = mean_log_prob(rbm.double(), x.double())
    assert abs(exact.value) > 1000
    assert found.value == pytest.approx(exact.value, abs=1e-6, rel=0)


def test_figures_are_the_same_under_autocast():
    rbm = machine(10, 8).float()
    x, h = states(10)[::7].float(), states(8)[:1].float().expand(147, -1)
    plain = mean_log_prob(rbm, x), rbm.energy(x), rbm.joint_energy(x, h)
    with torch.autocast("cpu", torch.bfloat16):
        assert (x @ rbm.W).dtype == torch.bfloat16  # The negative control.
        found, energy, joint = mean_log_prob(rbm, x), rbm.energy(x), rbm.joint_energy(x, h)
    assert found == plain[0]
    assert torch.equal(energy, plain[1])
    assert torch.equal(joint, plain[2])


def test_energies_are_of_the_wider_type():
    rbm = machine().float()
    assert rbm.free_energy(states(6).float()).dtype == torch.float32
    assert rbm.free_energy(states(6)).dtype == torch.float64
    wide = rbm.joint_energy(states(6)[:16], states(4))
    torch.testing.assert_close(wide, rbm.double().joint_energy(states(6)[:16], states(4)), **TIGHT)


def test_configure_takes_the_shape_of_the_data():
    data = genzoo.load_dataset("digits", binarize="threshold")
    config = RBMConfig(event=Binary(shape=(1, 8, 8)), num_hidden=3)
    assert RBM.configure(data.info, num_hidden=3) == config


def test_grey_data_are_refused_with_the_remedy():
    with pytest.raises(genzoo.DataError, match=r"--data\.binarize threshold"):
        RBM.check_event(genzoo.load_dataset("digits").info)


def test_an_event_that_is_not_binary_is_refused():
    with pytest.raises(genzoo.ConfigError, match="models binary data, not 4: values in"):
        RBM(RBMConfig(event=Unit(shape=(4,))))


def test_without_a_mean_the_base_rates_are_those_of_the_rows():
    rbm = RBM(RBMConfig(event=Binary(shape=(2,)), num_hidden=2))
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    rbm.init_from_data({"x": x}, DataInfo(fields={"x": rbm.event}))
    torch.testing.assert_close(rbm.base_rates, torch.tensor([0.25, 0.75]))


def test_data_init_sets_base_rates_and_their_log_odds():
    rbm = RBM(RBMConfig(event=Binary(shape=(2, 2)), num_hidden=2))
    assert rbm.needs_data_init()
    mean = torch.tensor([[0.0, 0.25], [0.5, 1.0]])
    info = DataInfo(fields={"x": rbm.event}, mean={"x": mean})
    rbm.init_from_data({"x": torch.zeros(1, 2, 2)}, info)
    assert not rbm.needs_data_init()
    expected = torch.tensor([0.001, 0.25, 0.5, 0.999])
    torch.testing.assert_close(rbm.base_rates, expected)
    torch.testing.assert_close(rbm.b.detach(), torch.logit(expected))


def test_capabilities_are_seen():
    rbm = machine()
    for capability in (SupportsLogProb, SupportsInpainting, SupportsDataInit):
        assert isinstance(rbm, capability)


def test_inpainting_keeps_what_is_given_and_draws_the_rest_from_the_conditional(generator):
    rbm = machine(scale=0.7)
    mask = torch.tensor([False, False, False, True, True, True])
    given = torch.tensor([1.0, 0, 1, 0, 0, 0], dtype=torch.float64)
    v = rbm.inpaint(given.expand(20_000, -1), mask, generator=generator, num_inference_steps=100)
    assert torch.equal(v[:, :3], given[:3].expand(20_000, -1))
    fits = (states(6)[:, :3] == given[:3]).all(1)
    p = probabilities(rbm) * fits
    # 20,000 exact draws of 8 states stay below 0.012 on average; 0.03 leaves room for the chain.
    assert total_variation(frequencies(v), p / p.sum()) < 0.03


def test_what_is_inpainted_starts_from_the_base_rates(generator):
    """One sweep from there: Σ p₀(v) Σ_h p(h | v) E[v | h], where v has the given values."""
    rbm, mask = machine(scale=2.0), torch.tensor([False, False, False, True, True, True])
    rbm.base_rates[3:] = 0.9
    given = torch.tensor([1.0, 0, 1, 0, 0, 0]).double()
    starts = torch.where(mask, states(6), given).unique(dim=0)
    weights = torch.where(starts[:, 3:] == 1, 0.9, 0.1).double().prod(1)
    joint = log_joint(rbm)
    rows = (states(6) == starts[:, None]).all(2).int().argmax(1)
    p_h = joint[rows].softmax(1)
    expected = weights @ p_h @ rbm.visible_given(states(4)).probs
    v = rbm.inpaint(given.expand(20_000, -1), mask, generator=generator, num_inference_steps=1)
    # Four standard errors of 20,000 draws: 0.014.
    torch.testing.assert_close(v.mean(0)[3:], expected[3:], rtol=0, atol=0.014)
    assert torch.equal(v[:, :3], given[:3].expand(20_000, -1))


def test_the_mask_is_true_where_values_are_filled_in():
    """The draws are those that a mask of what is given, its opposite, gave before."""
    given = torch.tensor([True, False, True, False, False, True])
    generator = torch.Generator().manual_seed(3)
    v = machine(scale=0.7).inpaint(
        states(6)[5:13], ~given, generator=generator, num_inference_steps=5
    )
    rows = ["111000", "001010", "101010", "000000", "110010", "000100", "110010", "001010"]
    assert v.tolist() == [[int(unit) for unit in row] for row in rows]


def test_filters_are_weights_in_the_shape_of_the_data():
    rbm = RBM(RBMConfig(event=Binary(shape=(1, 2, 3)), num_hidden=5))
    filters = rbm.filters()
    assert filters.shape == (5, 1, 2, 3)
    torch.testing.assert_close(filters[4, 0, 1, 2], rbm.W[5, 4].detach())


# What is refused

FAULTS = [
    (0.5, r"row 2 holds 0\.5\. Binarise them"),
    (2.0, r"row 2 holds 2\. Divide by 255\? Then binarise them"),
    (-1.0, r"row 2 holds -1\. Binarise"),
    (math.nan, r"row 2 holds nan\. Remove or fill such rows"),
    (math.inf, "row 2 holds inf"),
]


@pytest.mark.parametrize(("value", "said"), FAULTS)
def test_values_that_are_neither_zero_nor_one_are_refused_by_all_that_takes_rows(
    value, said, generator
):
    rbm, x = machine(), torch.zeros(4, 6, dtype=torch.float64)
    x[2, 5] = value
    mask = torch.zeros(6, dtype=torch.bool)
    for ask in (
        lambda: mean_log_prob(rbm, x),
        lambda: rbm.energy(x),
        lambda: rbm.free_energy(x),
        lambda: rbm.encode(x),
        lambda: rbm.inpaint(x, mask, generator=generator, num_inference_steps=1),
    ):
        with pytest.raises(genzoo.DataError, match=rf"^RBM takes zeros and ones; {said}"):
            ask()
    mask[5] = True
    found = rbm.inpaint(x, mask, generator=generator, num_inference_steps=1)
    assert set(found.unique().tolist()) <= {0.0, 1.0}


def test_zeros_and_ones_of_another_type_have_the_same_likelihood():
    rbm, x = machine(), states(6)
    expected = mean_log_prob(rbm, x).value
    for dtype in (torch.bool, torch.uint8, torch.int64, torch.float32):
        assert mean_log_prob(rbm, x.to(dtype)).value == pytest.approx(expected, rel=1e-12)
        torch.testing.assert_close(rbm.energy(x.to(dtype)), rbm.energy(x))


@pytest.mark.parametrize("sampler", [Gibbs, TemperedGibbs])
@pytest.mark.parametrize("name", ["W", "b", "c", "base_rates"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_samples_of_broken_weights_are_not_zeros(sampler, name, value):
    """u < NaN is false, so that such a machine drew zeros, and said nothing."""
    rbm = machine()
    getattr(rbm, name).data.view(-1)[-1] = value
    short = sampler(sampler.Config(num_steps=3))
    with pytest.raises(NotFiniteWeightsError, match=rf"not finite: {name} \(1 of"):
        rbm.sample(4, seed=0, sampler=short)


@pytest.mark.parametrize("sampler", [Gibbs, TemperedGibbs])
def test_weights_whose_sums_overflow_are_named(sampler, generator):
    """1e38 is finite in float32; the sum of four of them is not, nor is their difference then."""
    rbm = machine().float()
    short = sampler(sampler.Config(num_steps=3))
    rbm.W.data.fill_(1e38).view(-1)[::2] *= -1
    mask = torch.zeros(6, dtype=torch.bool)
    for ask in (
        lambda: rbm.sample(4, seed=0, sampler=short),
        lambda: mean_log_prob(rbm, states(6)),
        lambda: rbm.log_partition_function("exact"),
        lambda: rbm.inpaint(states(6), mask, generator=generator, num_inference_steps=1),
        lambda: list(short.trajectory(rbm, 2, generator=generator)),
    ):
        with pytest.raises(
            NotFiniteWeightsError, match=r"overflow torch\.float32: .*reach 1e\+38"
        ):
            ask()
    rbm.W.data.mul_(1e-8)
    assert set(rbm.sample(4, seed=0, sampler=short).unique().tolist()) <= {0.0, 1.0}
    assert math.isfinite(mean_log_prob(rbm, states(6)).value)


def test_codes_are_draws_of_hidden_units(generator):
    """Shares of 20,000 draws within five standard errors of p(h | v), which `encode` gives."""
    rbm, x = machine(), states(6)[37:38]
    h = rbm.draw_codes(x.expand(20_000, 6), generator=generator)
    rbm.codes.require(h, "The machine")
    torch.testing.assert_close(h.mean(0), rbm.encode(x)[0], rtol=0, atol=2.5 / 20_000**0.5)


def test_no_rows_have_empty_results_and_no_mean(generator):
    rbm, x = RBM(RBMConfig(event=Binary(shape=(1, 2, 3)), num_hidden=5)), torch.zeros(0, 1, 2, 3)
    mask = torch.zeros(2, 3, dtype=torch.bool)
    assert rbm.energy(x).shape == (0,)
    assert rbm.encode(x).shape == (0, 5)
    assert rbm.decode(torch.zeros(0, 5)).shape == (0, 1, 2, 3)
    assert rbm.inpaint(x, mask, generator=generator, num_inference_steps=1).shape == (0, 1, 2, 3)
    assert rbm.log_prob(x).values.shape == (0,)
    with pytest.raises(genzoo.DataError, match="mean over no rows"):
        mean_log_prob(rbm, x)


@pytest.mark.parametrize("method", ["log_prob", "encode", "decode"])
def test_a_condition_is_refused(method):
    rbm = machine()
    rows = states(4) if method == "decode" else states(6)
    with pytest.raises(genzoo.GenzooError, match="condition"):
        getattr(rbm, method)(rows, condition=torch.zeros(len(rows), dtype=torch.long))


def test_what_is_inpainted_is_drawn_by_a_thousand_sweeps():
    rbm, x = machine(), states(6)[:4]
    mask = torch.tensor([False, True, True, True, True, True])
    drawn = [
        rbm.inpaint(x, mask, generator=torch.Generator().manual_seed(0), **options)
        for options in ({}, {"num_inference_steps": 1000})
    ]
    assert torch.equal(*drawn)
