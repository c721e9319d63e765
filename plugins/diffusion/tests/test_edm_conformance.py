"""The conformance suite over models of EDM: a U-Net, fully connected layers, and codes."""

import pytest
import torch

import genzoo
from edm_models import KARRAS
from genzoo import Label, Real, registry
from genzoo.plugin import ModelSpec
from genzoo.testing import CHECKS
from genzoo.testing.suites import run_one
from genzoo_diffusion.autoencoder_kl import AutoencoderKL
from genzoo_diffusion.ddpm import DDPM, DDPMConfig
from genzoo_diffusion.latent_ddpm import LatentDDPM, LatentDDPMConfig

CHAIN = {**KARRAS, "num_train_timesteps": 5, "conditions": {"label": Label(num_classes=3)}}


def rows(*shape):
    x = torch.randn(12, *shape, generator=torch.Generator().manual_seed(0))
    return {"x": x, "label": torch.arange(12) % 3}


class OfImages(DDPM):
    """A `ddpm` of EDM whose example is a U-Net."""

    @classmethod
    def example(cls):
        return DDPMConfig(event=Real(shape=(1, 4, 4)), channels=(8, 8), **CHAIN), rows(1, 4, 4)


class OfPoints(DDPM):
    """A `ddpm` of EDM whose example has fully connected layers."""

    @classmethod
    def example(cls):
        config = DDPMConfig(event=Real(shape=(3,)), hidden_dim=8, num_blocks=1, **CHAIN)
        return config, rows(3)


class OfCodes(LatentDDPM):
    """A `latent-ddpm` of EDM."""

    @classmethod
    def example(cls):
        inner, batch = AutoencoderKL.example()
        autoencoder = ModelSpec(name="autoencoder-kl", config=inner.to_dict())
        config = LatentDDPMConfig(autoencoder=autoencoder, channels=(8, 8), **CHAIN)
        return config, {**batch, "label": torch.arange(12) % 3}


MODELS = {"fake-images": OfImages, "fake-points": OfPoints, "fake-codes": OfCodes}


@pytest.fixture
def registered(monkeypatch):
    """The models under their names, for one test."""
    monkeypatch.setattr(registry, "_local", dict(registry._local))
    for name, cls in MODELS.items():
        genzoo.register("models", name)(cls)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("check", CHECKS, ids=[check.__name__ for check in CHECKS])
def test_a_model_of_edm_passes_the_suite(check, name, registered):
    run_one(check, name)
