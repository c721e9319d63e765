"""The unrolled game: K = 0 is the plain one; K = 1, 2 have the gradient of finite differences."""

import copy

import pytest
import torch

from games import example, game, gan, rows, step
from genzoo import Component, Real, Stage, Trainer, TrainerConfig, create_model
from genzoo_gan.views import View


def trained(name, **config):
    torch.manual_seed(0)
    model = create_model("gan", event=Real(shape=(3,)), latent_dim=2, hidden_dims=(6,))
    stage = Stage(objective=Component(name=name, config=config))
    settings = TrainerConfig(max_steps=5, batch_size=4, progress=False)
    Trainer(model, rows(16, 3).float(), stage, settings).fit()
    return model.state_dict()


def test_without_a_step_it_is_the_minimax_game_bit_for_bit():
    """Five updates of both players by the Trainer."""
    plain, unrolled = trained("minimax"), trained("unrolled", unrolled_steps=0)
    assert all(torch.equal(plain[name], unrolled[name]) for name in plain)
    other = trained("unrolled", unrolled_steps=1)
    assert not all(torch.equal(plain[name], other[name]) for name in plain)


def looked_ahead(made, batch, steps, rate):
    """Return the minimax value after K steps of a copy of the critic, written out anew."""
    generator = step().generator
    _, z = (made.model.latent(len(batch["x"]), generator) for _ in range(2))  # The second move's.
    with torch.no_grad():
        real, fake = View(batch["x"]), View(made.model.generate(z))
    critic = copy.deepcopy(made.critic)
    softplus = torch.nn.functional.softplus

    def cost():
        return softplus(-critic(real)).mean() + softplus(critic(fake)).mean()

    for _ in range(steps):
        grads = torch.autograd.grad(cost(), list(critic.parameters()))
        with torch.no_grad():
            for parameter, grad in zip(critic.parameters(), grads, strict=True):
                parameter -= rate * grad
    return -cost().item()


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_the_gradient_is_that_of_finite_differences(steps):
    """Central differences of width 2e-5 in float64; kinks of the critic may cost some digits."""
    rate, width = 0.5, 1e-5
    made = game("unrolled", gan(), unrolled_steps=steps, unrolled_lr=rate)
    batch = {"x": rows(8, 3)}
    loss = list(made.losses(batch, step()))[-1]
    parameters = list(made.model.parameters())
    grads = torch.autograd.grad(loss.value, parameters)
    assert loss.value.item() == pytest.approx(looked_ahead(made, batch, steps, rate), rel=1e-10)
    for parameter, grad in zip(parameters, grads, strict=True):
        found = torch.zeros_like(grad)
        for place in range(parameter.numel()):
            flat = parameter.data.view(-1)
            kept = flat[place].item()
            values = []
            for sign in (1, -1):
                flat[place] = kept + sign * width
                values.append(looked_ahead(made, batch, steps, rate))
            flat[place] = kept
            found.view(-1)[place] = (values[0] - values[1]) / (2 * width)
        torch.testing.assert_close(grad, found, rtol=1e-4, atol=1e-8)


def test_looking_ahead_changes_the_gradient_and_not_the_critic():
    made = {k: game("unrolled", gan(), unrolled_steps=k, unrolled_lr=0.5) for k in (0, 2)}
    batch = {"x": rows(8, 3)}
    before = {n: p.clone() for n, p in made[2].critic.named_parameters()}
    grads = [
        torch.autograd.grad(list(m.losses(batch, step()))[-1].value, m.players()["generator"])
        for m in made.values()
    ]
    assert any((a - b).abs().max() > 1e-6 for a, b in zip(*grads, strict=True))
    assert all(torch.equal(before[n], p) for n, p in made[2].critic.named_parameters())


@pytest.mark.parametrize("config", [{"packing": 2}, {"spectral_norm": True}, {"r1": 1.0}])
def test_it_looks_ahead_with_any_critic(config):
    model, batch = example("bigan")
    made = game("unrolled", model, unrolled_steps=2, **config)
    *_, loss = made.losses(batch, step())
    grads = torch.autograd.grad(loss.value, made.players()["generator"])
    assert all(torch.isfinite(grad).all() and grad.abs().sum() > 0 for grad in grads)
