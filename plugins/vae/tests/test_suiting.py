"""Defaults that follow from the data: rules for any data, not for a dataset."""

import pytest

from genzoo import Binary, DataInfo, Real, Unit
from genzoo_vae.vae import VAE

SPACES = [
    (Unit(shape=(1, 8, 8)), 3),
    (Binary(shape=(1, 28, 28)), 20),
    (Unit(shape=(3, 32, 32)), 20),
    (Real(shape=(2,)), 2),
    (Real(shape=(50,)), 2),
]


@pytest.mark.parametrize(("space", "size"), SPACES)
def test_a_code_fits_the_size_of_the_data(space, size):
    assert VAE.configure(DataInfo(fields={"x": space})).latent_dim == size


def test_a_given_size_is_kept():
    assert VAE.configure(DataInfo(fields={"x": Real(shape=(2,))}), latent_dim=7).latent_dim == 7
