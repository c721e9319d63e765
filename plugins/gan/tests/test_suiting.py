"""Defaults that follow from the data: rules for any data, not for a dataset."""

import pytest

from genzoo import Categorical, DataInfo, Real, Unit
from genzoo_gan.bigan import BiGAN
from genzoo_gan.gan import GAN

GREY, COLOUR = Unit(shape=(1, 28, 28), levels=256), Unit(shape=(3, 32, 32), levels=256)
FITTED = [
    (Real(shape=(2,)), ("flat", 2, (128, 128, 128), False)),
    (Real(shape=(13,)), ("flat", 13, (256, 256), False)),
    (Unit(shape=(1, 8, 8)), ("flat", 64, (256, 256), False)),
    (Real(shape=(3, 15, 40)), ("flat", 64, (256, 256), False)),
    (GREY, ("convolutional", 64, (64, 32), True)),
    (COLOUR, ("convolutional", 64, (128, 64, 32), True)),
    (Categorical(shape=(2,), num_categories=3), ("flat", 6, (128, 128, 128), False)),
    (Categorical(shape=(12,), num_categories=27), ("flat", 64, (256, 256), False)),
    (
        Categorical(shape=(1, 28, 28), num_categories=4),
        ("convolutional", 64, (64, 32), True),
    ),
    (Unit(shape=(3, 128, 64)), ("convolutional", 64, (256, 128, 64, 32), True)),
]


def configured(space, **given):
    config = GAN.configure(DataInfo(fields={"x": space}), **given)
    return config.network, config.latent_dim, config.hidden_dims, config.batch_norm


@pytest.mark.parametrize(("space", "expected"), FITTED)
def test_a_generator_fits_the_data(space, expected):
    assert configured(space) == expected


def test_what_is_given_is_kept_and_the_rest_fits_it():
    assert configured(GREY, network="flat") == ("flat", 64, (256, 256), False)
    assert configured(GREY, hidden_dims=(300,)) == ("flat", 64, (300,), False)
    small = configured(GREY, network="residual", latent_dim=8, batch_norm=True)
    assert small == ("residual", 8, (64, 32), True)


@pytest.mark.parametrize(
    ("shape", "latent_dim", "rate"),
    [((1, 8, 8), 10, 3e-3), ((2,), 2, 3e-3), ((1,), 1, 3e-3), ((1, 28, 28), 64, 5e-4)],
)
def test_codes_that_are_inferred_are_short_and_their_game_is_its_own(shape, latent_dim, rate):
    config = BiGAN.configure(DataInfo(fields={"x": Unit(shape=shape)}))
    assert config.latent_dim == latent_dim
    (stage,) = BiGAN.default_stages(config)
    assert stage.objective.config["lr"] == rate
