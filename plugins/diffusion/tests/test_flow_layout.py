"""Flows in diffusers' layout: its U-Net and scheduler draw the same, in both directions."""

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DConditionModel, UNet2DModel

from genzoo import GenModel, Label, Text, Unit, create_model
from genzoo.plugin import ModelSpec
from genzoo_diffusion.autoencoder_kl import AutoencoderKL
from genzoo_diffusion.denoise import StepsConfig
from genzoo_diffusion.ode_samplers import Euler
from layouts import files

IMAGE = {"event": Unit(shape=(1, 4, 4)), "channels": (8, 8)}
WORDS = {"vocabulary": ["a", "red", "circle"], "max_length": 6, "width": 16}
LABELS = {"label": Label(num_classes=3)}
SCHEDULER = "scheduler/scheduler_config.json"
UNET = {"unet/config.json", "unet/diffusion_pytorch_model.safetensors"}


def flow(name="rectified-flow", **config):
    """A flow whose weights are large enough that its velocity is not nearly 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = create_model(name, **config).eval()
        for parameter in model.network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def by_hand(scheduler, predict, x, steps, **sigmas):
    """diffusers' loop: the steps of its scheduler with a network's predictions."""
    scheduler.set_timesteps(steps, **sigmas)
    for t in scheduler.timesteps:
        x = scheduler.step(predict(x, t.expand(len(x))), t, x, return_dict=False)[0]
    return x


def euler(model, x, steps, spacing="trailing", **given):
    sampler = Euler(StepsConfig(num_inference_steps=steps, timestep_spacing=spacing))
    return sampler.sample_state(model, len(x), start=x, generator=torch.Generator(), **given)


def noise(num=3, shape=(1, 4, 4)):
    return torch.randn(num, *shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
@pytest.mark.parametrize("steps", [1, 4, 50])
def test_the_stored_parts_of_a_flow_draw_the_same_in_diffusers(tmp_path, steps):
    """Its pipelines of flows give the scheduler the σs 1, …, 1/S; both are in float32."""
    model = flow(**IMAGE)
    model.save_pretrained(tmp_path)
    assert files(tmp_path) == {"config.json", SCHEDULER, *UNET}
    unet = UNet2DModel.from_pretrained(tmp_path, subfolder="unet").eval()
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(tmp_path, subfolder="scheduler")
    x, sigmas = noise(), [i / steps for i in range(steps, 0, -1)]
    found = by_hand(scheduler, lambda x, t: unet(x, t).sample, x, steps, sigmas=sigmas)
    expected = euler(model, x, steps)
    assert (expected - x).abs().max() > 0.3
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_the_schedulers_own_times_are_those_of_linspace(tmp_path):
    model = flow(**IMAGE)
    scheduler = FlowMatchEulerDiscreteScheduler()
    signal = model.signal(None, 3)
    found = by_hand(scheduler, lambda x, t: model.network(x, t, signal), noise(), 10)
    expected = euler(model, noise(), 10, "linspace")
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_network_of_diffusers_draws_the_same_in_genzoo():
    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=4,
        in_channels=1,
        out_channels=1,
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=4,
    ).eval()
    config = {k: v for k, v in unet.config.items() if not k.startswith("_")}
    model = create_model("rectified-flow", event=Unit(shape=(1, 4, 4)), unet=config).eval()
    model.network.unet.load_state_dict(unet.state_dict())
    scheduler = FlowMatchEulerDiscreteScheduler()
    sigmas = [1.0, 0.75, 0.5, 0.25]
    found = by_hand(scheduler, lambda x, t: unet(x, t).sample, noise(), 4, sigmas=sigmas)
    torch.testing.assert_close(euler(model, noise(), 4), found, rtol=1e-5, atol=1e-5)


def test_a_flow_of_texts_is_stored_with_its_encoder(tmp_path):
    model = flow(**IMAGE, conditions={"text": Text()}, text=WORDS)
    model.save_pretrained(tmp_path)
    folders = {path.partition("/")[0] for path in files(tmp_path) if "/" in path}
    assert folders == {"unet", "scheduler", "text_encoder", "tokenizer"}
    UNet2DConditionModel.from_pretrained(tmp_path, subfolder="unet")
    again = GenModel.from_pretrained(tmp_path)
    given = {"condition": {"text": "a red circle"}, "seed": 3}
    assert torch.equal(again.sample(2, **given), model.sample(2, **given))


def test_a_flow_of_codes_is_stored_in_parts(tmp_path):
    inner = AutoencoderKL.example()[0].to_dict()
    spec = ModelSpec(name="autoencoder-kl", config=inner)
    model = flow("latent-rectified-flow", autoencoder=spec, channels=(8, 8), conditions=LABELS)
    model.latent_scale.fill_(0.5)
    model.data_seen.fill_(True)
    model.save_pretrained(tmp_path)
    assert {"vae/config.json", SCHEDULER, *UNET} <= files(tmp_path)
    assert "model_index.json" not in files(tmp_path)
    again = GenModel.from_pretrained(tmp_path)
    found, expected = (each.sample(2, condition=1, seed=3) for each in (again, model))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "config", [{"prediction_type": "sample"}, {"network": "flat"}, {"network": "transformer"}]
)
def test_other_networks_are_stored_in_genzoos_layout(tmp_path, config):
    flow(**{**IMAGE, **config}).save_pretrained(tmp_path)
    assert files(tmp_path) == {"config.json", "model.safetensors"}
