"""Games of categories: a law with strong dependence is learned, and the suite passes."""

import pytest
import torch

import genzoo
from genzoo import (
    ArrayDataset,
    Categorical,
    Component,
    DataInfo,
    Label,
    Stage,
    Trainer,
    TrainerConfig,
    create_model,
    registry,
)
from genzoo.testing import CHECKS
from genzoo.testing.suites import run_one
from genzoo_gan.conditional import ConditionalGAN, ConditionalGANConfig
from genzoo_gan.gan import GAN, GANConfig

PAIRS = Categorical(shape=(2,), num_categories=3)
WORDS = Categorical(shape=(4,), num_categories=3, names=("a", "b", ""))
LAW = torch.full((3, 3), 0.1 / 6)
LAW[torch.arange(3), (torch.arange(3) + 1) % 3] = 0.3
"""Pairs whose second category follows from the first in nine of ten."""


def law_of(model):
    """Return the model's probabilities of pairs, a mean over 20,000 codes."""
    with torch.no_grad():
        z = model.latent(20_000, torch.Generator().manual_seed(7))
        p = model.outputs(z).view(-1, 3, 2).softmax(1)
    return (p[:, :, None, 0] * p[:, None, :, 1]).mean(0)


def distance(model):
    """Return the total variation distance to the law of the data."""
    return 0.5 * (law_of(model) - LAW).abs().sum().item()


def test_a_game_learns_pairs_that_depend_on_each_other():
    """Total variation .57 for the product of the marginals, at most .1 after 800 updates."""
    torch.manual_seed(0)
    index = torch.multinomial(LAW.flatten(), 5000, replacement=True)
    x = torch.stack([index // 3, index % 3], 1)
    product = LAW.sum(1)[:, None] * LAW.sum(0)
    assert 0.5 * (product - LAW).abs().sum() > 0.56
    model = create_model("gan", event=PAIRS, latent_dim=2, hidden_dims=(32, 32))
    assert distance(model) > 0.4
    config = {"lr": 2e-3, "critic_lr": 4e-3, "r1": 0.1}
    settings = TrainerConfig(
        max_steps=800, batch_size=128, ema_decay=0.99, lr_scheduler="linear", progress=False
    )
    data = ArrayDataset(x, DataInfo(fields={"x": PAIRS}), "pairs")
    Trainer(
        model, data, Stage(objective=Component(name="non-saturating", config=config)), settings
    ).fit()
    assert distance(model) < 0.1


# The conformance suite

TOLD = (
    "check_condition",
    "check_builds_empty",
    "check_save_load",
    "check_samples",
    "check_seed_and_blocks",
    "check_samples_are_independent",
    "check_sampling_leaves_model",
    "check_trajectory",
    "check_loss_is_a_mean",
    "check_losses_move_their_player",
    "check_accumulation",
    "check_processes",
    "check_resume_is_exact",
    "check_average_is_published",
    "check_float64",
    "check_autocast",
    "check_broken_weights",
    "check_broken_states",
    "check_empty_batches",
    "check_decode",
    "check_decode_space",
)
"""Without the checks that no space affects: of imports, names and bounds."""


class OfPairs(GAN):
    """A `gan` whose example has categories."""

    @classmethod
    def example(cls):
        config = GANConfig(event=PAIRS, latent_dim=2, hidden_dims=(6,))
        return config, {"x": torch.arange(24).view(12, 2) % 3}


class OfWords(ConditionalGAN):
    """A `conditional-gan` whose example has texts that end."""

    @classmethod
    def example(cls):
        label = {"label": Label(num_classes=3)}
        config = ConditionalGANConfig(
            event=WORDS, latent_dim=2, hidden_dims=(6,), conditions=label
        )
        x, _ = WORDS.reference(12, torch.Generator().manual_seed(0))
        return config, {"x": x, "label": torch.arange(12) % 3}


@pytest.fixture
def registered(monkeypatch):
    """The models under names, for one test."""
    monkeypatch.setattr(registry, "_local", dict(registry._local))
    genzoo.register("models", "fake-of-pairs")(OfPairs)
    genzoo.register("models", "fake-of-words")(OfWords)


@pytest.mark.parametrize("model", ["fake-of-pairs", "fake-of-words"])
@pytest.mark.parametrize("name", TOLD)
def test_models_of_categories_pass_the_suite(name, model, registered):
    (check,) = (check for check in CHECKS if check.__name__ == name)
    run_one(check, model)
