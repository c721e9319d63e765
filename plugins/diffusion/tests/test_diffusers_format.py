"""Pipelines that diffusers has built and saved, loaded as models of the zoo."""

import json

import pytest
import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel

from genzoo import (
    ConfigError,
    GenModel,
    LoadError,
    Real,
    Trainer,
    TrainerConfig,
    create_model,
    evaluate,
    load_dataset,
)
from genzoo.plugin import ConfigFileError, WeightsError

REPOSITORY = "ada/pipeline"
STEPS = 20
UNUSUAL = {
    "block_out_channels": (8, 12),
    "norm_num_groups": 2,
    "down_block_types": ("AttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "AttnUpBlock2D"),
    "attention_head_dim": 4,
    "layers_per_block": 2,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "downsample_padding": 0,
    "norm_eps": 1e-6,
}
USUAL = {
    "block_out_channels": (8, 8),
    "norm_num_groups": 4,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
}
SCHEDULERS = [
    {"beta_schedule": "squaredcos_cap_v2"},
    {"beta_schedule": "squaredcos_cap_v2", "variance_type": "fixed_large"},
    {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"},
    {"beta_schedule": "linear", "beta_end": 0.6, "prediction_type": "sample"},
    {"beta_schedule": "scaled_linear", "beta_start": 0.01, "beta_end": 0.7},
]


def pipeline(unet=None, channels=1, size=8, **scheduler):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet2DModel(
            sample_size=size, in_channels=channels, out_channels=channels, **(unet or USUAL)
        )
    scheduler = {"beta_schedule": "squaredcos_cap_v2", **scheduler}
    made = DDPMPipeline(unet, DDPMScheduler(num_train_timesteps=STEPS, **scheduler))
    made.set_progress_bar_config(disable=True)
    return made


def drawn(pipe, num, seed):
    generator = torch.Generator().manual_seed(seed)
    # Older versions of this pipeline have no "pt".
    found = pipe(num, generator, num_inference_steps=STEPS, output_type="np").images
    return torch.from_numpy(found).permute(0, 3, 1, 2)


def saved(tmp_path, pipe=None):
    (pipe or pipeline()).save_pretrained(tmp_path / "pipe")
    return tmp_path / "pipe"


def change(folder, name, **values):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def put(hub, folder):
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return hub.put(REPOSITORY, {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths})


# Loaded.


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("unet", [USUAL, UNUSUAL])
def test_samples_are_the_pipelines_from_the_same_seed(tmp_path, unet, scheduler):
    pipe = pipeline(unet, **scheduler)
    model = GenModel.from_pretrained(saved(tmp_path, pipe))
    torch.testing.assert_close(model.sample(3, seed=5), drawn(pipe, 3, 5), atol=1e-4, rtol=0)
    assert not torch.allclose(model.sample(3, seed=6), drawn(pipe, 3, 5), atol=1e-2)


def test_pictures_need_not_be_square(tmp_path):
    pipe = pipeline(channels=3, size=(8, 12))
    model = GenModel.from_pretrained(saved(tmp_path, pipe))
    assert model.event_shape == (3, 8, 12)
    torch.testing.assert_close(model.sample(2, seed=0), drawn(pipe, 2, 0), atol=1e-4, rtol=0)


def test_a_repository_of_the_hub_loads_and_is_checked_like_ours(hub, tmp_path):
    pipe = pipeline()
    put(hub, saved(tmp_path, pipe))
    model = GenModel.from_pretrained(REPOSITORY)
    torch.testing.assert_close(model.sample(2, seed=5), drawn(pipe, 2, 5), atol=1e-4, rtol=0)
    asked = len(hub.requests)
    assert torch.equal(
        GenModel.from_pretrained(REPOSITORY).sample(2, seed=5), model.sample(2, seed=5)
    )
    assert len(hub.requests) == asked + 1  # What the branch is now.


def test_it_is_evaluated_trained_on_and_saved_as_ours(tmp_path):
    model, digits = GenModel.from_pretrained(saved(tmp_path)), load_dataset("digits", limit=100)
    (figure,) = evaluate(model, digits, ["two-sample"]).figures.values()
    assert 0 <= figure.value <= 1
    before = {name: value.clone() for name, value in model.state_dict().items()}
    config = TrainerConfig(max_steps=2, batch_size=8, warmup_steps=0)
    trained = Trainer(model, digits, None, config, output_dir=tmp_path / "run").fit()
    assert any(not torch.equal(v, before[k]) for k, v in trained.state_dict().items())
    again = GenModel.from_pretrained(tmp_path / "run")
    assert torch.equal(again.sample(2, seed=0), trained.sample(2, seed=0))


def test_our_own_config_outranks_the_marker(tmp_path):
    folder = saved(tmp_path)
    own = create_model(
        "ddpm", event=Real(shape=(4,)), num_train_timesteps=STEPS, schedule="cosine"
    )
    own.save_pretrained(folder)
    assert GenModel.from_pretrained(folder).event_shape == (4,)


def test_weights_of_half_precision_stay_so_unless_asked(tmp_path):
    pipe = pipeline()
    pipe.unet.half()
    folder = saved(tmp_path, pipe)
    assert GenModel.from_pretrained(folder).dtype == torch.float16
    assert GenModel.from_pretrained(folder, dtype=torch.float32).dtype == torch.float32


# Refused.


def test_other_pipelines_are_refused_by_name(tmp_path):
    pipe = DDIMPipeline(pipeline().unet, DDIMScheduler())
    with pytest.raises(ConfigFileError, match=r"'DDIMPipeline' of diffusers is not supported"):
        GenModel.from_pretrained(saved(tmp_path, pipe))


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("model_index.json", {"_class_name": "StableDiffusionXLPipeline"}, "'StableDiffusionXL"),
        ("model_index.json", {"_class_name": ["x"]}, r"a \['x'\] of diffusers is not supported"),
        ("model_index.json", {"unet": ["pipeline", "MyUNet"]}, r"unet is \['pipeline', 'MyUNet'"),
        ("model_index.json", {"vqvae": ["diffusers", "VQModel"]}, "A part of that name is not"),
        ("model_index.json", {"scheduler": ["diffusers", "PNDMScheduler"]}, "scheduler is"),
        ("unet/config.json", {"out_channels": 2}, "must have equal channels"),
        ("unet/config.json", {"sample_size": None}, "a size is needed"),
        ("unet/config.json", {"sample_size": [8]}, "a size is needed"),
        ("unet/config.json", {"sample_size": "x"}, r"Unit\.shape\[1\]"),
        ("unet/config.json", {"no_such": 1}, "UNet2DModel has no field 'no_such'"),
        ("unet/config.json", {"block_out_channels": {"a": 1}}, "block_out_channels cannot be"),
        ("unet/config.json", {"block_out_channels": [8, 10**9]}, "block_out_channels cannot be"),
        ("unet/config.json", {"layers_per_block": 60_000}, "more than 284 parameters"),
        ("unet/config.json", {"down_block_types": ["os.system", "x"]}, "No DDPM can be built"),
        (
            "unet/config.json",
            {"num_class_embeds": 10},
            "class-conditional U-Net of diffusers is not supported",
        ),
        ("scheduler/scheduler_config.json", {"beta_schedule": "sigmoid"}, "'sigmoid' is not supp"),
        ("scheduler/scheduler_config.json", {"variance_type": "learned"}, "variance_type"),
        ("scheduler/scheduler_config.json", {"thresholding": True}, "thresholding True is not"),
        ("scheduler/scheduler_config.json", {"clip_sample": False}, "clip_sample False is not"),
        ("scheduler/scheduler_config.json", {"trained_betas": [0.1]}, "trained_betas"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**9}, "num_train_timesteps"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "linear"}, "data is left"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(tmp_path, name, values, why):
    folder = saved(tmp_path)
    change(folder, name, **values)
    with pytest.raises(LoadError, match=why):
        GenModel.from_pretrained(folder)


@pytest.mark.parametrize("unet", [{"block_out_channels": [8, 16]}, {"layers_per_block": 2}])
def test_weights_of_another_unet_are_refused(tmp_path, unet):
    folder = saved(tmp_path)
    change(folder, "unet/config.json", **unet)
    with pytest.raises(LoadError, match=r"do not fit its config|No DDPM can be built"):
        GenModel.from_pretrained(folder)


def test_only_safetensors_are_read(hub, tmp_path):
    pipeline().save_pretrained(tmp_path / "pipe", safe_serialization=False)
    assert list((tmp_path / "pipe" / "unet").glob("*.bin"))
    with pytest.raises(WeightsError, match=r"diffusion_pytorch_model\.bin may run code when read"):
        GenModel.from_pretrained(tmp_path / "pipe")
    put(hub, tmp_path / "pipe")
    with pytest.raises(WeightsError, match=r"has no unet/diffusion_pytorch_model\.safetensors"):
        GenModel.from_pretrained(REPOSITORY)


def test_a_unet_is_without_a_condition():
    with pytest.raises(ConfigError, match="images without a condition"):
        create_model("ddpm", event=Real(shape=(4,)), unet={"sample_size": 4})
