"""What is saved and pushed is diffusers': its pipelines draw the same, its parts say the same."""

import json

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DConditionModel, UNet2DModel
from safetensors.torch import load_file
from transformers import AutoTokenizer, CLIPTextModel

from genzoo import GenModel, Label, Real, Text
from genzoo.pretrained.inspecting import inspect
from genzoo_diffusion.diffusers_layout import scheduler_of
from layouts import equal, files
from models import FLAT, IMAGE, labelled, model

REPOSITORY = "ada/ours"
STEPS = 20
UNET = "unet/diffusion_pytorch_model.safetensors"
PIPELINE = {"config.json", "model_index.json", "scheduler/scheduler_config.json"}
PIPELINE |= {"unet/config.json", UNET}
WORDS = {"vocabulary": ["a", "red", "circle", "can't"], "max_length": 6, "width": 16}
TEXTS = ["A red circle, blue", "", "can't a <pad> <start>"]
CHAINS = [
    {"schedule": "linear", "beta_end": 0.6},
    {"schedule": "linear", "beta_end": 0.6, "prediction_type": "sample"},
    {"schedule": "linear", "beta_end": 0.6, "prediction_type": "v_prediction"},
    {"schedule": "scaled-linear", "beta_end": 0.8},
    {"schedule": "cosine"},
    {"schedule": "cosine", "variance_type": "fixed_large"},
    {"schedule": "cosine", "prediction_type": "sample"},
    {"schedule": "cosine", "prediction_type": "v_prediction"},
    {"schedule": "zero-terminal-snr", "beta_end": 0.6, "prediction_type": "sample"},
    {"schedule": "zero-terminal-snr", "beta_end": 0.6, "prediction_type": "v_prediction"},
]


def image(**config):
    return model({**IMAGE, **config}).eval()


def told(**config):
    """Return a model of texts whose weights are large enough that a text makes a difference."""
    made = image(**{"conditions": {"text": Text()}, "text": WORDS, **config})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def quiet(pipe):
    pipe.set_progress_bar_config(disable=True)
    return pipe


def drawn(pipe, num, seed, steps=STEPS):
    generator = torch.Generator().manual_seed(seed)
    # Older versions of this pipeline have no "pt".
    found = pipe(num, generator, num_inference_steps=steps, output_type="np").images
    return torch.from_numpy(found).permute(0, 3, 1, 2)


# A pipeline.


@pytest.mark.parametrize("chain", CHAINS)
def test_a_pipeline_of_diffusers_draws_the_same_from_the_same_seed(tmp_path, chain):
    ours = image(**chain)
    ours.save_pretrained(tmp_path)
    assert files(tmp_path) == PIPELINE
    pipe = quiet(DDPMPipeline.from_pretrained(tmp_path))
    assert equal(pipe.unet, ours.network.unet)
    samples = ours.sample(3, seed=5)
    assert not torch.allclose(ours.sample(3, seed=6), samples, atol=1e-2)
    torch.testing.assert_close(drawn(pipe, 3, 5), samples, atol=1e-4, rtol=0)
    # All that is between them are ᾱ, which diffusers has in float32.
    pipe.scheduler.alphas_cumprod = ours.schedule.alpha_bar
    assert torch.equal(drawn(pipe, 3, 5), samples)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "zero-terminal-snr"])
def test_its_schedule_is_ours_over_a_thousand_times(schedule):
    ours = image(schedule=schedule, num_train_timesteps=1000, prediction_type="sample")
    theirs = scheduler_of(ours).alphas_cumprod
    torch.testing.assert_close(theirs.double(), ours.schedule.alpha_bar, atol=5e-7, rtol=0)


def test_what_it_writes_is_what_diffusers_writes(tmp_path):
    ours = image()
    ours.save_pretrained(tmp_path / "ours")
    DDPMPipeline.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    for name in sorted(files(tmp_path / "theirs") - {UNET}):
        first, second = (
            json.loads((tmp_path / of / name).read_text()) for of in ("ours", "theirs")
        )
        second.pop("_name_or_path", None)
        assert first == second, name
    mine, other = (load_file(tmp_path / of / UNET) for of in ("ours", "theirs"))
    assert mine.keys() == other.keys()


@pytest.mark.parametrize("chain", CHAINS)
def test_without_our_config_it_loads_as_the_pipeline_that_it_is(tmp_path, chain):
    ours = image(**chain)
    ours.save_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    theirs = GenModel.from_pretrained(tmp_path)
    assert equal(theirs, ours)
    assert torch.equal(theirs.sample(2, seed=0), ours.sample(2, seed=0))


def test_a_pipeline_of_others_goes_round_through_ours(tmp_path):
    sizes = {"sample_size": 8, "in_channels": 1, "out_channels": 1, "norm_num_groups": 2}
    blocks = {"down_block_types": ("AttnDownBlock2D",), "up_block_types": ("AttnUpBlock2D",)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet2DModel(**sizes, **blocks, block_out_channels=(8,), freq_shift=1, norm_eps=1e-6)
    scheduler = DDPMScheduler(
        STEPS, beta_schedule="squaredcos_cap_v2", variance_type="fixed_large"
    )
    pipe = quiet(DDPMPipeline(unet.eval(), scheduler))
    pipe.save_pretrained(tmp_path / "first")
    GenModel.from_pretrained(tmp_path / "first").save_pretrained(tmp_path / "second")
    again = quiet(DDPMPipeline.from_pretrained(tmp_path / "second"))
    assert equal(again.unet, unet)
    configs = [(tmp_path / of / "unet/config.json").read_text() for of in ("first", "second")]
    assert json.loads(configs[0]) == json.loads(configs[1])
    assert torch.equal(drawn(again, 2, 3), drawn(pipe, 2, 3))
    assert GenModel.from_pretrained(tmp_path / "second").config.unet["norm_eps"] == 1e-6


def test_images_that_are_real_have_the_parts_alone(tmp_path):
    image(event=Real(shape=(1, 4, 4))).save_pretrained(tmp_path)
    assert files(tmp_path) == PIPELINE - {"model_index.json"}
    assert not DDPMScheduler.from_pretrained(tmp_path, subfolder="scheduler").config.clip_sample


def test_flat_networks_stay_in_the_plain_layout(tmp_path):
    model(FLAT).save_pretrained(tmp_path)
    assert files(tmp_path) == {"config.json", "model.safetensors"}


# Conditions.


def test_the_unet_of_labels_predicts_the_same(tmp_path):
    ours = labelled(IMAGE).eval()
    ours.save_pretrained(tmp_path)
    assert files(tmp_path) == PIPELINE - {"model_index.json"}
    unet = UNet2DModel.from_pretrained(tmp_path, subfolder="unet")
    x, t, labels = torch.randn(3, 1, 4, 4), torch.tensor([0, 7, 19]), torch.arange(3)
    with torch.no_grad():
        theirs = unet(x, t, class_labels=labels).sample
        assert torch.equal(theirs, ours.predict(x, t, ours.signal(labels, 3)))


def test_encoder_and_tokenizer_make_the_same_states_and_the_unet_predicts_the_same(tmp_path):
    ours = told()
    ours.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, subfolder="tokenizer")
    ids = tokenizer(TEXTS, padding="max_length", return_tensors="pt").input_ids
    assert torch.equal(ids, ours.embedder.encoder.token_ids(TEXTS))
    encoder, said = CLIPTextModel.from_pretrained(
        tmp_path, subfolder="text_encoder", output_loading_info=True
    )
    assert not any(said.values())
    unet = UNet2DConditionModel.from_pretrained(tmp_path, subfolder="unet")
    x, t = torch.randn(3, 1, 4, 4), torch.tensor([0, 7, 19])
    with torch.no_grad():
        states, signal = encoder(input_ids=ids).last_hidden_state, ours.signal(TEXTS, 3)
        assert torch.equal(states, signal.tokens)
        assert not torch.allclose(states[0], states[1], atol=1e-2)
        theirs = unet(x, t, encoder_hidden_states=states).sample
        assert torch.equal(theirs, ours.predict(x, t, signal))


def test_a_unet_of_texts_and_labels_predicts_the_same(tmp_path):
    """The last of its classes is that of no label."""
    ours = told(conditions={"text": Text(), "label": Label(num_classes=3)})
    ours.save_pretrained(tmp_path)
    assert files(tmp_path) >= {UNET, "text_encoder/model.safetensors"}
    assert "model_index.json" not in files(tmp_path)
    unet = UNet2DConditionModel.from_pretrained(tmp_path, subfolder="unet")
    x, t, labels = torch.randn(3, 1, 4, 4), torch.tensor([0, 7, 19]), torch.tensor([0, 2, 3])
    with torch.no_grad():
        told_ = ours.signal({"text": TEXTS, "label": torch.tensor([0, 2, -1])}, 3)
        theirs = unet(x, t, encoder_hidden_states=told_.tokens, class_labels=labels).sample
        assert torch.equal(theirs, ours.predict(x, t, told_))
    assert equal(GenModel.from_pretrained(tmp_path), ours)


def test_a_model_of_texts_loads_back_bit_equal_from_files_of_theirs_alone(tmp_path):
    ours = told()
    ours.save_pretrained(tmp_path)
    assert files(tmp_path) >= {UNET, "text_encoder/model.safetensors", "tokenizer/tokenizer.json"}
    assert not files(tmp_path) & {"model.safetensors", "model_index.json"}
    assert equal(GenModel.from_pretrained(tmp_path), ours)


def test_half_precision_is_said_where_transformers_asks(tmp_path):
    told().half().save_pretrained(tmp_path)
    assert json.loads((tmp_path / "text_encoder/config.json").read_text())["dtype"] == "float16"
    encoder = CLIPTextModel.from_pretrained(tmp_path, subfolder="text_encoder", dtype="auto")
    assert encoder.dtype == torch.float16


# The Hub.


def test_what_is_pushed_loads_in_diffusers_by_its_name(hub):
    ours = image()
    ours.push_to_hub(REPOSITORY)
    assert set(hub.files(REPOSITORY)) >= PIPELINE
    pipe = quiet(DDPMPipeline.from_pretrained(REPOSITORY))
    torch.testing.assert_close(drawn(pipe, 3, 5), ours.sample(3, seed=5), atol=1e-4, rtol=0)
    assert equal(UNet2DModel.from_pretrained(REPOSITORY, subfolder="unet"), ours.network.unet)
    assert equal(GenModel.from_pretrained(REPOSITORY), ours)
    assert inspect(REPOSITORY).weights.num_bytes() == sum(
        tensor.nbytes for tensor in ours.state_dict().values()
    )


def test_the_parts_of_a_model_of_texts_load_from_the_hub(hub):
    ours = told()
    ours.push_to_hub(REPOSITORY, samples=0)
    unet = UNet2DConditionModel.from_pretrained(REPOSITORY, subfolder="unet")
    encoder = CLIPTextModel.from_pretrained(REPOSITORY, subfolder="text_encoder")
    tokenizer = AutoTokenizer.from_pretrained(REPOSITORY, subfolder="tokenizer")
    assert equal(unet, ours.network.unet)
    assert equal(encoder, ours.embedder.encoder.clip)
    ids = tokenizer(TEXTS, padding="max_length", return_tensors="pt").input_ids
    assert torch.equal(ids, ours.embedder.encoder.token_ids(TEXTS))
