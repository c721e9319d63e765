"""The conformance suite over a model whose network is a transformer, given labels and texts."""

import pytest
import torch

import genzoo
from genzoo import Label, Real, Text, registry
from genzoo.testing import CHECKS
from genzoo.testing.suites import run_one
from genzoo_diffusion.ddpm import DDPM, DDPMConfig

TEXTS = ("one", "two", "a two")
# A text of the data needs words, which this check does not give.
TAKEN = [check for check in CHECKS if check.__name__ != "check_spaces"]


class OfPatches(DDPM):
    """A `ddpm` whose example is a transformer."""

    @classmethod
    def example(cls):
        config = DDPMConfig(
            event=Real(shape=(1, 4, 4)),
            network="transformer",
            hidden_dim=8,
            num_layers=2,
            num_heads=2,
            patch_size=2,
            num_train_timesteps=5,
            schedule="cosine",
            conditions={"label": Label(num_classes=3), "text": Text()},
            text={"vocabulary": ["a", "one", "two"], "width": 8, "num_layers": 1, "num_heads": 2},
        )
        x = torch.randn(12, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        texts = [TEXTS[i % 3] for i in range(12)]
        return config, {"x": x, "label": torch.arange(12) % 3, "text": texts}


@pytest.fixture
def registered(monkeypatch):
    """The model under a name, for one test."""
    monkeypatch.setattr(registry, "_local", dict(registry._local))
    genzoo.register("models", "fake-of-patches")(OfPatches)


@pytest.mark.parametrize("check", TAKEN, ids=[check.__name__ for check in TAKEN])
def test_a_transformer_passes_the_suite(check, registered):
    run_one(check, "fake-of-patches")
