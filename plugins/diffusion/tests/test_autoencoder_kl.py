"""The autoencoder of images: its codes, its objective, and diffusers' configs."""

import pytest
import torch

from genzoo import (
    Binary,
    Component,
    ConfigError,
    DataError,
    DataInfo,
    Real,
    Stage,
    Trainer,
    TrainerConfig,
    Unit,
    create_model,
    load_dataset,
)
from genzoo.plugin import Step
from genzoo_diffusion.autoencoder_kl import AutoencoderKL
from genzoo_diffusion.autoencoding import Autoencoding, AutoencodingConfig

IMAGE = {"event": Unit(shape=(1, 8, 8)), "channels": (4, 8, 8), "latent_channels": 3}
X = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def model(seed=0, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_model("autoencoder-kl", **{**IMAGE, **config}).eval()


def test_codes_are_images_of_fewer_pixels():
    assert model().latent_shape == (3, 2, 2)
    assert model(channels=(4, 8), latent_channels=1).latent_shape == (1, 4, 4)
    assert tuple(model().encode(X).shape) == (6, 3, 2, 2)


@torch.no_grad()
def test_a_code_is_the_posteriors_mean_of_images_seen_from_minus_one_to_one():
    found = model()
    moments = found.vae.quant_conv(found.vae.encoder(2 * X - 1))
    torch.testing.assert_close(found.encode(X), moments[:, :3])
    assert torch.equal(found.encode(X), found.encode(X))


@torch.no_grad()
def test_codes_are_draws_from_the_posterior():
    """20,000 draws: mean and deviation within five standard errors."""
    found, num = model(), 20_000
    z = found.draw_codes(
        X[:1].expand(num, *X.shape[1:]), generator=torch.Generator().manual_seed(0)
    )
    found.codes.require(z, "The model")
    q = found.posterior(found.scaled(X[:1]))
    assert bool(((z.mean(0) - q.mean).abs() < 5 * q.std / num**0.5).all())
    assert bool(((z.std(0) / q.std - 1).abs() < 5 / (2 * num) ** 0.5).all())


@torch.no_grad()
def test_what_is_decoded_is_in_the_units_of_the_data():
    unit, z = model(), 5 * torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    raw = unit.vae.decode(z).sample
    torch.testing.assert_close(unit.decode(z), ((raw + 1) / 2).clamp(0, 1))
    torch.testing.assert_close(model(event=Real(shape=(1, 8, 8))).decode(z), raw)


def test_the_loss_is_the_error_and_the_kl_of_a_drawn_code_over_the_number_of_values():
    found, beta = model().double(), 0.3
    objective = Autoencoding(found, AutoencodingConfig(kl_weight=beta))
    step = Step(0, 10, 0, torch.Generator().manual_seed(1))
    (loss,) = objective.losses({"x": X.double()}, step)
    mean, log_variance = found.vae.quant_conv(found.vae.encoder(2 * X.double() - 1)).chunk(2, 1)
    noise = torch.randn(
        6, 3, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    decoded = found.vae.decode(mean + (log_variance / 2).exp() * noise).sample
    error = (2 * X.double() - 1 - decoded).square().flatten(1).sum(1)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)
    torch.testing.assert_close(loss.value, ((error + beta * kl) / 64).mean())
    torch.testing.assert_close(loss.metrics["kl"], kl.mean())


def test_the_loss_is_a_bound_times_its_factor():
    """−ELBO of N(x̂, σ² I) is D / 2σ² times the loss at β = 2σ², and D/2 log 2πσ²."""
    found, variance = model().double(), 0.05
    step = Step(0, 10, 0, torch.Generator().manual_seed(1))
    objective = Autoencoding(found, AutoencodingConfig(kl_weight=2 * variance))
    (loss,) = objective.losses({"x": X.double()}, step)
    posterior = found.posterior(2 * X.double() - 1)
    noise = torch.randn(
        6, 3, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    mean = found.reconstruct(posterior.mean + posterior.std * noise)
    likelihood = torch.distributions.Normal(mean, variance**0.5).log_prob(2 * X.double() - 1)
    elbo = (likelihood.flatten(1).sum(1) - posterior.kl()).mean()
    constant = 32 * torch.log(torch.tensor(2 * torch.pi * variance, dtype=torch.float64))
    torch.testing.assert_close(-elbo, 64 / (2 * variance) * loss.value + constant)


def test_learning_digits_brings_them_back():
    """Their own mean image leaves an error of 0.07 a pixel; 150 updates come below 0.03."""
    data = load_dataset("digits")
    found = model(channels=(8, 8), latent_channels=4).train()
    stage = Stage(objective=Component(name="autoencoding", config={"lr": 3e-3}))
    values = {"max_steps": 150, "batch_size": 32, "progress": False, "threads": 1}
    Trainer(found, data, stage, TrainerConfig(**values)).fit()
    x = load_dataset("digits", "test").head(100)["x"]
    with torch.no_grad():
        back = found.decode(found.encode(x))
    assert (x - x.mean(0)).square().mean() > 0.06
    assert (back - x).square().mean() < 0.03


def test_samples_are_decoded_normal_codes():
    found = model()
    z = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(found.sample(5, seed=3), found.decode(z))


def test_a_config_of_diffusers_is_taken_as_it_is():
    fields = {
        "in_channels": 1,
        "out_channels": 1,
        "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
        "block_out_channels": [4, 8],
        "norm_num_groups": 2,
        "latent_channels": 5,
        "use_quant_conv": False,
    }
    found = model(autoencoder=fields)
    assert found.latent_shape == (5, 4, 4)
    assert found.vae.quant_conv is None
    with pytest.raises(ConfigError, match="AutoencoderKL has no field 'latents'"):
        model(autoencoder={**fields, "latents": 3})
    with pytest.raises(ConfigError, match="cannot be 1000000000000"):
        model(autoencoder={**fields, "latent_channels": 10**12})
    with pytest.raises(
        ConfigError, match=r"images of 1 channels, and returns 1; the images of the event have 3"
    ):
        model(autoencoder=fields, event=Unit(shape=(3, 8, 8)))


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"event": Unit(shape=(64,))}, "not for examples of shape"),
        ({"event": Unit(shape=(1, 6, 8))}, "must be multiples of 4, got 6 × 8"),
        ({"channels": ()}, "channels"),
        ({"latent_channels": 0}, "latent_channels"),
    ],
)
def test_what_it_is_not_for_is_refused(config, why):
    with pytest.raises(ConfigError, match=why):
        model(**config)


def test_the_config_follows_the_kind_of_the_data():
    shape = (1, 8, 8)
    for event in (Unit(shape=shape, levels=17), Unit(shape=shape), Binary(shape=shape)):
        info = DataInfo(fields={"x": event})
        config = AutoencoderKL.configure(info)
        assert config.event == event.relaxed()
        found = AutoencoderKL(config)
        found.check_data(info)
        assert found.is_bounded
        assert torch.equal(found.scaled(X), 2 * X - 1)
        if isinstance(event, Unit):  # No decoder meets a level exactly.
            assert found.encode(found.decode(found.encode(X[:1]))).shape == (1, 4, 4, 4)
    real = DataInfo(fields={"x": Real(shape=shape)})
    found = AutoencoderKL(AutoencoderKL.configure(real))
    assert torch.equal(found.scaled(X), X)
    assert not found.is_bounded
    with pytest.raises(DataError, match="these data do not fit: they are finite numbers"):
        model().check_data(real)
