"""Noise schedules, the times that are visited, and what a network predicts."""

import math
from fractions import Fraction

import pytest
import torch
from diffusers import DDIMScheduler

from genzoo import ConfigError
from genzoo_diffusion.grid import from_strength, times
from genzoo_diffusion.parameterization import PARAMETERIZATIONS
from genzoo_diffusion.schedule import NoiseSchedule, make_schedule

NAMES = ["linear", "cosine", "zero-terminal-snr", "scaled-linear"]
THEIRS = {"cosine": "squaredcos_cap_v2", "scaled-linear": "scaled_linear"}


def schedule(name, T=1000):
    return make_schedule(name, T, 1e-4, 0.02)


@pytest.mark.parametrize("name", NAMES)
def test_schedules_are_diffusers_own(name):
    """1e-6: diffusers has them in float32, summed over a thousand factors."""
    peer = DDIMScheduler(
        beta_schedule=THEIRS.get(name, "linear"),
        rescale_betas_zero_snr=name == "zero-terminal-snr",
    )
    found = schedule(name).alpha_bar
    torch.testing.assert_close(found, peer.alphas_cumprod.double(), rtol=0, atol=1e-6)
    assert (found.diff() < 0).all()
    assert found.dtype == torch.float64


def test_the_last_time_keeps_nothing_or_next_to_nothing():
    assert schedule("zero-terminal-snr").alpha_bar[-1] == 0
    assert schedule("linear").alpha_bar[-1].item() == pytest.approx(4.036e-5, rel=1e-3)
    assert schedule("cosine").alpha_bar[-1] < 1e-8
    assert schedule("zero-terminal-snr").alpha_bar[0] == schedule("linear").alpha_bar[0]


def test_a_schedule_that_leaves_data_at_the_end_is_refused_with_remedies():
    with pytest.raises(ConfigError, match="60% of the data is left") as error:
        schedule("linear", T=100)
    assert "beta_end" in str(error.value)
    assert "cosine" in str(error.value)
    for name in ("cosine", "zero-terminal-snr"):
        assert len(schedule(name, T=100)) == 100


def test_the_schedule_of_stable_diffusion_leaves_what_its_paper_of_flaws_says():
    """√ᾱ_T = 0.068265: Common Diffusion Noise Schedules and Sample Steps are Flawed, table 1."""
    found = make_schedule("scaled-linear", 1000, 0.00085, 0.012)
    assert found.alpha_bar[-1].sqrt().item() == pytest.approx(0.068265, abs=5e-7)
    assert found.beta[[0, -1]].tolist() == pytest.approx([0.00085, 0.012])


@pytest.mark.parametrize("name", NAMES)
def test_a_step_forward_and_the_posterior_make_the_joint_distribution(name):
    """q(x_t | x_{t−1}) q(x_{t−1} | x_0) = q(x_{t−1} | x_t, x_0) q(x_t | x_0): moments of both."""
    found = schedule(name)
    of_0, of_t = found.posterior_weights
    a, before = found.alpha_bar.sqrt(), found.previous.sqrt()
    torch.testing.assert_close(of_0 + of_t * a, before)
    variance = found.posterior_variance + of_t.square() * (1 - found.alpha_bar)
    torch.testing.assert_close(variance, 1 - found.previous)
    covariance = of_t * (1 - found.alpha_bar)
    torch.testing.assert_close(covariance, (1 - found.beta).sqrt() * (1 - found.previous))


def test_a_respaced_chain_has_the_same_levels():
    found = schedule("linear")
    grid = times("linspace", 1000, 7)
    chain = found.at(grid)
    torch.testing.assert_close(torch.cumprod(1 - chain.beta, 0), found.alpha_bar[grid[::-1]])


@pytest.mark.parametrize("spacing", ["trailing", "linspace", "leading"])
def test_times_are_diffusers_own_where_those_are_times(spacing):
    """Half-way between two times it takes either, by the rounding of its floats.

    For 62 of the thousand numbers of steps its trailing times end at −1.
    """
    peer, refused = DDIMScheduler(timestep_spacing=spacing), 0
    for num in range(2, 1001):
        found = times(spacing, 1000, num)
        assert len(set(found)) == num
        assert min(found) >= 0
        assert max(found) <= 999
        peer.set_timesteps(num)
        if peer.timesteps.min() < 0:
            refused += 1
            continue
        steps = (1000, num) if spacing == "trailing" else (999, num - 1)
        for i, (one, other) in enumerate(
            zip(reversed(found), peer.timesteps.flip(0).tolist(), strict=True)
        ):
            place = Fraction(steps[0] * (i + (spacing == "trailing")), steps[1])
            assert one == other or (place.denominator == 2 and abs(one - other) == 1)
    assert refused == (62 if spacing == "trailing" else 0)


def test_more_steps_than_times_are_refused():
    with pytest.raises(ConfigError, match="1001 steps are more than the model's 1000 times"):
        times("trailing", 1000, 1001)
    with pytest.raises(ConfigError, match="at least two steps"):
        times("linspace", 1000, 1)
    assert times("trailing", 1000, 1) == [999]


def test_an_offset_moves_the_times_of_leading_as_in_diffusers():
    peer = DDIMScheduler(timestep_spacing="leading", steps_offset=1)
    for num in (1, 7, 50, 999):
        peer.set_timesteps(num)
        assert times("leading", 1000, num, 1) == peer.timesteps.tolist()
    assert times("leading", 1000, 50, 19)[0] == 999
    for spacing, num, offset in (("leading", 50, 20), ("leading", 1000, 1), ("trailing", 50, 1)):
        with pytest.raises(ConfigError, match=f"A steps_offset of {offset} is for"):
            times(spacing, 1000, num, offset)


def test_a_variation_visits_the_times_below_its_strength():
    grid = times("trailing", 1000, 10)
    assert from_strength(grid, 1.0, 1000) == grid
    assert from_strength(grid, 0.3, 1000) == [299, 199, 99]
    with pytest.raises(ConfigError, match="none of the 10 steps"):
        from_strength(grid, 0.05, 1000)


# Parameterisations

x_0, epsilon = torch.randn(2, 5, generator=torch.Generator().manual_seed(0)).double()
a, s = torch.tensor(0.6).double(), torch.tensor(0.8).double()


@pytest.mark.parametrize("kind", PARAMETERIZATIONS)
def test_every_prediction_gives_data_and_noise_back(kind):
    kind = PARAMETERIZATIONS[kind]
    x_t = a * x_0 + s * epsilon
    target = kind.target(x_0, epsilon, a, s)
    torch.testing.assert_close(kind.x_0(target, x_t, a, s), x_0)
    torch.testing.assert_close(kind.epsilon(target, x_t, a, s), epsilon)


@pytest.mark.parametrize("kind", PARAMETERIZATIONS)
def test_predictions_are_what_schedulers_take_them_for(kind):
    """One step of diffusers' DDIM to no noise is its predicted x_0; ᾱ = 0.36."""
    found = PARAMETERIZATIONS[kind]
    peer = DDIMScheduler(1, trained_betas=[0.64], clip_sample=False, prediction_type=kind)
    peer.set_timesteps(1)
    output = torch.randn(5, generator=torch.Generator().manual_seed(1)).double()
    predicted = peer.step(output, 0, x_0).pred_original_sample
    torch.testing.assert_close(found.x_0(output, x_0, a, s), predicted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", PARAMETERIZATIONS)
def test_an_error_of_the_prediction_is_so_much_of_one_of_the_data(kind):
    kind = PARAMETERIZATIONS[kind]
    x_t = a * x_0 + s * epsilon
    target = kind.target(x_0, epsilon, a, s)
    off = kind.x_0(target + 0.3, x_t, a, s) - x_0
    expected = kind.x_0_error(a**2 / s**2) * 0.3**2
    torch.testing.assert_close(off.square(), expected.expand(5))


def test_the_snr_is_that_of_the_levels():
    found = NoiseSchedule(torch.tensor([0.9, 0.5]).double())
    torch.testing.assert_close(found.snr, torch.tensor([9.0, 1.0]).double(), rtol=1e-6, atol=0)


def test_a_schedule_may_leave_as_much_as_it_says(monkeypatch):
    left = schedule("linear").alpha_bar[-1].item()
    monkeypatch.setattr("genzoo_diffusion.schedule.MAX_TERMINAL", left)
    assert len(schedule("linear")) == 1000
    monkeypatch.setattr("genzoo_diffusion.schedule.MAX_TERMINAL", math.nextafter(left, 0))
    with pytest.raises(ConfigError, match="is left, but sampling starts"):
        schedule("linear")
