"""The conformance suite over a model of texts; the example of `ddpm` is one of labels.

What no text affects, and what takes long, is left to that one.
"""

import pytest
import torch

import genzoo
from genzoo import Real, Text, registry
from genzoo.testing import CHECKS
from genzoo.testing.suites import run_one
from genzoo_diffusion.ddpm import DDPM, DDPMConfig

TOLD = (
    "check_condition",
    "check_builds_empty",
    "check_save_load",
    "check_samples",
    "check_samples_are_independent",
    "check_trajectory",
    "check_loss_is_a_mean",
    "check_losses_move_their_player",
    "check_resume_is_exact",
    "check_autocast",
    "check_likelihood",
    "check_inpainting",
    "check_empty_batches",
)
TEXTS = ("one", "two", "a two")


class OfTexts(DDPM):
    """A `ddpm` whose example is given texts."""

    @classmethod
    def example(cls):
        config = DDPMConfig(
            event=Real(shape=(1, 4, 4)),
            channels=(8, 8),
            num_train_timesteps=5,
            schedule="cosine",
            conditions={"text": Text()},
            text={"vocabulary": ["a", "one", "two"], "width": 8, "num_layers": 1, "num_heads": 2},
        )
        x = torch.randn(12, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        return config, {"x": x, "text": [TEXTS[i % 3] for i in range(12)]}


@pytest.fixture
def registered(monkeypatch):
    """The model under a name, for one test."""
    monkeypatch.setattr(registry, "_local", dict(registry._local))
    genzoo.register("models", "fake-of-texts")(OfTexts)


@pytest.mark.parametrize("name", TOLD)
def test_a_model_of_texts_passes_the_suite(name, registered):
    (check,) = (check for check in CHECKS if check.__name__ == name)
    run_one(check, "fake-of-texts")
