"""What critic and generator lower, by hand; where the games differ; what their rates are."""

import math

import pytest
import torch

from games import GAMES, example, game, gan, rows, step
from genzoo import ConfigError

REAL, FAKE = torch.tensor([2.0, -1.0]).double(), torch.tensor([0.5, -3.0]).double()


def log_sigmoid(s):
    return -math.log1p(math.exp(-s))


def expected(name):
    real, fake = REAL.tolist(), FAKE.tolist()
    if name in ("minimax", "non-saturating", "unrolled"):
        critic = -sum(map(log_sigmoid, real)) / 2 - sum(log_sigmoid(-s) for s in fake) / 2
        sure = sum(log_sigmoid(-s) for s in fake) / 2
        generator = -sum(map(log_sigmoid, fake)) / 2 if name == "non-saturating" else sure
        sure = sum(map(log_sigmoid, real)) / 2
        encoder = -sum(log_sigmoid(-s) for s in real) / 2 if name == "non-saturating" else sure
        return critic, generator, encoder
    if name == "least-squares":
        critic = (1 + 4) / 4 + (0.25 + 9) / 4
        return critic, (0.25 + 16) / 4, (4 + 1) / 4
    critic = (0 + 2) / 2 + (1.5 + 0) / 2 if name == "hinge" else -1.25 - 0.5
    return critic, 1.25, 0.5


@pytest.mark.parametrize("name", GAMES)
def test_the_values_are_those_worked_out_by_hand(name):
    made = game(name, gan())
    found = made.critic_value(REAL, FAKE), made.generator_value(FAKE), made.encoder_value(REAL)
    assert [v.item() for v in found] == pytest.approx(list(expected(name)), rel=1e-12)
    assert all(v.shape == () for v in found)


@pytest.mark.parametrize("name", GAMES)
def test_the_generators_and_the_encoders_gradient_point_against_the_critics(name):
    """What the critic raises they lower: the scores of fakes rise, those of real views fall."""
    made = game(name, gan())
    fake, real = FAKE.clone().requires_grad_(), REAL.clone().requires_grad_()
    (up,) = torch.autograd.grad(made.generator_value(fake), fake)
    (down,) = torch.autograd.grad(made.encoder_value(real), real)
    assert bool((up[0] < 0) & (down[0] > 0))


def test_where_the_critic_is_sure_minimax_stands_still_and_non_saturating_does_not():
    sure = torch.full((4,), -12.0).double().requires_grad_()
    pulls = {}
    for name in ("minimax", "non-saturating"):
        (grad,) = torch.autograd.grad(game(name, gan()).generator_value(sure), sure)
        pulls[name] = grad.abs().sum().item()
    assert pulls["minimax"] < 1e-5
    assert pulls["non-saturating"] > 0.99


def optimizers(objective):
    return objective.optimizers(objective.config)


@pytest.mark.parametrize("name", GAMES)
def test_the_critic_has_a_rate_of_its_own_where_it_is_given_one(name):
    found = optimizers(game(name, gan(), lr=3e-4))
    assert found["generator"].config["lr"] == found["critic"].config["lr"] == 3e-4
    found = optimizers(game(name, gan(), lr=3e-4, critic_lr=7e-4))
    assert (found["generator"].config["lr"], found["critic"].config["lr"]) == (3e-4, 7e-4)
    assert found["critic"].name == ("rmsprop" if name == "wasserstein" else "adam")


RATES = {"wasserstein": 5e-5, "wasserstein-gp": 1e-4}


@pytest.mark.parametrize("name", GAMES)
def test_the_rates_and_the_moves_are_the_papers_by_default(name):
    """Algorithm 1 of both Wasserstein papers; 2e-4 is of Radford, Metz and Chintala (2016)."""
    made = game(name, gan())
    rates = [component.config["lr"] for component in optimizers(made).values()]
    assert rates == [RATES.get(name, 2e-4)] * 2
    assert made.config.critic_steps == (5 if name in RATES else 1)
    assert made.config.packing == 1
    assert made.critic.packing == 1
    assert made.penalties == [] or name == "wasserstein-gp"


@pytest.mark.parametrize(
    ("field", "last"), [("lr", 1e3), ("critic_lr", 1e3), ("critic_steps", 1000), ("packing", 64)]
)
def test_a_number_up_to_its_bound_is_taken_and_one_beyond_is_refused(field, last):
    least = 1 if isinstance(last, int) else 0.0
    for value in (least, last):
        assert getattr(game("minimax", gan(), **{field: value}).config, field) == value
    for beyond in (last + 1, least - 1):
        with pytest.raises(ConfigError, match=field):
            game("minimax", gan(), **{field: beyond})


SURE = {"least-squares": (1.0, 0.0, 0.5), "hinge": (1.0, -1.0, 0.0)}


@pytest.mark.parametrize("name", GAMES)
def test_a_loss_is_settled_where_every_example_is_told_and_not_where_none_is(name):
    """Scores of real, of fakes, and of either by a critic that is blind."""
    made = game(name, gan())
    if name in RATES:
        assert made.settled is None  # These losses have no least value.
        return
    real, fake, blind = (torch.tensor([s]).double() for s in SURE.get(name, (6.0, -6.0, 0.0)))
    assert made.critic_value(real, fake) < made.settled < made.critic_value(blind, blind) / 10


@pytest.mark.parametrize(("name", "moves"), [("wasserstein", 5), ("wasserstein-gp", 5)])
def test_a_wasserstein_critic_has_five_moves_with_new_codes_each(name, moves):
    model, batch = example("gan")
    drawn = []
    made = game(name, model)
    latent = model.latent
    model.latent = lambda num, generator: drawn.append(latent(num, generator)) or drawn[-1]
    players = [loss.player for loss in made.losses(batch, step())]
    assert players == ["critic"] * moves + ["generator"]
    assert len({tuple(z.flatten().tolist()) for z in drawn}) == moves + 1


def test_an_encoder_is_paid_by_the_scores_of_real_pairs():
    """The model's loss of a BiGAN is the generator's of fakes plus the encoder's of real pairs."""
    model, batch = example("bigan")
    made = game("non-saturating", model)
    *_, loss = made.losses(batch, step())
    generator = step().generator
    for _ in range(2):  # The second move's draws.
        z = model.latent(12, generator)
        real = model.real(batch, generator)
    fake = made.critic(model.fake(z, batch, generator, 1.0))
    value = made.generator_value(fake) + made.encoder_value(made.critic(real))
    torch.testing.assert_close(loss.value, value)


def test_scores_are_logged_where_a_step_is():
    model, batch = example("gan")
    made = game("hinge", model)
    loss = next(made.losses(batch, step()))
    z = model.latent(12, step().generator)
    views = model.real(batch, None), model.fake(z, batch, step().generator, 1.0)
    scores = [made.critic(view) for view in views]
    torch.testing.assert_close(loss.metrics["score_real"], scores[0].mean().detach())
    torch.testing.assert_close(loss.metrics["score_fake"], scores[1].mean().detach())


def test_a_penalty_is_part_of_the_critics_loss():
    batch = {"x": rows(6, 3)}
    losses = [next(game("hinge", gan(), r1=r1).losses(batch, step())).value for r1 in (0, 1, 3)]
    losses = [loss.item() for loss in losses]
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-9)
    assert losses[1] > losses[0]
