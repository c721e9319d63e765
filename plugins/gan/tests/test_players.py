"""Every loss moves its own player and no other, whatever the game, the model and the critic."""

import pytest
import torch

from games import GAMES, MODELS, example, game, step
from genzoo import CapabilityError, DataError, registry
from genzoo_gan import objectives
from genzoo_gan.game import Game

CRITICS = {
    "plain": {},
    "r1": {"r1": 2.0},
    "packed": {"packing": 3},
    "spectral": {"spectral_norm": True},
    "several moves": {"critic_steps": 2},
    "all": {"r1": 2.0, "packing": 2, "spectral_norm": True, "critic_steps": 2},
}


def played(name, model, batch, made):
    """Play one step by plain descent, and yield each move's player and what it changed."""
    own = made.players()
    for loss in made.losses(batch, step()):
        grads = torch.autograd.grad(loss.value, own[loss.player])
        before = {n: p.detach().clone() for n, p in made.named_parameters()}
        with torch.no_grad():
            for parameter, grad in zip(own[loss.player], grads, strict=True):
                parameter -= 1e-3 * grad
        after = dict(made.named_parameters())
        yield loss.player, {n for n in after if not torch.equal(before[n], after[n])}


@pytest.mark.parametrize("critic", CRITICS, ids=str)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", GAMES)
def test_a_loss_moves_its_player_alone_and_all_of_it(name, model, critic):
    made_model, batch = example(model)
    made = game(name, made_model, **CRITICS[critic])
    names = {id(p): n for n, p in made.named_parameters()}
    own = {player: {names[id(p)] for p in ps} for player, ps in made.players().items()}
    assert set.union(*own.values()) == set(names.values())
    assert sum(map(len, own.values())) == len(names)
    moves = list(played(name, made_model, batch, made))
    steps = made.config.critic_steps
    assert [player for player, _ in moves] == ["critic"] * steps + ["generator"]
    for player, changed in moves:
        # Between two moves nothing is clipped: what lies outside is clipped as it is read.
        assert changed <= own[player]
        assert changed, player
    gotten = set.union(*(changed for player, changed in moves if player == "generator"))
    assert gotten == own["generator"]


@pytest.mark.parametrize("name", GAMES)
def test_the_critics_loss_passes_nothing_on_to_the_model(name):
    """Nor does the model's move leave gradients behind in the critic: none is stored at all."""
    model, batch = example("bigan")
    made = game(name, model)
    for loss in made.losses(batch, step()):
        others = made.players()["generator"]
        if loss.player == "critic":
            grads = torch.autograd.grad(loss.value, others, allow_unused=True, retain_graph=True)
            assert all(g is None for g in grads)
    assert all(p.grad is None for p in made.parameters())


def test_feature_matching_moves_its_players_alone():
    model, batch = example("semi-supervised-gan")
    made = game("feature-matching", model)
    names = {id(p): n for n, p in made.named_parameters()}
    own = {player: {names[id(p)] for p in ps} for player, ps in made.players().items()}
    assert set.union(*own.values()) == set(names.values())
    moves = list(played("feature-matching", model, batch, made))
    assert [player for player, _ in moves] == ["classifier", "generator"]
    assert all(changed == own[player] for player, changed in moves)


@pytest.mark.parametrize("name", GAMES)
def test_a_game_against_a_critic_is_not_for_a_model_with_one_of_its_own(name):
    with pytest.raises(CapabilityError, match="needs a model that is a AdversarialModel"):
        game(name, example("semi-supervised-gan")[0])


def test_rows_that_make_no_packs_are_refused_with_the_number_that_does():
    model, batch = example("gan")
    rows = {"x": batch["x"][:10]}
    with pytest.raises(DataError, match="multiple of 4"):
        next(game("hinge", model, packing=4).losses(rows, step()))


def test_every_game_is_among_them():
    games = [
        cls
        for cls in vars(objectives).values()
        if isinstance(cls, type) and issubclass(cls, Game) and not cls.__subclasses__()
    ]
    assert sorted(registry.name_of("objectives", cls) for cls in games) == sorted(GAMES)
