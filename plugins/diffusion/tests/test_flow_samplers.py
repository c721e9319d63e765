"""Samplers of flows: recursions on Gaussian data, orders, adaptive steps, and refusals."""

import itertools
import math

import pytest
import torch

from gaussian import run_affinely
from gaussian_flows import MEAN, VARIANCE, gaussian_flow, joint_flow, velocity
from genzoo import CapabilityError, ConfigError, Label, Real, create_model
from genzoo.plugin import NotFiniteSampleError, NotFiniteWeightsError
from genzoo_diffusion.samplers import (
    DDIM,
    Adaptive,
    AdaptiveConfig,
    DDIMConfig,
    DDPMConfig,
    DDPMSampler,
    DPMSolver,
    Euler,
    Heun,
    HeunConfig,
    Midpoint,
    MidpointConfig,
    StepsConfig,
)
from models import model

SAMPLERS = {
    "ddpm": (DDPMSampler, DDPMConfig),
    "ddim": (DDIM, DDIMConfig),
    "euler": (Euler, StepsConfig),
    "heun": (Heun, HeunConfig),
    "midpoint": (Midpoint, MidpointConfig),
}
EVERY = pytest.mark.parametrize("name", SAMPLERS)
SOLVERS = pytest.mark.parametrize(
    ("name", "order", "runs"), [("euler", 1, 1), ("heun", 2, 2), ("midpoint", 2, 2)]
)
EXACT = 1e-9
WRONG = [(math.nan, NotFiniteWeightsError), (3e38, NotFiniteSampleError)]


def sampler(name, num_steps=5, **config):
    cls, of = SAMPLERS[name]
    return cls(of(num_inference_steps=num_steps, **config))


def adaptive(tolerance=1e-5, **config):
    return Adaptive(AdaptiveConfig(rtol=tolerance, atol=tolerance, **config))


def flow(**config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        given = {"event": Real(shape=(3,)), "hidden_dim": 8, "num_blocks": 2, **config}
        return create_model("rectified-flow", **given)


def counted(found):
    sizes = []
    found.network.register_forward_hook(lambda module, given, out: sizes.append(len(given[0])))
    return sizes


# Recursions


def solved(name, times, mean, variance):
    """Mean and variance of x_0 by the textbook's method, from the affine maps x ↦ A z + B."""

    def f(t, A, B):
        slope, level = velocity(t, mean, variance)
        return slope * A, slope * B + level

    A, B = 1.0, 0.0
    for t, after in itertools.pairwise([*times, 0.0]):
        h = after - t
        kA, kB = f(t, A, B)
        if name == "midpoint":
            kA, kB = f(t + h / 2, A + h / 2 * kA, B + h / 2 * kB)
        elif name == "heun" and after > 0:
            lA, lB = f(after, A + h * kA, B + h * kB)
            kA, kB = (kA + lA) / 2, (kB + lB) / 2
        A, B = A + h * kA, B + h * kB
    return B, A**2


def drawn(times, mean, variance, share, is_large=False):
    """Mean and variance of x_0 by draws from q(x' | x, x̂_0), by Bayes' rule.

    With a share η of the noise it is the family of DDIM: a x̂_0 + √(s² − η² β̃) ε̂ + η √β̃ z.
    """
    m, v = 0.0, 1.0
    for t, after in itertools.pairwise([*times, 0.0]):
        total = (1 - t) ** 2 * variance + t**2
        gain = (1 - t) * variance / total
        x_0 = (gain, mean - gain * (1 - t) * mean)
        epsilon = (t / total, -t / total * (1 - t) * mean)
        if after == 0:
            return x_0[0] * m + x_0[1], x_0[0] ** 2 * v
        alpha = (1 - t) / (1 - after)
        beta = t**2 - alpha**2 * after**2
        posterior = 1 / (1 / after**2 + alpha**2 / beta)
        noise = beta if is_large else share**2 * posterior
        if share == 1:
            of_0, of_x = posterior * (1 - after) / after**2, posterior * alpha / beta
            slope, level = of_0 * x_0[0] + of_x, of_0 * x_0[1]
        else:
            left = math.sqrt(after**2 - noise)
            slope, level = (
                (1 - after) * of_data + left * of_noise
                for of_data, of_noise in zip(x_0, epsilon, strict=True)
            )
        m, v = slope * m + level, slope**2 * v + noise
    raise AssertionError


@pytest.mark.parametrize("num_steps", [10, 50, 100])
@pytest.mark.parametrize(("spacing", "last"), [("trailing", None), ("linspace", 1 / 1000)])
@pytest.mark.parametrize(("mean", "variance"), [(MEAN, VARIANCE), (-0.5, 2.0)])
def test_samplers_of_a_flow_follow_their_recursions(mean, variance, spacing, last, num_steps):
    model = gaussian_flow(mean=mean, variance=variance)
    times = torch.linspace(1, last or 1 / num_steps, num_steps, dtype=torch.float64).tolist()

    def moments(name, **config):
        given = sampler(name, num_steps, timestep_spacing=spacing, **config)
        found = run_affinely(given, model, num_steps)
        return pytest.approx((found.mean, found.variance), abs=EXACT)

    for name in ("euler", "heun", "midpoint"):
        assert moments(name) == solved(name, times, mean, variance)
    for share in (0.0, 0.5, 1.0):
        assert moments("ddim", eta=share) == drawn(times, mean, variance, share)
    assert moments("ddpm") == drawn(times, mean, variance, 1)
    large = drawn(times, mean, variance, 1, is_large=True)
    assert moments("ddpm", variance_type="fixed_large") == large


def test_the_errors_of_euler_and_heun_fall_with_their_order_on_gaussian_data():
    """The midpoint method's falls with the third power here: its leading term is zero."""
    model = gaussian_flow()
    for name, order in (("euler", 1), ("heun", 2), ("midpoint", 3)):
        errors = []
        for num_steps in (40, 80):
            found = run_affinely(sampler(name, num_steps), model, num_steps)
            assert found.mean == pytest.approx(1, abs=EXACT)
            errors.append(abs(found.A - math.sqrt(VARIANCE)))
        assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


class TwoModes(torch.nn.Module):
    """E[ε − x_0 | x_t] of data ½ N(−1, ¼) + ½ N(1, ¼)."""

    def forward(self, x_t, t, signal):
        t = (t / 1000)[:, None]
        total = (1 - t) ** 2 / 4 + t**2
        weight = torch.sigmoid(2 * (1 - t) * x_t / total)
        each = [velocity(t, mean, 0.25) for mean in (-1.0, 1.0)]
        (low, high) = (slope * x_t + level for slope, level in each)
        return (1 - weight) * low + weight * high


@SOLVERS
def test_solvers_of_a_flow_have_their_order(name, order, runs):
    """Against adaptive steps with a tolerance of 1e-13."""
    found = gaussian_flow()
    found.unused, found.network = found.network, TwoModes()
    start = torch.tensor([[-1.5], [0.3], [0.8]], dtype=torch.float64)
    x, *less = (
        given.sample_state(found, 3, start=start, generator=torch.Generator())
        for given in (adaptive(1e-13), sampler(name, 80), sampler(name, 160))
    )
    coarse, fine = ((each - x).abs() for each in less)
    assert (coarse / fine).log2().mean().item() == pytest.approx(order, abs=0.15)


@SOLVERS
def test_how_often_the_network_runs(name, order, runs):
    found = flow()
    sizes = counted(found)
    found.sample(2, seed=0, sampler=sampler(name, 7))
    assert len(sizes) == 7 * runs - (name == "heun")


@pytest.mark.parametrize("name", ["euler", "heun", "midpoint"])
def test_a_shift_moves_times_towards_noise(name):
    """t' = 3 t / (1 + 2 t), of t = 1, ¾, ½, ¼."""
    given = sampler(name, 4, timestep_shift=3.0)
    assert given.grid(flow()) == pytest.approx([1.0, 0.9, 0.75, 0.5])
    model = gaussian_flow()
    found = run_affinely(given, model, 4)
    expected = solved(name, [1.0, 0.9, 0.75, 0.5], MEAN, VARIANCE)
    assert (found.mean, found.variance) == pytest.approx(expected, abs=EXACT)


# Adaptive steps


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7, 1e-9])
@pytest.mark.parametrize(("mean", "variance"), [(MEAN, VARIANCE), (0.0, 0.01), (-0.5, 2.0)])
def test_adaptive_steps_are_within_their_tolerance(mean, variance, tolerance):
    """The solution is x_0 = μ + s z; errors of steps add up, here to 5 tolerances at most."""
    z = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    found = gaussian_flow(mean=mean, variance=variance)
    x = adaptive(tolerance).sample_state(found, 7, start=z, generator=torch.Generator())
    allowed = 5 * tolerance * (1 + x.abs())
    assert ((x - (mean + math.sqrt(variance) * z)).abs() < allowed).all()


def test_a_smaller_tolerance_takes_more_steps_and_a_step_runs_the_network_six_times():
    found, kept, runs = gaussian_flow(), [], []
    for tolerance in (1e-2, 1e-5, 1e-8):
        sizes = counted(found)
        states = adaptive(tolerance).trajectory(found, 3, generator=torch.Generator())
        kept.append(len(list(states)))
        runs.append(len(sizes))
    assert kept == sorted(set(kept))
    assert all(run % 6 == 1 and run > 6 * num for run, num in zip(runs, kept, strict=True))
    assert adaptive().num_states(found) is None


def test_a_step_that_is_too_far_off_is_made_again():
    """A velocity that jumps at t = ½, a place that is found by steps that are not kept."""

    class Jump(torch.nn.Module):
        def forward(self, x_t, t, signal):
            return torch.where(t[:, None] > 500, 1.0, -20.0).to(x_t.dtype).expand_as(x_t)

    found = gaussian_flow()
    unused, found.network = found.network, Jump()
    found.unused = unused
    sizes, start = counted(found), torch.zeros(2, 1, dtype=torch.float64)
    generator = torch.Generator()
    states = list(adaptive(1e-6).trajectory(found, 2, start=start, generator=generator))
    torch.testing.assert_close(states[-1], torch.full_like(start, 9.5), rtol=0, atol=1e-4)
    assert len(sizes) > 6 * len(states) + 6


def test_the_hardest_row_of_a_block_chooses_the_steps():
    """The mean moves on a line, and needs the fewest steps; 400 such rows do not hide another."""
    found, easy = gaussian_flow(variance=0.01), torch.zeros(400, 1, dtype=torch.float64)
    hard = torch.full((1, 1), 3.0, dtype=torch.float64)

    def num(start):
        states = adaptive(1e-8).trajectory(
            found, len(start), start=start, generator=torch.Generator()
        )
        return len(list(states))

    assert num(easy) < num(hard) / 2
    assert abs(num(torch.cat([easy, hard])) - num(hard)) <= 1


def test_the_same_seed_and_block_size_give_the_same_adaptive_samples():
    found = flow()
    five, seven = (found.sample(n, seed=3, batch_size=4, sampler=adaptive()) for n in (5, 7))
    assert torch.equal(seven[:5], five)
    assert not torch.equal(seven[0], seven[4])


def test_too_many_steps_are_refused_with_the_remedy():
    with pytest.raises(ConfigError, match=r"max_num_steps = 3 .* Raise rtol and atol, or max_num"):
        gaussian_flow().sample(2, seed=0, sampler=adaptive(1e-8, max_num_steps=3))


# Options


@EVERY
def test_variations_of_a_flow_begin_at_the_first_time_up_to_the_strength(name):
    given = sampler(name, 10, strength=0.3)
    found = gaussian_flow()
    assert given.grid(found) == pytest.approx([0.3, 0.2, 0.1])
    assert given.num_states(found) == 3
    start = torch.full((2000, 1), 3.0, dtype=torch.float64)
    distance = [
        (found.sample(2000, start=start, seed=0, sampler=s, batch_size=2000) - start).abs().mean()
        for s in (sampler(name, 50, strength=share) for share in (0.1, 0.5, 0.9))
    ]
    assert distance == sorted(distance)
    with pytest.raises(ConfigError, match="leaves none of the 5 steps"):
        found.sample(2, start=start[:2], sampler=sampler(name, strength=0.1))


def test_adaptive_variations_begin_at_the_strength_itself():
    found, start = gaussian_flow(), torch.full((5, 1), 3.0, dtype=torch.float64)
    x = found.sample(5, start=start, seed=0, sampler=adaptive(1e-9, strength=0.37), batch_size=5)
    noise = torch.randn(5, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x_t, a, t = 0.63 * start + 0.37 * noise, 0.63, 0.37
    exact = MEAN + math.sqrt(VARIANCE / (a**2 * VARIANCE + t**2)) * (x_t - a * MEAN)
    torch.testing.assert_close(x, exact, rtol=0, atol=1e-7)
    with pytest.raises(ConfigError, match="A strength of 0"):
        found.sample(5, start=start, sampler=adaptive(strength=0.0))


@pytest.mark.parametrize("given", [sampler("euler"), sampler("midpoint"), adaptive()])
def test_flows_are_guided_as_diffusions_are(given):
    """u_∅ + s (u_c − u_∅): for constant velocities of classes, samples are moved by it."""

    class Constant(torch.nn.Module):
        def forward(self, x_t, t, signal):
            return torch.tensor([1.0, 3.0, -2.0])[signal.labels][:, None].expand_as(x_t)

    found = flow(conditions={"label": Label(num_classes=2)})
    unused, found.network = found.network, Constant()
    found.unused = unused
    config = {**given.config.to_dict(), "guidance_scale": 2.5}
    start = torch.zeros(2, 3)
    for negative, null in ((None, -2.0), ({"label": 0}, 1.0)):
        cls = type(given)
        way = cls(cls.Config.from_dict({**config, "negative_condition": negative}))
        x = found.sample(2, condition=1, start=start, seed=0, sampler=way)
        torch.testing.assert_close(x, torch.full((2, 3), -(null + 2.5 * (3.0 - null))))


def test_networks_of_x_0_are_sampled_too():
    found = flow(prediction_type="sample")
    for given in (*(sampler(name) for name in SAMPLERS), adaptive()):
        assert torch.isfinite(found.sample(3, seed=0, sampler=given)).all()


@pytest.mark.parametrize("given", [sampler("midpoint"), adaptive()])
@pytest.mark.parametrize(("value", "error"), WRONG)
def test_what_is_not_finite_is_named(value, error, given):
    found = flow()
    for p in found.parameters():
        p.data.fill_(value)
    with pytest.raises(error):
        found.sample(2, seed=0, sampler=given)


# Refusals


@pytest.mark.parametrize("given", [sampler("midpoint"), adaptive()])
def test_models_of_T_times_cannot_be_asked_between_them(given):
    message = f"{type(given).__name__} needs a model of continuous time.*DDPM has 20.*Use.*heun"
    with pytest.raises(CapabilityError, match=message):
        model().sample(2, sampler=given)


def test_dpm_solver_is_for_diffusions():
    with pytest.raises(CapabilityError, match="DPMSolver needs a model that is a Diffusion"):
        flow().sample(2, sampler=DPMSolver())


@pytest.mark.parametrize(
    ("name", "config", "error", "message"),
    [
        ("ddim", {"set_alpha_to_one": False}, ConfigError, "set_alpha_to_one = False"),
        ("ddpm", {"exact": True}, CapabilityError, "RectifiedFlow has none"),
        ("euler", {"timestep_spacing": "leading"}, ConfigError, "does not begin at t = 1"),
    ],
)
def test_what_a_flow_does_not_have_is_refused(name, config, error, message):
    with pytest.raises(error, match=message):
        flow().sample(2, sampler=sampler(name, **config))


def test_a_shift_is_for_continuous_time():
    with pytest.raises(ConfigError, match="timestep_shift of 3 is for models of continuous time"):
        model().sample(2, sampler=sampler("ddim", timestep_shift=3.0))


# Inpainting


def test_a_flow_fills_in_draws_from_the_conditional(generator):
    """x_2 given x_1 = 1.5 of N(0, [[1, .9], [.9, 1]]) is N(1.35, .19); 5,000 rows."""
    found = joint_flow([[1.0, 0.9], [0.9, 1.0]])
    x = torch.tensor([[1.5, float("nan")]], dtype=torch.float64).repeat(5000, 1)
    done = found.inpaint(x, torch.tensor([False, True]), generator=generator)
    assert (done[:, 0] == 1.5).all()
    assert done[:, 1].mean().item() == pytest.approx(1.35, abs=0.04)
    assert done[:, 1].var().item() == pytest.approx(0.19, abs=0.02)
    assert found.network.calls == 5 * 250
