"""The denoiser of patches: how states are cut, what it is told, its config, and what is stored."""

import dataclasses

import pytest
import torch
from torch import nn

from genzoo import (
    ConfigError,
    DataInfo,
    GenModel,
    Label,
    Real,
    Text,
    Trainer,
    TrainerConfig,
    Unit,
    create_model,
    load_dataset,
)
from genzoo.testing import equal_states
from genzoo_diffusion.ddpm import DDPM, DDPMConfig
from genzoo_diffusion.latent_ddpm import LatentDDPM
from genzoo_diffusion.patch_transformer import PatchTransformer
from genzoo_diffusion.samplers import DDIM, DDIMConfig
from layouts import files
from models import LABELS, model, states

PATCHES = {"network": "transformer", "hidden_dim": 8, "num_layers": 2, "num_heads": 2}
IMAGE = {**PATCHES, "event": Unit(shape=(1, 4, 4)), "patch_size": 2}
WORDS = {"vocabulary": ["one", "two"], "width": 8, "num_layers": 1, "num_heads": 2}
BOTH = {"conditions": {**LABELS, "text": Text()}, "text": WORDS}
KL = {"event": Unit(shape=(1, 8, 8)).to_dict(), "channels": (4, 8), "latent_channels": 2}
VAE = {"event": Unit(shape=(1, 8, 8)).to_dict(), "latent_dim": 6, "hidden_dims": (8,)}


def network(shape, patch_size=None, **config):
    """The network of a model of data of a shape."""
    given = {**PATCHES, "event": Real(shape=shape), "patch_size": patch_size}
    return model({**given, **config}).network


def random(found):
    """The same, with all of the network's parameters at random."""
    torch.manual_seed(1)
    for parameter in found.network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return found


def drawn(found, num=4, **config):
    sampler = DDIM(DDIMConfig(num_inference_steps=3, **config))
    return found.sample(num, condition=1, seed=0, sampler=sampler)


# Patches


def test_patches_of_images_are_squares_from_left_to_right_and_down():
    x = torch.arange(2 * 3 * 4 * 6).view(2, 3, 4, 6)
    found = network((3, 4, 6), 2).patches(x)
    assert found.shape == (2, 6, 12)
    for index, (top, left) in enumerate([(0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4)]):
        expected = x[:, :, top : top + 2, left : left + 2].flatten(1)
        assert torch.equal(found[:, index], expected)


@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 3, 2, 1)])
def test_patches_of_other_states_are_consecutive_numbers(shape):
    x = torch.arange(24).view(2, *shape)
    assert network(shape, 3).patches(x).tolist() == x.view(2, 4, 3).tolist()


@pytest.mark.parametrize(
    ("shape", "patch"), [((3, 4, 6), 2), ((1, 6, 6), 3), ((2, 5, 5), 1), ((12,), 4), ((3, 4), 1)]
)
def test_the_patches_of_a_state_are_put_together_again(shape, patch):
    net, x = network(shape, patch), torch.randn(2, *shape)
    assert torch.equal(net.state(net.patches(x)).reshape(x.shape), x)
    t, signal = torch.tensor([0, 19]), model({**IMAGE}).signal(None, 2)
    assert net(x, t, signal).shape == x.shape


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 28, 28), 4),
        ((3, 64, 64), 8),
        ((1, 12, 8), 2),
        ((1, 40, 24), 4),
        ((4, 7, 7), 1),
        ((2, 4, 4), 1),
        ((1, 9, 9), 3),
        ((784,), 14),
        ((67,), 1),
        ((134,), 67),
        ((1, 31, 31), 1),
        ((4, 1, 1), 1),
    ],
)
def test_by_default_there_are_few_patches_but_not_one(shape, expected):
    assert DDPMConfig(event=Real(shape=shape), network="transformer").patch_size == expected


# What it is told


def test_it_predicts_zero_at_first():
    found = model({**IMAGE, **BOTH})
    told = found.signal({"label": 1, "text": "one"}, 2)
    assert found.predict(states(2, found), torch.tensor([3, 9]), told).abs().max() == 0


@pytest.mark.parametrize("features", ["sinusoidal", "fourier"])
def test_a_prediction_depends_on_state_time_label_and_text(features):
    found = random(model({**IMAGE, **BOTH}, time_features=features)).eval()
    x, t = states(2, found), torch.tensor([3, 3])

    def predicted(x=x, t=t, label=1, text="one"):
        return found.predict(x, t, found.signal({"label": label, "text": text}, 2))

    one = predicted()
    others = [
        predicted(x=2 * x),
        predicted(t=t + 1),
        predicted(label=2),
        predicted(label=-1),
        predicted(text="two"),
        predicted(text=""),
    ]
    assert min((one - other).abs().max() for other in others) > 1e-3


def test_labels_and_texts_make_a_difference_after_a_few_updates():
    """The first update moves the last layer only, which is 0 at first, the second one the rest."""
    found = model({**IMAGE, **BOTH})
    data = {"label": torch.arange(12) % 3, "text": ["one", "two", ""] * 4}
    optimizer = torch.optim.Adam(found.parameters(), lr=0.01)
    x, t = states(12, found), torch.arange(12)
    for _ in range(3):
        optimizer.zero_grad()
        (found.predict(x, t, found.signal(data, 12)) - 1 - x).square().mean().backward()
        optimizer.step()
    assert all(parameter.grad.abs().max() > 0 for parameter in found.network.parameters())
    given = [("one", 1), ("one", 2), ("two", 1), ("", 1), ("one", -1)]
    same = x[:1], t[:1]
    told = [found.signal({"text": text, "label": label}, 1) for text, label in given]
    first, *others = (found.predict(*same, one) for one in told)
    assert min((first - other).abs().max() for other in others) > 1e-6


def test_guidance_goes_from_the_prediction_without_a_condition():
    found = random(model(IMAGE, conditions=LABELS)).eval()
    plain, guided, none = (drawn(found, guidance_scale=s) for s in (1.0, 3.0, 0.0))
    assert not torch.equal(plain, guided)
    sampler = DDIM(DDIMConfig(num_inference_steps=3))
    assert torch.equal(found.sample(4, seed=0, sampler=sampler), none)


# Configs


def test_data_of_some_shape_get_a_transformer_that_is_asked_for():
    for space, patch in ((Unit(shape=(1, 28, 28), levels=256), 4), (Unit(shape=(1, 8, 8)), 2)):
        config = DDPM.configure(DataInfo(fields={"x": space}), network="transformer")
        assert (config.network, config.patch_size, config.hidden_dim) == ("transformer", patch, 64)
        assert config.prediction_type == "v_prediction"
        assert DDPM.default_stages(config)[0].objective.config == {"lr": 2e-3}
    points = DDPM.configure(DataInfo(fields={"x": Real(shape=(2,))}), network="transformer")
    assert (points.patch_size, points.prediction_type) == (1, "epsilon")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_heads": 3}, r"num_heads = 3 must divide hidden_dim = 8\. Change one"),
        ({"patch_size": 3}, r"patch_size = 3 must divide height and width of a state, got 4 × 4"),
        ({"event": Real(shape=(7,))}, r"must divide the number of values of a state, got 7\."),
        (
            {"event": Real(shape=(1, 512, 512)), "patch_size": 1},
            r"at most 16,384 are allowed, and patch_size = 1 makes 262,144\. Give a larger one",
        ),
        ({"unet": {"sample_size": 4}}, "unet is for images without a condition"),
        ({"patch_size": 0}, "patch_size"),
        ({"mlp_ratio": 0}, "mlp_ratio"),
    ],
)
def test_a_config_that_makes_no_transformer_is_refused(config, said):
    with pytest.raises(ConfigError, match=said):
        model({**IMAGE, **config})


def test_heads_do_not_concern_other_networks():
    assert DDPMConfig(event=Real(shape=(3,)), hidden_dim=7, num_heads=2).patch_size is None


def test_samples_are_drawn_in_blocks_by_the_widest_layer():
    small, large = (
        create_model(
            "ddpm", event=Unit(shape=(1, 4 * k, 4 * k)), network="transformer", patch_size=1
        )
        for k in (2, 4)
    )
    assert small.network.widest == 64 * 4 * 128
    assert (small.default_batch_size, large.default_batch_size) == (64, 16)


# What is stored


def test_it_is_stored_in_the_plain_layout(tmp_path):
    found = random(model({**IMAGE, **BOTH}))
    found.save_pretrained(tmp_path)
    assert files(tmp_path) == {"config.json", "model.safetensors"}
    loaded = GenModel.from_pretrained(tmp_path)
    assert loaded.config == found.config
    assert not equal_states(loaded.state_dict(), found.state_dict())
    told = {"label": 1, "text": "two"}
    first, second = (m.sample(2, condition=told, seed=0) for m in (found, loaded))
    torch.testing.assert_close(second, first, atol=1e-5, rtol=1e-5)


# Codes


@pytest.mark.parametrize(
    ("inner", "shape"),
    [
        ({"name": "autoencoder-kl", "config": KL}, (2, 4, 4)),
        ({"name": "vae", "config": VAE}, (6,)),
    ],
    ids=["images", "flat"],
)
def test_it_denoises_codes(inner, shape, tmp_path):
    given = {**PATCHES, "num_train_timesteps": 20, "schedule": "cosine"}
    given["conditions"] = {"label": Label(num_classes=10)}
    found = create_model("latent-ddpm", autoencoder=inner, **given)
    assert isinstance(found.network, PatchTransformer)
    assert (found.config.latent_shape, found.config.patch_size) == (shape, 1)
    before = {name: value.clone() for name, value in found.network.state_dict().items()}
    stage = dataclasses.replace(LatentDDPM.default_stages(found.config)[1], trainer={})
    few = TrainerConfig(max_steps=3, batch_size=4, progress=False, threads=1)
    Trainer(found, load_dataset("digits", limit=64), stage, few).fit()
    assert set(equal_states(before, found.network.state_dict())) >= {"output.weight"}
    assert not torch.equal(drawn(found, guidance_scale=1.0), drawn(found, guidance_scale=4.0))
    found.save_pretrained(tmp_path)
    loaded = GenModel.from_pretrained(tmp_path)
    torch.testing.assert_close(drawn(loaded), drawn(found), atol=1e-5, rtol=1e-5)
