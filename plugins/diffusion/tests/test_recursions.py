"""Samplers on Gaussian data against their recursions in closed form, in float64."""

import itertools
import math

import pytest
import torch

from gaussian import ddim_recursion, ddpm_recursion, gaussian_model, levels, run_affinely
from genzoo_diffusion.grid import times
from genzoo_diffusion.samplers import (
    DDIM,
    DDIMConfig,
    DDPMConfig,
    DDPMSampler,
    DPMSolver,
    DPMSolverConfig,
    Euler,
    Heun,
    HeunConfig,
    StepsConfig,
)

KINDS = ["epsilon", "sample", "v_prediction"]
FLOWS = [
    *(("euler", kind) for kind in KINDS),
    *(("heun", kind) for kind in KINDS),
    *(("dpm-solver++", kind) for kind in KINDS),
]
SPACINGS = ["linspace", "trailing", "leading"]
EXACT = 1e-9
# diffusers' DPM-Solver++ has its levels of noise in float32, of 1.2e-7 a number.
SINGLE = 1e-5


def ddpm(num_steps, large, spacing="linspace"):
    kind = "fixed_large" if large else "fixed_small"
    return DDPMSampler(
        DDPMConfig(num_inference_steps=num_steps, timestep_spacing=spacing, variance_type=kind)
    )


def ddim(num_steps, eta, spacing="linspace"):
    return DDIM(DDIMConfig(num_inference_steps=num_steps, eta=eta, timestep_spacing=spacing))


@pytest.mark.parametrize(("large", "variance"), [(True, 0.250752), (False, 0.246125)])
def test_ddpm_over_all_times_has_the_moments_of_the_reference(large, variance):
    found = run_affinely(ddpm(1000, large), gaussian_model(), 1000)
    assert found.mean == pytest.approx(0.999990, abs=1e-6)
    assert found.variance == pytest.approx(variance, abs=1e-6)


@pytest.mark.parametrize(
    ("num_steps", "eta", "mean", "variance"),
    [
        (10, 0, 0.9977, 0.130763),
        (20, 0, 0.9973, 0.185289),
        (50, 0, 0.9970, 0.222704),
        (100, 0, 0.9969, 0.236048),
        (250, 0, 0.9969, 0.244304),
        (1000, 0, 0.9968, 0.248498),
        (10, 1, 0.99999, 0.104222),
        (20, 1, 0.99999, 0.150507),
        (50, 1, 0.99999, 0.196420),
        (100, 1, 0.99999, 0.218981),
        (250, 1, 0.99999, 0.236016),
        (1000, 1, 0.99999, 0.246125),
    ],
)
def test_ddim_has_the_moments_of_the_reference(num_steps, eta, mean, variance):
    """The reference's figures have so many digits."""
    found = run_affinely(ddim(num_steps, eta), gaussian_model(), num_steps)
    assert found.mean == pytest.approx(mean, abs=5e-5)
    assert found.variance == pytest.approx(variance, abs=1e-6)


@pytest.mark.parametrize(
    ("num_steps", "variance"),
    [(10, 0.663551), (20, 0.824823), (50, 0.928106), (100, 0.963686)],
)
def test_ddim_of_standard_normal_data_turns_the_state(num_steps, variance):
    """The variance is Π cos²(Δθ), θ = arccos √ᾱ."""
    model = gaussian_model(mean=0.0, variance=1.0)
    found = run_affinely(ddim(num_steps, 0), model, num_steps)
    angles = [math.acos(ab**0.5) for ab, _ in levels(model, times("linspace", 1000, num_steps))]
    product = math.prod(
        math.cos(a - b) ** 2 for a, b in zip(angles, [*angles[1:], 0.0], strict=True)
    )
    assert found.variance == pytest.approx(product, abs=EXACT)
    assert found.variance == pytest.approx(variance, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("spacing", "num_steps"), [*itertools.product(SPACINGS, [10, 61, 250]), ("trailing", 1000)]
)
def test_ddpm_and_ddim_follow_their_recursions(kind, spacing, num_steps):
    """61 steps are one of the numbers at which T/S rounds to a wrong previous time.

    With 1000 steps every spacing has all times.
    """
    model = gaussian_model(mean=-0.5, variance=2.0, prediction_type=kind)
    grid = times(spacing, 1000, num_steps)
    for large in (False, True):
        found = run_affinely(ddpm(num_steps, large, spacing), model, num_steps)
        expected = ddpm_recursion(model, grid, -0.5, 2.0, large)
        assert (found.mean, found.variance) == pytest.approx(expected, abs=EXACT)
    for eta in (0.0, 0.5, 1.0):
        found = run_affinely(ddim(num_steps, eta, spacing), model, num_steps)
        expected = ddim_recursion(model, grid, -0.5, 2.0, eta)
        assert (found.mean, found.variance) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize(
    ("schedule", "kind"),
    [
        ("cosine", "epsilon"),
        ("zero-terminal-snr", "v_prediction"),
        ("zero-terminal-snr", "sample"),
    ],
)
def test_other_schedules_follow_their_recursions_too(schedule, kind):
    """At the cosine's end 1/√ᾱ is 2e4, by which the rounding of ε is multiplied."""
    model = gaussian_model(schedule=schedule, prediction_type=kind)
    grid = times("trailing", 1000, 50)
    found = run_affinely(ddim(50, 1.0, "trailing"), model, 50)
    expected = ddim_recursion(model, grid, 1.0, 0.25, 1.0)
    assert (found.mean, found.variance) == pytest.approx(expected, abs=1e-7)
    found = run_affinely(ddpm(50, True, "trailing"), model, 50)
    expected = ddpm_recursion(model, grid, 1.0, 0.25, True)
    assert (found.mean, found.variance) == pytest.approx(expected, abs=1e-7)


def test_ancestral_steps_of_small_variance_are_ddim_with_all_of_its_noise():
    model = gaussian_model()
    one = run_affinely(ddpm(50, False), model, 50)
    other = run_affinely(ddim(50, 1.0), model, 50)
    assert (one.mean, one.variance) == pytest.approx((other.mean, other.variance), abs=EXACT)


# Solvers of the probability flow's equation: each against its textbook form.


def flow(model, grid, mean, variance):
    """σ at each time and 0, and the maps x ↦ (slope, level) of x̂_0 and ε̂ in x_0 + σ ε."""
    sigmas = [((1 - ab) / ab) ** 0.5 for ab, _ in levels(model, grid)] + [0.0]

    def x_0(sigma):
        share = variance / (variance + sigma**2)
        return share, (1 - share) * mean

    def epsilon(sigma):
        return sigma / (variance + sigma**2), -sigma / (variance + sigma**2) * mean

    return sigmas, x_0, epsilon


def applied(linear, A, B):
    return linear[0] * A, linear[0] * B + linear[1]


def euler(sigmas, epsilon, A, B):
    for now, after in itertools.pairwise(sigmas):
        dA, dB = applied(epsilon(now), A, B)
        A, B = A + (after - now) * dA, B + (after - now) * dB
    return A, B


def heun(sigmas, epsilon, A, B):
    for now, after in itertools.pairwise(sigmas):
        dA, dB = applied(epsilon(now), A, B)
        A1, B1 = A + (after - now) * dA, B + (after - now) * dB
        if after > 0:
            eA, eB = applied(epsilon(after), A1, B1)
            dA, dB = (dA + eA) / 2, (dB + eB) / 2
        A, B = A + (after - now) * dA, B + (after - now) * dB
    return A, B


def dpm_solver(sigmas, x_0, A, B):
    """DPM-Solver++ (2M), algorithm 2 of the paper, for x_0 + σ ε; first and last of order 1."""
    before, h_before = None, None
    for now, after in itertools.pairwise(sigmas):
        found = applied(x_0(now), A, B)
        D = found
        if after > 0 and before is not None:
            h = math.log(now / after)
            r = h_before / h
            D = tuple(f + (f - b) / (2 * r) for f, b in zip(found, before, strict=True))
        ratio = after / now
        A, B = ratio * A + (1 - ratio) * D[0], ratio * B + (1 - ratio) * D[1]
        before, h_before = found, math.log(now / after) if after > 0 else None
    return A, B


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("name", "kind"), FLOWS)
@pytest.mark.parametrize("num_steps", [10, 50])
def test_solvers_of_the_flow_follow_their_recursions(name, num_steps, kind, spacing):
    model = gaussian_model(mean=-0.5, variance=0.5, prediction_type=kind)
    grid = times(spacing, 1000, num_steps)
    sigmas, x_0, epsilon = flow(model, grid, -0.5, 0.5)
    given = {"num_inference_steps": num_steps, "timestep_spacing": spacing}
    sampler = {
        "euler": lambda: Euler(StepsConfig(**given)),
        "heun": lambda: Heun(HeunConfig(**given)),
        "dpm-solver++": lambda: DPMSolver(DPMSolverConfig(**given)),
    }[name]()
    found = run_affinely(sampler, model, num_steps)
    scale = (1 + sigmas[0] ** 2) ** 0.5
    A, B = {
        "euler": lambda: euler(sigmas, epsilon, scale, 0.0),
        "heun": lambda: heun(sigmas, epsilon, scale, 0.0),
        "dpm-solver++": lambda: dpm_solver(sigmas, x_0, scale, 0.0),
    }[name]()
    near = SINGLE if name == "dpm-solver++" else EXACT
    assert pytest.approx((A, B), abs=near) == (found.A, found.B)
    assert found.n.abs().max() < near  # They draw no noise.


def test_heun_is_of_higher_order_than_euler():
    """Ten times the steps: ten times nearer by Euler's method, a hundred by Heun's, roughly."""
    model, errors = gaussian_model(mean=0.0, variance=1.0), {}
    for name, cls, config in (("euler", Euler, StepsConfig), ("heun", Heun, HeunConfig)):
        for num in (20, 200):
            sampler = cls(config(num_inference_steps=num))
            found = run_affinely(sampler, model, num)
            errors[name, num] = abs(found.A - 1)
    assert errors["heun", 200] < errors["euler", 200] / 5
    assert errors["euler", 200] < errors["euler", 20] / 5


# The peer: diffusers' own loop with its own times.


@pytest.mark.parametrize("name", ["DDIMScheduler", "DDPMScheduler"])
def test_the_pipelines_own_times_give_the_pipelines_own_states(name):
    """Leading spacing, 50 of 1000: 1e-5 for diffusers' ᾱ in float32."""
    import diffusers

    model = gaussian_model()
    scheduler = getattr(diffusers, name)(clip_sample=False, timestep_spacing="leading")
    scheduler.set_timesteps(50)
    x = torch.randn(4, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start, generator = x.clone(), torch.Generator().manual_seed(1)
    for t in scheduler.timesteps:
        output = model.network(x, t.expand(4), None)
        x = scheduler.step(output, t, x, generator=generator).prev_sample
    sampler = ddim(50, 0.0, "leading") if name == "DDIMScheduler" else ddpm(50, False, "leading")
    generator = torch.Generator().manual_seed(1)
    found = sampler.sample_state(model, 4, start=start, generator=generator)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-5)


def deviations(spacing, model, variance):
    """Standard deviations of 10, 20 and 50 steps of DPM-Solver++ over the data's, and means."""
    found = []
    for num_steps in (10, 20, 50):
        sampler = DPMSolver(
            DPMSolverConfig(num_inference_steps=num_steps, timestep_spacing=spacing)
        )
        found.append(run_affinely(sampler, model, num_steps))
    return [(f.variance / variance) ** 0.5 for f in found], [f.mean for f in found]


@pytest.mark.parametrize(
    ("schedule", "spacing", "expected", "shift"),
    [
        ("linear", "trailing", (0.81, 0.96, 1.00), 0.004),
        ("linear", "linspace", (1.39, 1.24, 1.06), 0.005),
        ("linear", "leading", (1.38, 1.23, 1.05), 0.012),
        ("cosine", "trailing", (0.95, 1.00, 1.00), 0.057),
        ("cosine", "linspace", (1.29, 1.10, 1.02), 0.085),
        ("cosine", "leading", (1.27, 1.09, 1.02), 0.098),
    ],
)
def test_the_spacing_that_suits_dpm_solver(schedule, spacing, expected, shift):
    """As its docstring states it, of N(1, .25)."""
    ratios, means = deviations(spacing, gaussian_model(schedule=schedule), 0.25)
    assert ratios == pytest.approx(expected, abs=0.0055)
    assert all(abs(mean - 1) <= shift for mean in means)


@pytest.mark.parametrize(
    ("spacing", "expected"), [("trailing", (0.28, 0.50, 0.79)), ("linspace", (0.65, 0.97, 1.15))]
)
def test_data_that_vary_by_little_need_more_steps(spacing, expected):
    ratios, _ = deviations(spacing, gaussian_model(mean=0.5, variance=0.01), 0.01)
    assert ratios == pytest.approx(expected, abs=0.0055)


@pytest.mark.parametrize(
    ("kind", "spacing", "expected"),
    [
        ("epsilon", "trailing", (2.95, 1.54, 0.63)),
        ("epsilon", "leading", (0.12, 0.06, 0.04)),
        ("v_prediction", "trailing", (0.01, 0.01, 0.01)),
    ],
)
def test_an_error_at_the_end_of_the_cosine_chain(kind, spacing, expected):
    """A prediction that is .01 too great everywhere, and how far it moves the mean."""
    model = gaussian_model(schedule="cosine", prediction_type=kind)
    model.network.register_forward_hook(lambda module, given, output: output + 0.01)
    _, means = deviations(spacing, model, 0.25)
    assert [1 - mean for mean in means] == pytest.approx(expected, abs=0.006)
