"""The conformance suite over VAEs of categories: images without padding, texts with it."""

import pytest
import torch

import genzoo
from genzoo import Categorical, Label, registry
from genzoo.testing import CHECKS
from genzoo.testing.suites import run_one
from genzoo_vae.discrete_vae import DiscreteVAE, DiscreteVAEConfig
from genzoo_vae.vae import VAE, VAEConfig

IMAGES = Categorical(shape=(1, 2, 2), num_categories=3)
WORDS = Categorical(shape=(4,), num_categories=3, names=("a", "b", ""))


class OfImages(VAE):
    """A conditional `vae` whose example has categories."""

    @classmethod
    def example(cls):
        label = {"label": Label(num_classes=3)}
        config = VAEConfig(event=IMAGES, latent_dim=2, hidden_dims=(6,), conditions=label)
        x, _ = IMAGES.reference(12, torch.Generator().manual_seed(0))
        return config, {"x": x, "label": torch.arange(12) % 3}


class OfWords(DiscreteVAE):
    """A `discrete-vae` whose example has texts that end, and a model as its prior."""

    @classmethod
    def example(cls):
        config = DiscreteVAEConfig(
            event=WORDS, latent_dim=3, hidden_dims=(6,), prior={"name": "made"}
        )
        x, _ = WORDS.reference(12, torch.Generator().manual_seed(0))
        return config, {"x": x}


TAKEN = [
    (check, model)
    for check in CHECKS
    for model in ("fake-of-images", "fake-of-words")
    # Categories have no filters; test_categories.py tests what is said.
    if (check.__name__, model) != ("check_filters", "fake-of-words")
]


@pytest.fixture
def registered(monkeypatch):
    """The models under names, for one test."""
    monkeypatch.setattr(registry, "_local", dict(registry._local))
    genzoo.register("models", "fake-of-images")(OfImages)
    genzoo.register("models", "fake-of-words")(OfWords)


@pytest.mark.parametrize(
    ("check", "model"), TAKEN, ids=[f"{check.__name__}-{model}" for check, model in TAKEN]
)
def test_vaes_of_categories_pass_the_suite(check, model, registered):
    run_one(check, model)
