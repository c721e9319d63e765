"""A `latent-ddpm` is saved and pushed as a StableDiffusionPipeline, which draws the same."""

import json

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
    UNet2DModel,
)
from huggingface_hub import HfApi
from transformers import AutoTokenizer, CLIPTextModel

from clip_pieces import LENGTH, MERGES, SIZES, TEXTS, pipeline, vocabulary
from genzoo import (
    Component,
    GenModel,
    Label,
    Real,
    Text,
    Trainer,
    TrainerConfig,
    Unit,
    create_model,
    evaluate,
    load_dataset,
)
from genzoo_diffusion.samplers import DDIM, DDIMConfig
from layouts import equal, files

REPOSITORY = "ada/clothes"
STEPS = 10
KL = {"event": Unit(shape=(3, 16, 16)).to_dict(), "channels": (4, 8), "latent_channels": 4}
WORDS = {"vocabulary": ["a", "red", "circle", "can't"], "max_length": 6, "width": 16}
CLIP = {**SIZES, "vocab_size": len(vocabulary()), "max_position_embeddings": LENGTH}
CLIP |= {"bos_token_id": 522, "eos_token_id": 523}
PAIRS = {"merges": "\n".join(map(" ".join, MERGES)), "max_length": LENGTH}
OF_TEXT = {"conditions": {"text": Text()}}
FITTED = {**OF_TEXT, "text": WORDS}
STORED = {**OF_TEXT, "stored_text": {"clip": CLIP, "tokenizer": PAIRS}}
BOTH = {"fitted": (FITTED, ["a red circle", ""]), "stored": (STORED, ["the cat's thing!", ""])}
WEIGHTS = {f"{part}/diffusion_pytorch_model.safetensors" for part in ("unet", "vae")}
CHAIN = {"schedule": "scaled-linear", "prediction_type": "v_prediction"}
PARTS = {"unet/config.json", "vae/config.json", "scheduler/scheduler_config.json"} | WEIGHTS
TEXT = {"text_encoder/config.json", "text_encoder/model.safetensors"}
TEXT |= {"tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"}


def latent(inner=None, name="autoencoder-kl", seed=1, **config):
    """Return a model whose weights are large enough that a text makes a difference."""
    autoencoder = {"name": name, "config": {**KL, **(inner or {})}}
    given = {**CHAIN, "channels": (8, 8), **config}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = create_model("latent-ddpm", autoencoder=autoencoder, **given)
        for key, parameter in made.named_parameters():
            if not key.startswith("autoencoder."):
                torch.nn.init.normal_(parameter, std=1.0 if ".attn2." in key else 0.3)
    if made.config.known_scale is None:
        made.latent_scale.fill_(0.7)
        made.data_seen.fill_(True)
    return made.eval()


def quiet(pipe):
    pipe.set_progress_bar_config(disable=True)
    return pipe


def theirs(source, **arguments):
    """Return the pipeline that diffusers makes of a folder or of a repository."""
    return quiet(StableDiffusionPipeline.from_pretrained(source, **arguments))


def drawn(pipe, texts, guidance=1.0, seed=3, steps=STEPS, **arguments):
    generator = torch.Generator().manual_seed(seed)
    given = {"guidance_scale": guidance, "num_inference_steps": steps, "generator": generator}
    return pipe(texts, output_type="pt", **given, **arguments).images


def sampled(model, texts, guidance=1.0, seed=3, **config):
    sampler = DDIM(DDIMConfig(num_inference_steps=STEPS, guidance_scale=guidance, **config))
    return model.sample(len(texts), condition=texts, seed=seed, sampler=sampler)


def close(found, expected):
    """1e-5: diffusers has ᾱ in float32 and we in float64; 2.4e-6 is the most that was seen."""
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


# A pipeline.


@pytest.fixture(scope="module", params=BOTH)
def saved(request, tmp_path_factory):
    """A model of either encoder, its texts and its folder; it is only read."""
    config, texts = BOTH[request.param]
    made, folder = latent(**config), tmp_path_factory.mktemp("model")
    made.save_pretrained(folder)
    return made, texts, folder


def test_its_files_are_a_pipelines(saved):
    made, _, folder = saved
    ours = {"config.json", "model.safetensors", "model_index.json"}
    assert files(folder) == PARTS | TEXT | ours
    assert equal(GenModel.from_pretrained(folder), made)


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_pipeline_of_diffusers_draws_the_same_from_the_same_seed(saved, guidance):
    made, texts, folder = saved
    pipe = theirs(folder, safety_checker=None)
    assert equal(pipe.unet, made.network.unet)
    assert equal(pipe.vae, made.autoencoder.vae)
    assert equal(pipe.text_encoder, made.embedder.encoder.clip)
    ours = sampled(made, texts, guidance)
    close(drawn(pipe, texts, guidance), ours)
    assert not torch.allclose(sampled(made, texts, guidance, seed=4), ours, atol=1e-2)
    assert not torch.allclose(sampled(made, texts[::-1], guidance), ours, atol=1e-3)


def test_a_negative_text_is_the_pipelines_negative_prompt(saved):
    made, texts, folder = saved
    away = texts[0].split()[-1]
    ours = sampled(made, texts, 2.0, negative_prompt=away)
    close(drawn(theirs(folder), texts, 2.0, negative_prompt=[away] * 2), ours)
    assert not torch.allclose(ours, sampled(made, texts, 2.0), atol=1e-3)


@pytest.mark.parametrize(
    ("schedule", "kind"),
    [
        ("linear", "epsilon"),
        ("scaled-linear", "sample"),
        ("cosine", "epsilon"),
        ("cosine", "sample"),
        ("zero-terminal-snr", "sample"),
        ("zero-terminal-snr", "v_prediction"),
    ],
)
def test_so_it_does_with_any_noise(tmp_path, schedule, kind):
    made = latent(**FITTED, schedule=schedule, prediction_type=kind)
    made.save_pretrained(tmp_path)
    ours = sampled(made, ["a circle"])
    close(drawn(theirs(tmp_path), ["a circle"]), ours)


def test_its_own_warnings_are_of_nothing_that_we_wrote(saved, recwarn):
    theirs(saved[2])
    assert not [w for w in recwarn if "outdated" in str(w.message)]


def test_images_that_a_pipeline_asks_to_be_multiples_of_8_are_drawn_of_given_noise(tmp_path):
    inner = {"event": Unit(shape=(1, 28, 28)).to_dict(), "channels": (4, 4, 8)}
    made = latent(inner, **FITTED, channels=(8,))
    made.save_pretrained(tmp_path)
    pipe = theirs(tmp_path)
    with pytest.raises(ValueError, match="divisible by 8"):
        drawn(pipe, ["a circle"])
    noise = torch.randn(1, 4, 7, 7, generator=torch.Generator().manual_seed(3))
    found = drawn(pipe, ["a circle"], latents=noise, height=32, width=32)
    assert found.shape == (1, 1, 28, 28)
    close(found, sampled(made, ["a circle"]))


# What is not a whole pipeline.


@pytest.mark.parametrize(
    "config", [{}, {"conditions": {"label": Label(num_classes=3)}}], ids=["none", "label"]
)
def test_without_a_text_there_are_the_parts(tmp_path, config):
    made = latent(**config)
    made.save_pretrained(tmp_path)
    assert files(tmp_path) == PARTS | {"config.json", "model.safetensors"}
    unet = UNet2DModel.from_pretrained(tmp_path, subfolder="unet")
    vae = AutoencoderKL.from_pretrained(tmp_path, subfolder="vae")
    assert equal(unet, made.network.unet)
    assert equal(vae, made.autoencoder.vae)
    assert vae.config.scaling_factor == made.latent_scale.item()
    config = DDIMScheduler.from_pretrained(tmp_path, subfolder="scheduler").config
    assert (config.clip_sample, config.prediction_type) == (False, "v_prediction")
    assert equal(GenModel.from_pretrained(tmp_path), made)


def test_images_of_real_values_have_the_parts_alone(tmp_path):
    made = latent({"event": Real(shape=(3, 16, 16)).to_dict()}, **FITTED)
    made.save_pretrained(tmp_path)
    assert files(tmp_path) == PARTS | TEXT | {"config.json", "model.safetensors"}


def test_texts_and_labels_have_the_parts_alone(tmp_path):
    """A pipeline gives no class."""
    made = latent(conditions={"text": Text(), "label": Label(num_classes=3)}, text=WORDS)
    made.save_pretrained(tmp_path)
    assert files(tmp_path) == PARTS | TEXT | {"config.json", "model.safetensors"}
    assert equal(GenModel.from_pretrained(tmp_path), made)


def test_a_frozen_encoder_is_its_own_repositorys(tmp_path):
    component = {"repo": "ada/bert", "commit": "0" * 40, "sha256": "0" * 64}
    frozen = {"component": component, "kind": "bert", "width": 8}
    made = latent(**OF_TEXT, frozen_text=frozen)
    made.save_pretrained(tmp_path)
    assert files(tmp_path) == PARTS | {"config.json", "model.safetensors"}
    unet = UNet2DConditionModel.from_pretrained(tmp_path, subfolder="unet")
    assert equal(unet, made.network.unet)


def test_of_a_flat_network_there_is_the_autoencoder_alone(tmp_path):
    made = create_model(
        "latent-ddpm", autoencoder={"name": "autoencoder-kl", "config": KL}, network="flat"
    )
    made.save_pretrained(tmp_path)
    found = {name for name in files(tmp_path) if "/" in name}
    assert found == {name for name in PARTS if name.startswith("vae/")}
    assert equal(GenModel.from_pretrained(tmp_path), made)


def test_an_autoencoder_alone_loads_as_one_of_diffusers(hub, tmp_path):
    made = create_model("autoencoder-kl", **KL).eval()
    made.save_pretrained(tmp_path)
    assert files(tmp_path) == {"config.json"} | {n for n in PARTS if n.startswith("vae/")}
    made.push_to_hub(REPOSITORY, samples=0)
    vae = AutoencoderKL.from_pretrained(REPOSITORY, subfolder="vae")
    assert equal(vae, made.vae)
    x = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(vae.encode(2 * x - 1).latent_dist.mean, made.encode(x))
    assert equal(GenModel.from_pretrained(REPOSITORY), made)


# Stored tokens, of every kind.


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"padding": "!"},
        {"lowered": ["<|startoftext|>", "<|endoftext|>"]},
        {"vocabulary": "\n".join([*reversed(vocabulary()[:-2]), *vocabulary()[-2:]])},
        {"unknown": "a", "end": "<|startoftext|>", "start": "<|endoftext|>"},
    ],
)
def test_the_tokenizer_that_is_saved_makes_the_same_tokens(tmp_path, values):
    images = {"event": Unit(shape=(1, 8, 8)), "channels": (8, 8), **OF_TEXT}
    stored = {"clip": CLIP, "tokenizer": {**PAIRS, **values}}
    made = create_model("ddpm", **images, stored_text=stored).eval()
    made.save_pretrained(tmp_path)
    assert files(tmp_path) >= TEXT
    assert not files(tmp_path) & {"model_index.json", "model.safetensors"}
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, subfolder="tokenizer")
    ids = tokenizer(TEXTS, padding="max_length", return_tensors="pt").input_ids
    assert torch.equal(ids, made.embedder.encoder.token_ids(TEXTS))
    encoder = CLIPTextModel.from_pretrained(tmp_path, subfolder="text_encoder")
    with torch.no_grad():
        assert torch.equal(encoder(ids)[0], made.signal(TEXTS, len(TEXTS)).tokens)
    assert equal(GenModel.from_pretrained(tmp_path), made)


# Others' pipelines, and the Hub.


def ddim(pipe):
    """Let a pipeline take the steps that are ours by default."""
    config = {"timestep_spacing": "trailing", "clip_sample": False, "set_alpha_to_one": True}
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, **config)
    return pipe


def test_a_pipeline_of_others_goes_round_through_ours(tmp_path):
    pipe = pipeline()
    pipe.save_pretrained(tmp_path / "first")
    GenModel.from_pretrained(tmp_path / "first").save_pretrained(tmp_path / "second")
    assert files(tmp_path / "second") == PARTS | TEXT | {"config.json", "model_index.json"}
    again = theirs(tmp_path / "second")
    for part in ("unet", "vae", "text_encoder"):
        assert equal(getattr(again, part), getattr(pipe, part))
        configs = [tmp_path / of / part / "config.json" for of in ("first", "second")]
        one, two = (json.loads(path.read_text()) for path in configs)
        assert one == two
    texts = ["the cat!", ""]
    assert torch.equal(drawn(again, texts, 7.5), drawn(ddim(pipe), texts, 7.5))
    (tmp_path / "second" / "config.json").unlink()
    found = GenModel.from_pretrained(tmp_path / "second")
    assert found.config == GenModel.from_pretrained(tmp_path / "first").config


@pytest.mark.parametrize("kind", BOTH)
def test_what_is_pushed_loads_in_diffusers_by_its_name(hub, kind):
    config, texts = BOTH[kind]
    made = latent(**config)
    made.push_to_hub(REPOSITORY, samples=0)
    pipe = theirs(REPOSITORY)
    assert equal(pipe.unet, made.network.unet)
    close(drawn(pipe, texts, 2.0), sampled(made, texts, 2.0))
    assert equal(GenModel.from_pretrained(REPOSITORY), made)


def test_a_pipeline_that_diffusers_pushed_is_ours_to_train_and_goes_back(hub, tmp_path):
    pipe = pipeline()
    pipe.save_pretrained(tmp_path / "pipe")
    api = HfApi()
    api.create_repo(REPOSITORY)
    api.upload_folder(repo_id=REPOSITORY, folder_path=tmp_path / "pipe")
    found, texts = GenModel.from_pretrained(REPOSITORY), ["the cat!", ""]
    close(sampled(found, texts, 7.5), drawn(ddim(pipe), texts, 7.5))
    data = load_dataset("shapes", num=120, side=16)
    wanted = [Component(name="two-sample", config={"extractor": "pixels"})]
    steps = DDIM(DDIMConfig(num_inference_steps=2))
    (figure,) = evaluate(found, data, wanted, sampler=steps).figures.values()
    assert 0 <= figure.value <= 1
    config = TrainerConfig(max_steps=1, batch_size=4, warmup_steps=0)
    trained = Trainer(found, data, "denoising", config).fit()
    trained.push_to_hub(REPOSITORY, samples=0)
    again = theirs(REPOSITORY)
    assert not equal(again.unet, pipe.unet)
    assert equal(again.unet, trained.network.unet)
    assert equal(again.vae, pipe.vae)
    close(drawn(again, texts), sampled(trained, texts))
