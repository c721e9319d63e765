"""The parts of a StableDiffusionPipeline that diffusers has built and saved, in our terms."""

import json

import diffusers
import pytest
import torch
import transformers
from packaging.version import Version
from safetensors.torch import load_file
from transformers import CLIPTokenizer

from clip_pieces import LENGTH, TEXTS, pipeline, scheduler, text_model, tokenizer, unet, vocabulary
from genzoo import (
    Component,
    ConfigError,
    GenModel,
    Trainer,
    TrainerConfig,
    create_model,
    evaluate,
    load_dataset,
)
from genzoo.plugin import ConfigFileError
from genzoo_diffusion import stable_diffusion
from genzoo_diffusion.byte_pairs import BytePairsConfig, make_tokenizer
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.diffusers_schedulers import OF_NOISE, noise
from genzoo_diffusion.diffusers_text import TEXT_WEIGHTS, stored_text
from genzoo_diffusion.latent_ddpm import LatentDDPM
from genzoo_diffusion.samplers import DDIM, DDIMConfig
from genzoo_diffusion.schedule import make_schedule
from genzoo_diffusion.stable_diffusion import autoencoder, denoiser, latent_shape

KIND = stable_diffusion.STABLE_DIFFUSION
UNET_WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pipeline as diffusers saves it; it is only read."""
    path = tmp_path_factory.mktemp("pipe")
    pipeline().save_pretrained(path)
    return path


def real(shape):
    return {"name": "real", "config": {"shape": shape}}


def read(folder, **changed):
    """Return what the core gives a format of a folder."""
    found = {name: json.loads((folder / name).read_text()) for name in KIND.configs}
    found |= {name: (folder / name).read_text() for name in KIND.texts if (folder / name).exists()}
    for name, values in changed.items():
        path = next(path for path in KIND.configs if path.startswith(name))
        found[path] = found[path] | values
    return found


def model(folder):
    """Return the denoiser alone, over latents, with the pipeline's weights."""
    found = read(folder)
    made = create_model("ddpm", event=real(latent_shape(found)), **denoiser(found))
    made.network.unet.load_state_dict(load_file(folder / UNET_WEIGHTS))
    made.embedder.encoder.clip.load_state_dict(load_file(folder / TEXT_WEIGHTS))
    return made


# The whole.


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_latents_are_the_pipelines_from_the_same_seed(tmp_path, guidance, prediction):
    """Stable Diffusion's DDIM: times 901, 801, …, 1 of 1000, and a last step to ᾱ_0."""
    steps = scheduler(
        diffusers.DDIMScheduler,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )
    pipe = pipeline(steps)
    pipe.save_pretrained(tmp_path)
    drawn = pipe(
        ["the cat!", ""],
        num_inference_steps=10,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(3),
        output_type="latent",
    ).images
    config = DDIMConfig(
        num_inference_steps=10,
        timestep_spacing="leading",
        steps_offset=1,
        set_alpha_to_one=False,
        guidance_scale=guidance,
    )
    texts, found = ["the cat!", ""], model(tmp_path)
    ours = found.sample(2, condition=texts, seed=3, sampler=DDIM(config))
    scale = drawn.abs().max()
    torch.testing.assert_close(ours / scale, drawn / scale, atol=1e-5, rtol=0)
    for other in ({"set_alpha_to_one": True}, {"steps_offset": 0}):
        off = DDIM(DDIMConfig.from_dict(config.to_dict() | other))
        off = found.sample(2, condition=texts, seed=3, sampler=off)
        assert not torch.allclose(off / scale, drawn / scale, atol=1e-4)


LIKE_THEIRS = DDIMConfig(
    num_inference_steps=10,
    timestep_spacing="leading",
    steps_offset=1,
    set_alpha_to_one=False,
    guidance_scale=7.5,
)


def test_pictures_are_the_pipelines_from_the_same_seed(tmp_path):
    steps = scheduler(
        diffusers.DDIMScheduler, clip_sample=False, set_alpha_to_one=False, steps_offset=1
    )
    pipe = pipeline(steps)
    pipe.save_pretrained(tmp_path)
    noise_ = torch.Generator().manual_seed(3)
    drawn = pipe(["the cat!", ""], num_inference_steps=10, generator=noise_, output_type="pt")
    found = GenModel.from_pretrained(tmp_path)
    ours = found.sample(2, condition=["the cat!", ""], seed=3, sampler=DDIM(LIKE_THEIRS))
    assert found.event_shape == ours.shape[1:] == (3, 16, 16)
    torch.testing.assert_close(ours, drawn.images, atol=1e-4, rtol=0)
    other = found.sample(2, condition="of", seed=3, sampler=DDIM(LIKE_THEIRS))
    assert not torch.allclose(ours, other, atol=1e-3)


def test_it_is_evaluated_fine_tuned_and_saved_as_ours(folder, tmp_path):
    found = GenModel.from_pretrained(folder)
    assert not found.needs_data_init()
    before = {name: value.clone() for name, value in found.state_dict().items()}
    data = load_dataset("shapes", num=120, side=16)
    wanted = [Component(name="two-sample", config={"extractor": "pixels"})]
    (figure,) = evaluate(found, data, wanted, sampler=DDIM(LIKE_THEIRS)).figures.values()
    assert 0 <= figure.value <= 1
    *_, denoising = LatentDDPM.default_stages(LatentDDPM.example()[0])
    config = TrainerConfig(max_steps=2, batch_size=4, warmup_steps=0)
    trained = Trainer(found, data, denoising, config, output_dir=tmp_path / "run").fit()
    moved = {k.split(".")[0] for k, v in trained.state_dict().items() if not v.equal(before[k])}
    assert moved == {"network"}
    again = GenModel.from_pretrained(tmp_path / "run")
    pictures = [
        m.sample(1, condition="the cat", seed=0, sampler=DDIM(LIKE_THEIRS))
        for m in (again, trained)
    ]
    assert torch.equal(*pictures)


# The text encoder.


def test_a_tokenizer_is_read_of_either_layout(folder, tmp_path):
    whole = stored_text(read(folder))
    assert whole["tokenizer"]["vocabulary"] == ""
    tokens = vocabulary()
    found = read(folder)
    merges = [" ".join(m) for m in tokenizer()._merges]
    del found["tokenizer/tokenizer.json"]
    found["tokenizer/vocab.json"] = json.dumps({token: i for i, token in enumerate(tokens)})
    found["tokenizer/merges.txt"] = "#version: 0.2\n" + "\n".join(merges) + "\n"
    assert stored_text(found) == whole
    tok = make_tokenizer(BytePairsConfig.from_dict(whole["tokenizer"]))
    for text in TEXTS:
        assert tok(text).input_ids == pipeline_tokenizer(folder)(text).input_ids


def pipeline_tokenizer(folder):
    return CLIPTokenizer.from_pretrained(folder / "tokenizer")


def in_lower_case(token):
    """Return a token as older versions of transformers note it."""
    flags = dict.fromkeys(("lstrip", "rstrip", "single_word"), False)
    return {"__type": "AddedToken", "content": token, "normalized": True, **flags}


NEWER = Version("5.18")
"""Of transformers; older ones are known to read such tokens otherwise."""

SETTINGS = {
    "tokenizer_class": "CLIPTokenizer",
    "model_max_length": LENGTH,
    "bos_token": "<|startoftext|>",
    **dict.fromkeys(("eos_token", "unk_token", "pad_token"), "<|endoftext|>"),
}


@pytest.mark.parametrize("layout", ["two", "whole", "whole, in lower case"])
@pytest.mark.parametrize(
    "special",
    [
        {"pad_token": "!"},
        {k: in_lower_case(SETTINGS[k]) for k in ("bos_token", "eos_token", "unk_token")},
        {"added_tokens_decoder": {"524": in_lower_case(SETTINGS["bos_token"])}},
    ],
)
def test_special_tokens_are_transformers_own(folder, tmp_path, special, layout):
    if layout == "two" and "eos_token" in special and Version(transformers.__version__) < NEWER:
        pytest.skip("Older versions take special tokens for themselves in capitals too.")
    whole = json.loads((folder / "tokenizer" / "tokenizer.json").read_text())
    if layout == "two":
        merges = "\n".join(map(" ".join, whole["model"]["merges"]))
        vocab = json.dumps(whole["model"]["vocab"])
        files = {"vocab.json": vocab, "merges.txt": f"#version: 0.2\n{merges}\n"}
    else:
        added = [t | {"normalized": layout != "whole"} for t in whole["added_tokens"]]
        files = {"tokenizer.json": json.dumps(whole | {"added_tokens": added})}
    files["tokenizer_config.json"] = json.dumps(SETTINGS | special)
    (tmp_path / "tokenizer").mkdir()
    for name, text in files.items():
        (tmp_path / "tokenizer" / name).write_text(text)
    found = {k: v for k, v in read(folder).items() if not k.startswith("tokenizer/")}
    found |= {f"tokenizer/{name}": text for name, text in files.items()}
    found["tokenizer/tokenizer_config.json"] = SETTINGS | special
    tok = make_tokenizer(BytePairsConfig.from_dict(stored_text(found)["tokenizer"]))
    theirs = pipeline_tokenizer(tmp_path)
    for text in [*TEXTS, "a cat!", "<|ENDOFTEXT|> a"]:
        ids = [t([text], padding="max_length", max_length=LENGTH).input_ids for t in (tok, theirs)]
        assert ids[0] == ids[1]


def test_a_vocabulary_in_another_order_is_kept(tmp_path):
    tokens = [*reversed(vocabulary()[:-2]), *vocabulary()[-2:]]
    parts = {"tokenizer": tokenizer(tokens), "text_encoder": text_model()}
    pipeline(**parts).save_pretrained(tmp_path)
    found = stored_text(read(tmp_path))["tokenizer"]
    assert found["vocabulary"].split("\n") == tokens
    tok = make_tokenizer(BytePairsConfig.from_dict(found))
    assert tok("the cat").input_ids == tokenizer(tokens)("the cat").input_ids


def changed(text, **values):
    return json.dumps(json.loads(text) | values)


def test_tokenizers_of_other_kinds_are_refused_by_name(folder):
    found = read(folder)
    whole = found["tokenizer/tokenizer.json"]
    added = json.loads(whole)["added_tokens"]
    model_ = json.loads(whole)["model"]
    bad = {
        "an additional token": changed(whole, added_tokens=[*added, {"content": "<new>"}]),
        "has no byte pairs": changed(whole, model={"type": "WordLevel"}),
        "merges must be a list": changed(whole, model=model_ | {"merges": {}}),
        "a merge is not a pair": changed(whole, model=model_ | {"merges": [["a"]]}),
        "must give each token a number": changed(whole, model=model_ | {"vocab": ["a"]}),
        "are not consecutive from 0": changed(whole, model=model_ | {"vocab": {"a": 1}}),
        "cannot be read": "{",
        "must hold an object": "[]",
        "has more parts": "[" * 2**18,
        "matches more than itself": changed(whole, added_tokens=[added[0] | {"lstrip": True}]),
    }
    for why, text in bad.items():
        with pytest.raises(ConfigFileError, match=why):
            stored_text(found | {"tokenizer/tokenizer.json": text})
    del found["tokenizer/tokenizer.json"]
    with pytest.raises(ConfigFileError, match=r"neither a tokenizer/vocab\.json"):
        stored_text(found)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"text_encoder": {"model_type": "t5"}}, "has the kind 't5'; clip_text_model is"),
        ({"text_encoder": {"dropout": 0.5}}, "has no field 'dropout'"),
        ({"text_encoder": {"no_such": 0.5}}, "has no field 'no_such'"),
        ({"tokenizer": {"bos_token": 3}}, "bos_token cannot be 3"),
        ({"tokenizer": {"model_max_length": None}}, "max_length must be a whole number"),
        (
            {"tokenizer": {"added_tokens_decoder": {"9": {"content": "<x>"}}}},
            "an additional token",
        ),
        ({"unet": {"addition_embed_type": "text"}}, "addition_embed_type 'text' asks for more"),
        ({"unet": {"class_embed_type": "timestep"}}, "class_embed_type 'timestep' asks for more"),
        ({"unet": {"encoder_hid_dim_type": "text_proj"}}, "encoder_hid_dim_type"),
        ({"unet": {"time_cond_proj_dim": 4}}, "time_cond_proj_dim"),
        ({"unet": {"attention_type": "gated"}}, "attention_type"),
        ({"unet": {"cross_attention_dim": 12}}, "cross_attention_dim is 12; the text's states"),
        ({"unet": {"cross_attention_dim": []}}, "lists need one entry for each level"),
        ({"unet": {"no_such": 1}}, "UNet2DConditionModel has no field 'no_such'"),
        ({"unet": {"in_channels": 9}}, "must have equal channels"),
        ({"scheduler": {"prediction_type": "flow_prediction"}}, "'flow_prediction' is not supp"),
        ({"scheduler": {"beta_schedule": "laplace"}}, "'laplace' is not supported"),
        ({"scheduler": {"rescale_betas_zero_snr": True}}, "rescale_betas_zero_snr True is not"),
        ({"scheduler": {"trained_betas": [0.1]}}, "trained_betas"),
        ({"scheduler": {"beta_start": None}}, "beta_start is missing"),
    ],
)
def test_parts_of_other_kinds_are_refused_by_name(folder, values, why):
    found = read(folder, **values)
    with pytest.raises((ConfigError, ConfigFileError), match=why):
        create_model("ddpm", event=real(latent_shape(found)), **denoiser(found))


# Network and noise.


def test_a_unet_of_texts_by_its_config_predicts_as_diffusers_own(folder):
    theirs, ours = unet(), model(folder)
    x, t, text = torch.randn(2, 4, 8, 8), torch.tensor([3, 700]), torch.randn(2, LENGTH, 8)
    with torch.no_grad():
        found = ours.predict(x, t, Signal(tokens=text))
        assert torch.equal(found, theirs(x, t, encoder_hidden_states=text).sample)
    with pytest.raises(ConfigError, match="needs a signal with tokens"):
        ours.predict(x, t, Signal())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", OF_NOISE)
def test_every_schedulers_noise_is_its_own(tmp_path, name):
    """1e-6: diffusers has ᾱ in float32."""
    made = scheduler(getattr(diffusers, name))
    made.save_pretrained(tmp_path)
    found = noise(json.loads((tmp_path / "scheduler_config.json").read_text()))
    assert (found["schedule"], found["prediction_type"]) == ("scaled-linear", "epsilon")
    ours = make_schedule("scaled-linear", 1000, found["beta_start"], found["beta_end"]).alpha_bar
    theirs = made.alphas_cumprod.double()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_the_autoencoders_config_is_kept_with_its_scale(folder):
    found = autoencoder(read(folder))
    assert found["autoencoder"]["scaling_factor"] == 0.18215
    assert found["event"] == {"name": "unit", "config": {"shape": [3, 16, 16]}}
    made = diffusers.AutoencoderKL(**found["autoencoder"])
    weights = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    made.load_state_dict(weights)


# Which parts there are.


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, None),
        ({"feature_extractor": ["transformers", "CLIPImageProcessor"]}, None),
        ({"tokenizer": ["transformers", "CLIPTokenizerFast"]}, None),
        (
            {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]},
            "save the pipeline with safety_checker=None",
        ),
        (
            {"image_encoder": ["transformers", "CLIPVisionModelWithProjection"]},
            "Images as conditions",
        ),
        ({"controlnet": ["diffusers", "ControlNetModel"]}, "A part of that name is not"),
        ({"unet": ["mine", "UNet2DConditionModel"]}, "unet is"),
        ({"vae": ["diffusers", "AsymmetricAutoencoderKL"]}, "AutoencoderKL of diffusers is"),
        ({"scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"]}, "scheduler is"),
        ({"text_encoder": [None, None]}, "text_encoder is"),
    ],
)
def test_parts_are_looked_at_by_name(folder, values, why):
    marker = json.loads((folder / "model_index.json").read_text()) | values
    if why is None:
        KIND.check(marker)
        return
    with pytest.raises(ConfigFileError, match=why):
        KIND.check(marker)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"vae": {"scaling_factor": None}}, "scaling_factor is missing"),
        ({"vae": {"block_out_channels": 8}}, "block_out_channels cannot be 8"),
        ({"vae": {"block_out_channels": [8] * 10**4}}, "block_out_channels cannot be"),
        ({"unet": {"sample_size": [8, 10.5]}}, "sample_size cannot be"),
        ({"unet": {"sample_size": None}}, "a size is needed"),
    ],
)
def test_an_autoencoder_that_does_not_fit_is_refused(folder, values, why):
    with pytest.raises(ConfigFileError, match=why):
        KIND.translate(read(folder, **values))
