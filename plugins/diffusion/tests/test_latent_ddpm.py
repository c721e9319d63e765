"""Diffusion over codes: against diffusion over the data, its scale, its stages, its errors."""

import dataclasses
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from genzoo import (
    CapabilityError,
    ConfigError,
    DataInfo,
    GenModel,
    Label,
    Real,
    Recipe,
    Stage,
    Text,
    Trainer,
    TrainerConfig,
    Unit,
    create_model,
    load_dataset,
    register,
    train,
)
from genzoo.plugin import ConditionSpaces, Config, GenerativeModel, ModelSpec, Space, Step
from genzoo.testing import capabilities_of, equal_states
from genzoo_diffusion.latent_ddpm import LatentDDPM, LatentDDPMConfig
from genzoo_diffusion.objectives import VLB, Denoising
from genzoo_diffusion.samplers import DDIM, DDIMConfig, DDPMConfig, DDPMSampler
from models import model as ddpm

SMALL = {"hidden_dim": 8, "num_blocks": 2, "num_train_timesteps": 20, "schedule": "cosine"}
KL = {"event": Unit(shape=(1, 8, 8)).to_dict(), "channels": (4, 8), "latent_channels": 2}
IMAGE = {"num_train_timesteps": 20, "schedule": "cosine", "channels": (8,)}
X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
UNIT = DataInfo(fields={"x": Unit(shape=(1, 8, 8))})
PICTURES = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True, kw_only=True)
class AffineConfig(Config):
    """z = factor · x."""

    event: Space = field(default_factory=lambda: Real(shape=(3,)))
    conditions: ConditionSpaces = field(default_factory=dict)
    factor: float = 1.0
    depth: int = 0


class Encoder(GenerativeModel):
    """A toy that encodes; no model of the registry, for it cannot be drawn from."""

    Config = AffineConfig
    event_spaces = (Real, Unit)
    condition_spaces = (Label,)

    def __init__(self, config):
        super().__init__(config)
        self.unused = nn.Parameter(torch.zeros(1))
        if config.depth:
            inner = {"depth": config.depth - 1}
            self.inner = ModelSpec(name="toy-affine-codes", config=inner).build()

    @classmethod
    def example(cls):
        return AffineConfig(), {"x": X}

    @classmethod
    def default_stages(cls, config):
        return ()

    @classmethod
    def default_sampler(cls, config):
        raise NotImplementedError

    @property
    def codes(self):
        return Real(shape=self.event_shape)

    def encode(self, x, *, condition=None):
        return self.config.factor * x

    def draw_codes(self, x, *, condition=None, generator):
        return self.encode(x, condition=condition)


class Affine(Encoder):
    """A toy that encodes and decodes."""

    def decode(self, z, *, condition=None):
        return z / self.config.factor


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    from genzoo import registry

    for name, cls in (("toy-affine-codes", Affine), ("toy-encoder", Encoder)):
        if name not in registry.names("models"):
            register("models", name)(cls)


def over_toy(seed=0, **config):
    """A latent model over a toy's codes."""
    given = {name: config.pop(name) for name in ("factor", "event") if name in config}
    return latent("toy-affine-codes", given, seed, **{**SMALL, **config})


def over_images(seed=0, inner=None, **config):
    return latent("autoencoder-kl", {**KL, **(inner or {})}, seed, **{**IMAGE, **config})


def latent(name, inner, seed=0, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_model("latent-ddpm", autoencoder={"name": name, "config": inner}, **config)


def twin(model, **config):
    """A `ddpm` of the same network over the data themselves."""
    found = ddpm(seed=5, **{**SMALL, **config})
    found.network.load_state_dict(model.network.state_dict())
    return found


# Against diffusion over the data


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_over_codes_that_are_the_data_it_is_the_ddpm(kind):
    model = over_toy(prediction_type=kind)
    other = twin(model, prediction_type=kind)
    assert torch.equal(model.sample(4, seed=1), other.sample(4, seed=1))
    sampler = DDIM(DDIMConfig(num_inference_steps=5))
    assert torch.equal(
        model.sample(4, sampler=sampler, seed=1), other.sample(4, sampler=sampler, seed=1)
    )
    (a,) = Denoising(model).losses({"x": X}, step())
    (b,) = Denoising(other).losses({"x": X}, step())
    assert torch.equal(a.value, b.value)


def test_it_denoises_scaled_codes():
    model = over_toy(factor=4.0).double()
    model.latent_scale.fill_(0.5)
    (loss,) = Denoising(model).losses({"x": X.double()}, step())
    generator = torch.Generator().manual_seed(1)
    t = torch.randint(20, (6,), generator=generator)
    epsilon = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    ab = model.schedule.alpha_bar[t][:, None]
    x_t = ab.sqrt() * (0.5 * 4 * X.double()) + (1 - ab).sqrt() * epsilon
    error = model.network(x_t, t, model.signal(None, 6)) - epsilon
    torch.testing.assert_close(loss.value, error.square().mean(), rtol=0, atol=1e-6)


def step():
    return Step(0, 10, 0, torch.Generator().manual_seed(1))


# Units


def test_the_scale_is_one_over_the_standard_deviation_of_the_codes():
    model = over_images()
    assert model.needs_data_init()
    x = torch.cat([PICTURES] * 40)  # More rows than are encoded at once.
    model.init_from_data({"x": x}, UNIT)
    with torch.no_grad():
        z = model.autoencoder.eval().encode(PICTURES)
    torch.testing.assert_close(model.latent_scale, 1 / z.std(correction=0))
    torch.testing.assert_close(model.state(PICTURES).std(correction=0), torch.tensor(1.0))
    assert not model.needs_data_init()


def test_codes_that_are_all_the_same_have_no_scale():
    with pytest.raises(ConfigError, match="standard deviation of the autoencoder's codes is 0"):
        over_toy().init_from_data(
            {"x": torch.ones(5, 3)}, DataInfo(fields={"x": Real(shape=(3,))})
        )


@torch.no_grad()
def test_states_are_presented_as_the_autoencoder_gives_them_back():
    model = over_images()
    model.latent_scale.fill_(3.0)
    codes = model.autoencoder.eval().encode(PICTURES)
    torch.testing.assert_close(model.state(PICTURES), 3 * codes)
    expected = model.autoencoder.decode(codes)
    torch.testing.assert_close(model.to_data(model.state(PICTURES)), expected)
    exact = over_toy(factor=4.0)
    torch.testing.assert_close(exact.to_data(exact.state(X)), X)


def test_encoding_takes_no_gradient_no_dropout_and_leaves_the_mode_as_it_was():
    model = over_images(prediction_type="v_prediction").train()
    assert not model.state(PICTURES).requires_grad
    assert all(module.training for module in model.modules())
    seen = []
    model.autoencoder.encode = lambda x: seen.append(model.autoencoder.vae.training) or x
    with pytest.raises(ConfigError, match=r"shape \(1, 8, 8\); latent_shape says \(2, 4, 4\)"):
        model.state(PICTURES)
    assert seen == [False]


def test_codes_are_not_kept_in_bounds():
    model = over_toy()
    model.network.forward = lambda x_t, t, signal: torch.full_like(x_t, -9.0)
    for clip in (True, False):
        sampler = DDPMSampler(DDPMConfig(clip_sample=clip, num_inference_steps=2))
        assert model.sample(2, seed=0, sampler=sampler).abs().max() > 2


# Shapes


def test_the_shape_of_codes_chooses_the_network_and_is_stored():
    flat, image = over_toy(event=Real(shape=(5,)).to_dict()), over_images()
    assert (flat.config.latent_shape, flat.config.network) == ((5,), "flat")
    assert (image.config.latent_shape, image.config.network) == ((2, 4, 4), "image")
    assert image.event_shape == (1, 8, 8)
    assert image.state_shape == (2, 4, 4)
    assert image.sample(2, seed=0).shape == (2, 1, 8, 8)
    assert LatentDDPMConfig.from_dict(image.config.to_dict()).latent_shape == (2, 4, 4)


def test_a_stored_one_is_loaded_as_it_was(tmp_path):
    model = over_images()
    model.init_from_data({"x": PICTURES}, UNIT)
    model.save_pretrained(tmp_path)
    loaded = GenModel.from_pretrained(tmp_path)
    assert not equal_states(model.state_dict(), loaded.state_dict())
    assert not loaded.needs_data_init()
    assert torch.equal(model.sample(2, seed=0), loaded.sample(2, seed=0))


def test_it_has_no_likelihood_and_no_bound():
    assert capabilities_of(LatentDDPM) == ["DataInit"]
    with pytest.raises(CapabilityError, match="needs a model that is a DDPM; LatentDDPM is not"):
        VLB(over_toy())


# Training


def fit(model, stages=None, data=None, **values):
    given = {"max_steps": 2, "batch_size": 4, "progress": False, "threads": 1, **values}
    return Trainer(model, PICTURES if data is None else data, stages, TrainerConfig(**given)).fit()


def changed(model, **new):
    names = equal_states(over_images(**new).state_dict(), model.state_dict())
    return {name.partition(".")[0] for name in names}


def test_each_stage_trains_its_part():
    first, second = LatentDDPM.default_stages(LatentDDPM.example()[0])
    assert changed(fit(over_images(), first)) == {"autoencoder"}
    assert changed(fit(over_images(), second)) == {"network", "latent_scale", "data_seen"}


def test_the_scale_is_that_of_the_trained_and_averaged_autoencoder():
    model = fit(over_images(), ema_decay=0.5)
    with torch.no_grad():
        z = model.autoencoder.eval().encode(PICTURES)
    torch.testing.assert_close(model.latent_scale, 1 / z.std(correction=0))


def test_a_trained_autoencoder_is_taken_and_left_as_it_is():
    trained = create_model("autoencoder-kl", **KL)
    model = over_images()
    model.autoencoder.load_state_dict(trained.state_dict())
    fit(model, "denoising", ema_decay=0.5)
    assert not equal_states(trained.state_dict(), model.autoencoder.state_dict())
    with torch.no_grad():
        z = trained.eval().encode(PICTURES)
    torch.testing.assert_close(model.latent_scale, 1 / z.std(correction=0))


def test_a_recipe_with_captions_makes_a_small_stable_diffusion(tmp_path):
    stages = [
        dataclasses.replace(s, trainer={}).to_dict()
        for s in LatentDDPM.default_stages(LatentDDPM.example()[0])
    ]
    text = {"width": 8, "num_layers": 1, "num_heads": 2}
    inner = {"channels": [4, 8], "latent_channels": 2}
    recipe = Recipe.from_dict(
        {
            "model": {
                "name": "latent-ddpm",
                "config": {
                    **IMAGE,
                    "conditions": ["text"],
                    "text": text,
                    "autoencoder": {"name": "autoencoder-kl", "config": inner},
                },
            },
            "data": {"name": "digits", "config": {"captions": True, "limit": 64}},
            "stages": stages,
            "trainer": {"max_steps": 2, "batch_size": 8, "seed": 1, "warmup_steps": 0},
        }
    )
    assert Recipe.from_dict(recipe.to_dict()).stages == recipe.stages
    trained = train(recipe, tmp_path / "run")
    assert trained.config.text.vocabulary
    assert trained.config.latent_shape == (2, 4, 4)
    written = Recipe.read(tmp_path / "run" / "recipe.toml")
    assert [(s.model, s.part) for s in written.stages] == [
        ("autoencoder", ""),
        (None, ("network", "embedder")),
    ]
    loaded = GenModel.from_pretrained(tmp_path / "run")
    sampler = DDIM(DDIMConfig(num_inference_steps=3, guidance_scale=2.0))
    text = load_dataset("digits", captions=True).head(2)["text"]
    x = loaded.sample(2, condition=text, sampler=sampler, seed=0)
    assert torch.equal(x, trained.sample(2, condition=text, sampler=sampler, seed=0))
    assert x.shape == (2, 1, 8, 8)


def test_a_config_that_fits_the_data_fits_the_autoencoder_too():
    info = load_dataset("digits").info
    config = LatentDDPM.configure(info, autoencoder={"name": "autoencoder-kl", "config": {}})
    assert config.autoencoder.config["event"] == info["x"].relaxed().to_dict()
    assert config.event == info["x"].relaxed()
    assert "event" not in config.to_dict()
    LatentDDPM(LatentDDPM.configure(info)).check_data(info)


def test_its_event_is_its_autoencoders_and_is_known_without_a_model():
    config = LatentDDPMConfig(autoencoder=ModelSpec(name="autoencoder-kl", config=KL))
    assert config.event == Unit(shape=(1, 8, 8))
    again = dataclasses.replace(config, hidden_dim=8)
    assert again.event == config.event
    assert again != config
    inner = {"name": "latent-ddpm", "config": config.to_dict()}
    deep = LatentDDPMConfig(autoencoder={"name": "latent-ddpm", "config": {"autoencoder": inner}})
    with pytest.raises(ConfigError, match="nested 3 deep; 2 are allowed"):
        _ = deep.event


# What is refused


def test_a_model_that_cannot_decode_is_refused():
    with pytest.raises(ConfigError, match="encode and decode; Encoder is not a SupportsDecode"):
        latent("toy-encoder", {}, **SMALL)


def test_a_model_that_is_no_autoencoder_at_all_is_refused():
    with pytest.raises(ConfigError, match="DDPM is not a SupportsEncode and no SupportsDecode"):
        latent("ddpm", {"event": Real(shape=(3,)).to_dict()}, **SMALL)


def test_an_autoencoder_with_a_condition_is_refused():
    label = {"label": Label(num_classes=3).to_dict()}
    with pytest.raises(ConfigError, match="must not have a condition; this Affine has a label"):
        latent("toy-affine-codes", {"conditions": label}, **SMALL)


def test_models_nested_too_deep_are_refused():
    latent("toy-affine-codes", {"depth": 1}, **SMALL)
    with pytest.raises(ConfigError, match="nested 3 deep; 2 are allowed"):
        latent("toy-affine-codes", {"depth": 2}, **SMALL)


def test_codes_that_are_no_images_are_drawn_by_a_text_too(tmp_path):
    model = over_toy(conditions={"text": Text()}, text={"vocabulary": ["a", "b"], "width": 8})
    a, b = (model.sample(2, condition=text, seed=0) for text in ("a", "b"))
    assert not torch.equal(a, b)
    model.save_pretrained(tmp_path / "model")
    loaded = GenModel.from_pretrained(tmp_path / "model")
    assert torch.equal(loaded.sample(2, condition="b", seed=0), b)


def test_codes_that_cannot_be_halved_are_refused():
    with pytest.raises(ConfigError, match="must be multiples of 8, got 4 × 4"):
        over_images(channels=(8, 8, 8, 8))


def test_an_objective_of_another_autoencoder_says_what_it_is_for():
    first, _ = LatentDDPM.default_stages(LatentDDPM.example()[0])
    with pytest.raises(CapabilityError, match=r"a AutoencoderKL; Affine is not\.$"):
        fit(over_toy(), Stage.from_dict({**first.to_dict(), "trainer": {}}), data=X)
