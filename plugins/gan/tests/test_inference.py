"""An encoder learns the generator's inverse: known exactly where both are affine."""

import math

import pytest
import torch

from games import converge, game, made, quantiles
from genzoo import Component, Real, Stage, Trainer, TrainerConfig, create_model
from genzoo_gan.views import View


def affine(layer, weight, bias):
    with torch.no_grad():
        layer.weight.fill_(weight)
        layer.bias.fill_(bias)


def line(slope, offset):
    """Return G(z) = 2 z + 1 with E(x) = slope x + offset."""
    model = made("bigan", event=Real(shape=(1,)), latent_dim=1, hidden_dims=())
    affine(model.generator.layers[0], 2.0, 1.0)
    affine(model.encoder.output, slope, offset)
    return model


def best_value(model):
    """Return V(D*) of pairs, by a critic trained to convergence: data N(1, 4), codes N(0, 1)."""
    played = game("minimax", model, critic_hidden_dims=(16,))
    z = quantiles(501)
    with torch.no_grad():
        real = model.real({"x": quantiles(501, 1.0, 2.0)}, None)
        fake = model.fake(z, {}, None, 1.0)
    real, fake = (View(v.x.detach(), v.z.detach()) for v in (real, fake))
    return -converge(
        played.critic, lambda: played.critic_value(played.critic(real), played.critic(fake)), 3
    )


def test_where_the_encoder_inverts_the_generator_the_critic_knows_nothing():
    """D* = ½ and V = −log 4: both pairs have one law."""
    assert best_value(line(0.5, -0.5)) == pytest.approx(-math.log(4), abs=1e-3)


@pytest.mark.parametrize(("slope", "offset"), [(-0.5, 0.5), (0.0, 0.0), (0.5, 0.5)])
def test_any_other_encoder_is_given_away_by_its_pairs(slope, offset):
    """Even one whose codes are distributed as the prior's: it is the pairs that are judged."""
    assert best_value(line(slope, offset)) > -math.log(4) + 0.1


def test_a_game_ends_with_the_inverse():
    """Data N(1, 4) and an affine pair of networks: E(G(z)) = z within a seventh, not before."""
    torch.manual_seed(0)
    model = create_model("bigan", event=Real(shape=(1,)), latent_dim=1, hidden_dims=())
    x = 1 + 2 * torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    z = torch.tensor([[-1.0], [0.0], [1.0]])

    def error():
        with torch.no_grad():
            return (model.eval().encode(model.decode(z)) - z).abs().max()

    assert error() > 0.5
    config = {"lr": 5e-3, "r1": 0.1, "critic_hidden_dims": (32, 32)}
    stage = Stage(objective=Component(name="non-saturating", config=config))
    settings = TrainerConfig(
        max_steps=1200, batch_size=128, progress=False, lr_scheduler="linear", ema_decay=0.99
    )
    Trainer(model, x, stage, settings).fit()
    assert error() < 0.15
