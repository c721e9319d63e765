"""Critics trained to convergence reach what is known in closed form."""

import math

import pytest
import torch

from games import converge, game, gan, quantiles, step
from genzoo import Real
from genzoo_gan.penalties import GradientPenalty, slopes
from genzoo_gan.views import View


def line(**config):
    """Return a model of one number."""
    return gan(event=Real(shape=(1,)), latent_dim=1, hidden_dims=(), **config)


def game_of_line(name, **config):
    return game(name, line(), critic_hidden_dims=(16,), **config)


def settle(played, real, fake, weights=(), num_steps=600):
    """Let the critic of a penalised game settle, by Adam with a rate that falls to nothing.

    Points between the two are drawn anew at each step, as in training: at fixed ones a kink of the
    critic that lies between two of them costs nothing, and stays. ``weights`` are passed through
    on the way to the penalty's own: under a heavy one a slope of −1 is a trough, as is +1, and
    which of the two a critic falls into is decided where it starts.
    """
    (penalty,) = played.penalties
    now = step(seed=0)
    for weight in (*weights, penalty.weight):
        penalty.weight = weight
        optimizer = torch.optim.Adam(played.critic.parameters(), lr=0.02, betas=(0.0, 0.9))
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, num_steps)
        for _ in range(num_steps):
            shuffled = View(fake[torch.randperm(len(fake), generator=now.generator)])
            cost = penalty(played.critic, View(real), shuffled, now)
            value = played.critic_value(played.critic(View(real)), played.critic(shuffled)) + cost
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()
    return value.item()


def gap(played, real, fake):
    with torch.no_grad():
        return (played.critic(View(real)).mean() - played.critic(View(fake)).mean()).item()


@pytest.mark.parametrize(
    ("mu", "value"), [(0.0, -1.386294), (0.5, -1.325672), (1.0, -1.163451), (2.0, -0.712633)]
)
@pytest.mark.parametrize("name", ["minimax", "non-saturating"])
def test_the_best_critic_reaches_the_jensen_shannon_divergence(name, mu, value):
    """V(D*) = −log 4 + 2 JSD(N(0, 1) ‖ N(μ, 1))."""
    played = game_of_line(name)
    real, fake = View(quantiles(2001)), View(quantiles(2001, mu))

    def loss():
        return played.critic_value(played.critic(real), played.critic(fake))

    assert -converge(played.critic, loss) == pytest.approx(value, abs=0.01)


def test_the_best_critic_is_the_share_of_the_data():
    """D*(x) = p(x) / (p(x) + q(x)), whose logit is ½ − x for N(0, 1) and N(1, 1)."""
    played = game_of_line("minimax")
    real, fake = View(quantiles(2001)), View(quantiles(2001, 1.0))
    converge(played.critic, lambda: played.critic_value(played.critic(real), played.critic(fake)))
    x = torch.linspace(-1.5, 2.5, 9).double()[:, None]
    found = torch.sigmoid(played.critic(View(x)))
    torch.testing.assert_close(found, torch.sigmoid(0.5 - x[:, 0]), atol=0.03, rtol=0)


def test_the_least_squares_critic_is_that_share_too():
    """Its score itself is p / (p + q), not the logit."""
    played = game_of_line("least-squares")
    real, fake = View(quantiles(2001)), View(quantiles(2001, 1.0))
    converge(played.critic, lambda: played.critic_value(played.critic(real), played.critic(fake)))
    x = torch.linspace(-1.5, 2.5, 9).double()[:, None]
    torch.testing.assert_close(
        played.critic(View(x)), torch.sigmoid(0.5 - x[:, 0]), atol=0.05, rtol=0
    )


@pytest.mark.parametrize(("mu", "gp"), [(2.0, 10.0), (0.5, 100.0)])
def test_the_penalised_critic_of_two_points_has_the_slope_of_the_closed_form(mu, gp):
    """Slope 1 + μ/2λ, gap μ + μ²/2λ, value μ + μ²/4λ: the penalty is biased on purpose."""
    played = game_of_line("wasserstein-gp", gp=gp)
    real, fake = torch.full((64, 1), mu).double(), torch.zeros(64, 1).double()
    value = settle(played, real, fake, weights=(0.1,))
    x = torch.linspace(0.1, 0.9, 5).double()[:, None] * mu
    expected = torch.full((5,), 1 + mu / (2 * gp)).double()
    torch.testing.assert_close(slopes(played.critic, View(x)), expected, rtol=1e-3, atol=0)
    assert gap(played, real, fake) == pytest.approx(mu + mu**2 / (2 * gp), rel=1e-3)
    assert -value == pytest.approx(mu + mu**2 / (4 * gp), rel=1e-3)


@pytest.mark.parametrize(("mu", "deviation"), [(2.0, 1.0), (0.0, 2.0)])
def test_under_a_heavy_penalty_the_gap_is_the_wasserstein_distance(mu, deviation):
    """W₁ of N(0, 1) and N(μ, 1) is |μ|, of N(0, 1) and N(0, s²) it is √(2/π) |s − 1|."""
    played = game_of_line("wasserstein-gp", gp=100.0)
    real, fake = quantiles(256), quantiles(256, mu, deviation)
    settle(played, real, fake, weights=(0.1, 1.0, 10.0))
    truth = abs(mu) if deviation == 1 else math.sqrt(2 / math.pi) * abs(deviation - 1)
    exact = (real - fake).abs().mean().item()  # Of sorted points in one dimension.
    assert exact == pytest.approx(truth, rel=0.01)
    assert gap(played, real, fake) == pytest.approx(truth, rel=0.02)


def test_a_clipped_linear_critic_has_a_gap_of_c_times_mu():
    """D(x) = ax + b with a in [−c, c]: the best gap of N(0, 1) and N(μ, 1) is c μ."""
    model = line()
    with torch.no_grad():
        model.generator.layers[0].weight.fill_(1)
        model.generator.layers[0].bias.fill_(3)
    played = game("wasserstein", model, clip=0.05)
    optimizer = torch.optim.RMSprop(played.critic.parameters(), lr=0.01)
    for index in range(50):
        for move, loss in enumerate(played.losses({"x": quantiles(200)}, step(seed=index))):
            if loss.player == "critic":
                optimizer.zero_grad()
                loss.value.backward()
                optimizer.step()
            assert move <= 5
    found = gap(played, quantiles(200), quantiles(200, 3.0))
    assert found == pytest.approx(0.05 * 3.0, rel=0.02)


def test_the_penalty_is_of_the_slope_between_the_points():
    """A critic ax has the penalty λ(|a| − 1)² wherever it is looked at."""
    played = game("wasserstein-gp", line(), gp=7.0)
    with torch.no_grad():
        played.critic.score.weight.fill_(3.0)
    found = GradientPenalty(7.0)(
        played.critic, View(quantiles(9)), View(quantiles(9, 1.0)), step()
    )
    assert found.item() == pytest.approx(7.0 * 4.0)
