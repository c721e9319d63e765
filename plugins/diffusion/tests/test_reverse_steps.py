"""Reverse steps against diffusers' own schedulers, driven by hand."""

import diffusers
import pytest
import torch

from gaussian import gaussian_model
from gaussian_flows import gaussian_flow
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
from models import IMAGE, model

KINDS = ["epsilon", "sample", "v_prediction"]
SCHEDULES = [
    ("linear", "epsilon"),
    ("linear", "v_prediction"),
    ("cosine", "epsilon"),
    ("cosine", "sample"),
    ("zero-terminal-snr", "v_prediction"),
    ("zero-terminal-snr", "sample"),
]


def of_chain(name, found, grid, **options):
    """A scheduler of the chain of the visited times alone, with ᾱ in float64."""
    schedule = found.schedule.at(grid)
    scheduler = getattr(diffusers, name)(
        num_train_timesteps=len(grid),
        trained_betas=schedule.beta.tolist(),
        prediction_type=found.config.prediction_type,
        **options,
    )
    scheduler.alphas_cumprod = schedule.alpha_bar
    scheduler.set_timesteps(len(grid))
    return scheduler


def of_flow(name, found, grid):
    """A scheduler of the whole chain with given times, whose σ is in float64."""
    scheduler = getattr(diffusers, name)(
        num_train_timesteps=len(found.schedule),
        trained_betas=found.schedule.beta.tolist(),
        prediction_type=found.config.prediction_type,
    )
    scheduler.set_timesteps(timesteps=grid)
    times = [int(t) for t in scheduler.timesteps]
    alpha_bar = found.schedule.alpha_bar[times].clamp_min(2.0**-24)
    scheduler.sigmas = torch.cat([((1 - alpha_bar) / alpha_bar).sqrt(), torch.zeros(1).double()])
    return scheduler, times


def predicted(found, x, t):
    return found.predict(x, torch.full((len(x),), t), found.signal(None, len(x)))


@torch.no_grad()
def driven(scheduler, found, x, times, **options):
    """The state after all of a scheduler's steps."""
    for i, t in zip(times, scheduler.timesteps, strict=True):
        output = predicted(found, scheduler.scale_model_input(x, t), i)
        x = scheduler.step(output, int(t), x, return_dict=False, **options)[0]
    return x


@torch.no_grad()
def driven_in_sigma(scheduler, found, x, times):
    """The same for schedulers of x / √ᾱ."""
    x = x * float((1 + scheduler.sigmas[0] ** 2).sqrt())
    for i, t in zip(times, scheduler.timesteps, strict=True):
        output = predicted(found, scheduler.scale_model_input(x, t), i)
        x = scheduler.step(output, t, x, return_dict=False)[0]
    return x


def noise(found, num=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, *found.state_shape, generator=generator, dtype=found.dtype)


def ours(sampler, found, start, seed=1):
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        return sampler.sample_state(found, len(start), start=start, generator=generator)


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("num_steps", [7, 50])
@pytest.mark.parametrize(("schedule", "kind"), SCHEDULES)
def test_chains_take_the_steps_of_diffusers(schedule, kind, num_steps, spacing):
    """The same noise, in the same order; 1e-6 of values of order 1."""
    found = gaussian_model(schedule=schedule, prediction_type=kind)
    start = noise(found)
    given = {"num_inference_steps": num_steps, "timestep_spacing": spacing}
    for variance in ("fixed_small", "fixed_large"):
        sampler = DDPMSampler(DDPMConfig(**given, variance_type=variance))
        grid = sampler.grid(found)
        peer = of_chain("DDPMScheduler", found, grid, variance_type=variance, clip_sample=False)
        generator = torch.Generator().manual_seed(1)
        expected = driven(peer, found, start, grid, generator=generator)
        torch.testing.assert_close(ours(sampler, found, start), expected, rtol=0, atol=1e-6)
    for eta in (0.0, 0.3):
        sampler = DDIM(DDIMConfig(**given, eta=eta))
        peer = of_chain("DDIMScheduler", found, grid, clip_sample=False)
        generator = torch.Generator().manual_seed(1)
        expected = driven(peer, found, start, grid, generator=generator, eta=eta)
        torch.testing.assert_close(ours(sampler, found, start), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_chains_clip_as_diffusers_does(kind):
    found = model(IMAGE, prediction_type=kind).double()
    with torch.no_grad():
        found.network.unet.conv_out.weight.mul_(50)
    start, clip = noise(found), {"clip_sample": True}
    for sampler, name, options in (
        (DDPMSampler(DDPMConfig(num_inference_steps=6)), "DDPMScheduler", {}),
        (
            DDIM(DDIMConfig(num_inference_steps=6, eta=0.5)),
            "DDIMScheduler",
            {"eta": 0.5, "use_clipped_model_output": True},
        ),
    ):
        grid = sampler.grid(found)
        peer = of_chain(name, found, grid, **clip)
        generator = torch.Generator().manual_seed(1)
        expected = driven(peer, found, start, grid, generator=generator, **options)
        assert (expected.abs() == 1).any()
        torch.testing.assert_close(ours(sampler, found, start), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize(("schedule", "kind"), SCHEDULES)
def test_solvers_of_diffusions_take_the_steps_of_diffusers(schedule, kind, spacing):
    """Heun's within 1e-6; Euler's, which diffusers computes in float32, within 1e-5."""
    found = gaussian_model(schedule=schedule, prediction_type=kind)
    given = {"num_inference_steps": 20, "timestep_spacing": spacing}
    for sampler, name, near in (
        (Euler(StepsConfig(**given)), "EulerDiscreteScheduler", 1e-5),
        (Heun(HeunConfig(**given)), "HeunDiscreteScheduler", 1e-6),
    ):
        scheduler, times = of_flow(name, found, sampler.grid(found))
        start = noise(found)
        expected = driven_in_sigma(scheduler, found, start, times)
        torch.testing.assert_close(ours(sampler, found, start), expected, rtol=0, atol=near)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_dpm_solver_without_a_patched_schedule_is_as_near_as_float32_allows(schedule):
    """Compared with σ in float64: at most 5e-5 off for 10 to 50 steps and any spacing."""
    found, start = gaussian_model(schedule=schedule), noise(gaussian_model())
    sampler = DPMSolver(DPMSolverConfig())
    scheduler, times = of_flow("DPMSolverMultistepScheduler", found, sampler.grid(found))
    x = start
    with torch.no_grad():
        for i, t in zip(times, scheduler.timesteps, strict=True):
            x = scheduler.step(predicted(found, x, i), t, x, return_dict=False)[0]
    torch.testing.assert_close(ours(sampler, found, start), x, rtol=0, atol=5e-5)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("spacing", ["trailing", "linspace"])
def test_eulers_method_of_a_flow_takes_the_steps_of_diffusers(spacing, shift):
    """Times 1, …, 1/S, or diffusers' own, of which the last is 1/1000; σ is in float32."""
    found, start = gaussian_flow(), noise(gaussian_flow())
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    if spacing == "trailing":
        scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / 10, 10).tolist())
    elif shift == 1:
        scheduler.set_timesteps(10)
    else:  # diffusers shifts its last time twice.
        scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / 1000, 10).tolist())
    x = start
    with torch.no_grad():
        for t in scheduler.timesteps:
            output = found.network(x, t.double().expand(len(x)), None)
            x = scheduler.step(output, t, x, return_dict=False)[0].double()
    given = {"timestep_spacing": spacing, "timestep_shift": shift}
    sampler = Euler(StepsConfig(num_inference_steps=10, **given))
    torch.testing.assert_close(ours(sampler, found, start), x, rtol=0, atol=2e-6)
