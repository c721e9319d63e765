"""Models of EDM in diffusers' layout: its EDMEulerScheduler draws what Euler's method draws."""

import json

import pytest
import torch
from diffusers import (
    DDPMPipeline,
    EDMEulerScheduler,
    StableDiffusionPipeline,
    UNet2DModel,
)

from edm_models import KARRAS, karras
from genzoo import GenModel, Text, Unit, create_model
from genzoo_diffusion.diffusers_layout import scheduler_of
from genzoo_diffusion.samplers import Euler, StepsConfig
from layouts import equal, files
from models import IMAGE, model, states

T, STEPS = 28, 10
PARTS = {"config.json", "scheduler/scheduler_config.json", "unet/config.json"}
PARTS |= {"unet/diffusion_pytorch_model.safetensors"}
KL = {"event": Unit(shape=(3, 16, 16)).to_dict(), "channels": (4, 8), "latent_channels": 4}
WORDS = {"vocabulary": ["a", "red", "circle"], "max_length": 6, "width": 16}


def image(**config):
    """Return a U-Net whose prediction is not 0."""
    made = model({**IMAGE, "num_train_timesteps": T, **KARRAS, **config}).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def euler(num_steps=STEPS, **config):
    given = {"num_inference_steps": num_steps, "timestep_spacing": "linspace", **config}
    return Euler(StepsConfig(**given))


@torch.no_grad()
def by_hand(unet, scheduler, start, num_steps):
    """Draw as diffusers documents its schedulers; ``start`` has unit variance."""
    scheduler.set_timesteps(num_steps)
    x = start * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        output = unet(scheduler.scale_model_input(x, t), t).sample
        x = scheduler.step(output, t, x).prev_sample
    return x


@pytest.mark.parametrize(
    "config",
    [{}, {"sigma_data": 1.0}, {"sigma_min": 0.01, "sigma_max": 20.0, "rho": 3.0}],
)
@pytest.mark.parametrize("num_steps", [STEPS, T])
def test_their_scheduler_with_our_network_draws_our_samples(tmp_path, config, num_steps):
    """1e-5: diffusers computes in float32. T − 1 = 27 is a multiple of S − 1."""
    ours = image(**config)
    ours.save_pretrained(tmp_path)
    assert files(tmp_path) == PARTS
    unet = UNet2DModel.from_pretrained(tmp_path, subfolder="unet")
    scheduler = EDMEulerScheduler.from_pretrained(tmp_path, subfolder="scheduler")
    assert equal(unet, ours.network.unet)
    start = states(3, ours)
    expected = by_hand(unet, scheduler, start, num_steps)
    sampler = euler(num_steps)
    with torch.no_grad():
        found = sampler.sample_state(ours, 3, start=start, generator=torch.Generator())
        other = euler(4).sample_state(ours, 3, start=start, generator=torch.Generator())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert not torch.allclose(other, expected, atol=1e-2)


def test_its_steps_are_those_of_linspace_and_then_zero():
    ours = image()
    scheduler = scheduler_of(ours)
    scheduler.set_timesteps(STEPS)
    expected = torch.tensor([*karras(STEPS), 0.0])
    torch.testing.assert_close(scheduler.sigmas, expected, rtol=1e-6, atol=0)
    visited = ours.schedule.log_sigma.exp()[ours.visited_times(STEPS, "linspace")]
    torch.testing.assert_close(scheduler.sigmas[:-1].double(), visited, rtol=1e-6, atol=0)


def test_what_is_stored_loads_and_draws_the_same(tmp_path):
    ours = image(sigma_data=0.8)
    ours.save_pretrained(tmp_path)
    loaded = GenModel.from_pretrained(tmp_path)
    assert equal(loaded, ours)
    assert loaded.config == ours.config
    assert torch.equal(loaded.sample(2, seed=0), ours.sample(2, seed=0))
    stored = json.loads((tmp_path / "scheduler/scheduler_config.json").read_text())
    assert stored["_class_name"] == "EDMEulerScheduler"
    assert (stored["sigma_data"], stored["sigma_max"], stored["rho"]) == (0.8, 80.0, 7.0)


def test_another_schedule_is_stored_by_its_ends():
    ours = image(schedule="cosine")
    config, log_sigma = scheduler_of(ours).config, ours.schedule.log_sigma
    assert config.sigma_min == pytest.approx(log_sigma[0].exp().item())
    assert config.sigma_max == pytest.approx(log_sigma[-1].exp().item())


def test_other_predictions_on_this_schedule_are_a_pipeline(tmp_path):
    """Its β are listed. 1e-4: as for other schedules, diffusers has ᾱ in float32."""
    ours = image(prediction_type="v_prediction")
    ours.save_pretrained(tmp_path)
    pipe = DDPMPipeline.from_pretrained(tmp_path)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe.scheduler.alphas_cumprod.double()
    torch.testing.assert_close(theirs, ours.schedule.alpha_bar, rtol=0, atol=1e-6)
    drawn = pipe(2, torch.Generator().manual_seed(5), num_inference_steps=T, output_type="np")
    found = torch.from_numpy(drawn.images).permute(0, 3, 1, 2)
    torch.testing.assert_close(found, ours.sample(2, seed=5), rtol=0, atol=1e-4)


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_pipeline_over_codes_draws_the_same_from_the_same_seed(tmp_path, guidance):
    config = {"channels": (8, 8), "num_train_timesteps": T, "conditions": {"text": Text()}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        autoencoder = {"name": "autoencoder-kl", "config": KL}
        ours = create_model(
            "latent-ddpm", autoencoder=autoencoder, text=WORDS, **KARRAS, **config
        ).eval()
        for name, parameter in ours.named_parameters():
            if not name.startswith("autoencoder."):
                torch.nn.init.normal_(parameter, std=1.0 if ".attn2." in name else 0.3)
    ours.latent_scale.fill_(0.7)
    ours.data_seen.fill_(True)
    ours.save_pretrained(tmp_path)
    pipe = StableDiffusionPipeline.from_pretrained(tmp_path)
    pipe.set_progress_bar_config(disable=True)
    assert isinstance(pipe.scheduler, EDMEulerScheduler)
    assert pipe.scheduler.config.sigma_data == 1.0
    texts = ["a red circle", ""]
    expected = pipe(
        texts,
        guidance_scale=guidance,
        num_inference_steps=STEPS,
        generator=torch.Generator().manual_seed(3),
        output_type="pt",
    ).images
    sampler = euler(guidance_scale=guidance)
    found = ours.sample(2, condition=texts, seed=3, sampler=sampler)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    other = ours.sample(2, condition=texts[::-1], seed=3, sampler=sampler)
    assert not torch.allclose(other, expected, atol=1e-3)
    assert equal(GenModel.from_pretrained(tmp_path), ours)
