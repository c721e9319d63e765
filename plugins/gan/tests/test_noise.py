"""Noise between layers: how much, when, where it comes from."""

import torch
from torch import nn

from games import example
from genzoo_gan.noise import GaussianNoise, noisy


def test_noise_has_the_deviation_asked_for_in_training_and_none_elsewhere():
    """40,000 draws: the deviation within 5 standard errors, 1 / √(2n) of it."""
    torch.manual_seed(0)
    layer, h = GaussianNoise(0.3), torch.full((40_000,), 2.0)
    spread = (layer(h) - h).std().item()
    assert abs(spread / 0.3 - 1) < 5 / 80_000**0.5
    assert torch.equal(layer.eval()(h), h)


def test_every_layer_gets_noise_in_front_of_it():
    network = noisy(
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Sequential(nn.Linear(4, 2))), 1
    )
    kinds = [type(m).__name__ for m in network.modules() if not isinstance(m, nn.Sequential)]
    assert kinds == ["GaussianNoise", "Conv2d", "ReLU", "GaussianNoise", "Linear"]


def test_a_classifier_answers_without_noise_once_it_has_learned():
    model, batch = example("semi-supervised-gan", noise=0.5)
    assert not torch.equal(model.classify(batch["x"]), model.classify(batch["x"]))
    model.eval()
    assert torch.equal(model.classify(batch["x"]), model.classify(batch["x"]))
    silent, _ = example("semi-supervised-gan", noise=0.0)
    assert torch.equal(silent.classify(batch["x"]), silent.classify(batch["x"]))
