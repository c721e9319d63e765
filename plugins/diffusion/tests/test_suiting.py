"""Defaults that follow from the data: rules for any data, not for a dataset."""

import pytest

from genzoo import DataInfo, Real, Unit
from genzoo_diffusion.autoencoder_kl import AutoencoderKL
from genzoo_diffusion.ddpm import DDPM
from genzoo_diffusion.latent_ddpm import LatentDDPM

GREY = Unit(shape=(1, 28, 28), levels=256)
SHAPES = [
    (Real(shape=(2,)), "flat", 128),
    (Real(shape=(13,)), "flat", 256),
    (Unit(shape=(1, 8, 8), levels=17), "flat", 256),
    (GREY, "image", (16, 32, 64)),
    (Unit(shape=(3, 32, 32), levels=256), "image", (16, 32, 64, 64)),
    (Real(shape=(1, 30, 17)), "image", (16,)),
]


def info(space):
    return DataInfo(fields={"x": space})


@pytest.mark.parametrize(("space", "network", "width"), SHAPES)
def test_a_network_fits_the_data(space, network, width):
    config = DDPM.configure(info(space))
    assert config.network == network
    assert (config.hidden_dim if network == "flat" else config.channels) == width


def test_the_noise_is_the_papers_in_the_plane_and_the_cosine_schedule_elsewhere():
    plane, image = (DDPM.configure(info(space)) for space in (Real(shape=(2,)), GREY))
    assert (plane.schedule, plane.prediction_type, plane.num_train_timesteps) == (
        "linear",
        "epsilon",
        1000,
    )
    assert (image.schedule, image.prediction_type, image.num_train_timesteps) == (
        "cosine",
        "v_prediction",
        250,
    )
    assert DDPM.configure(info(GREY), beta_end=0.08).schedule == "linear"


def test_what_is_given_is_kept_and_the_rest_fits_it():
    small = info(Unit(shape=(1, 8, 8)))
    assert DDPM.configure(small, channels=(8, 8)).network == "image"
    assert DDPM.configure(small, network="flat", hidden_dim=32).hidden_dim == 32
    assert DDPM.configure(info(GREY), network="flat").network == "flat"


def test_an_image_is_halved_while_each_part_of_it_keeps_a_place():
    shapes = {(1, 8, 8): (16, 32), (1, 28, 28): (16, 32, 32), (3, 64, 64): (16, 32, 32)}
    found = {s: AutoencoderKL.configure(info(Unit(shape=s))).channels for s in shapes}
    assert found == shapes


def test_codes_of_small_images_get_the_network_of_small_images():
    small, large = (LatentDDPM.configure(info(s)) for s in (Unit(shape=(1, 8, 8)), GREY))
    assert (small.network, small.hidden_dim, small.schedule) == ("flat", 256, "cosine")
    assert (large.network, large.channels, large.schedule) == (None, (64,), "cosine")


def test_predictions_of_the_data_are_weighted_by_the_noise():
    flat, image = (
        DDPM.default_stages(DDPM.configure(info(space)))[0].objective.config
        for space in (Unit(shape=(1, 8, 8)), GREY)
    )
    assert flat == {"lr": 2e-3, "weighting": "min-snr"}
    assert image == {"lr": 1e-3}
