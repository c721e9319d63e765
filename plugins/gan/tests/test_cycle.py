"""The cycle objective: its values by hand, exact inverses, pools, exact resume, and learning."""

import shutil

import pytest
import torch
from torch import nn

from genzoo import (
    Component,
    ConfigError,
    Stage,
    Trainer,
    TrainerConfig,
    Unit,
    create_model,
    load_dataset,
    pair,
)
from genzoo.plugin import Step
from genzoo.training import checkpoint
from genzoo_gan.cycle import Cycle, CycleConfig
from genzoo_gan.pool import exchange


def cyclegan(seed=0, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        given = {"event": Unit(shape=(1, 8, 8)), "width": 4, "num_blocks": 1, "num_halvings": 0}
        return create_model("cyclegan", **{**given, **config})


def objective(model=None, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Cycle(model or cyclegan(), CycleConfig(**{"critic_width": 2, **config}))


def batch(num=4, y_channels=1):
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(num, c, 8, 8, generator=generator) for c in (1, y_channels))
    return {"x": x, "y": y}


def step(slot=0, seed=0):
    return Step(0, 10, slot, torch.Generator().manual_seed(seed))


class Scaled(nn.Module):
    """x ↦ scale · x, which 1 / scale undoes exactly where the scale is a power of two."""

    def __init__(self, scale):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, x):
        return self.scale * x


def inverse_pair():
    model = cyclegan()
    model.G, model.F = Scaled(-0.5), Scaled(-2.0)
    return model


def test_the_cycle_of_an_exact_inverse_is_zero():
    translators, _ = objective(inverse_pair()).losses(batch(), step())
    assert translators.metrics["cycle_x"] == translators.metrics["cycle_y"] == 0
    assert translators.value == translators.metrics["adversarial"] > 0
    wrong = inverse_pair()
    wrong.F.scale.data.fill_(-1.0)
    translators, _ = objective(wrong).losses(batch(), step())
    x, y = (2 * batch()[domain] - 1 for domain in "xy")
    torch.testing.assert_close(translators.metrics["cycle_x"], (x / 2 - x).abs().mean())
    torch.testing.assert_close(translators.metrics["cycle_y"], (y / 2 - y).abs().mean())


def test_the_translators_loss_is_the_papers():
    made = objective(cycle_weight=7.0, identity_weight=0.25)
    G, F, D_X, D_Y = made.model.G, made.model.F, made.D_X, made.D_Y
    x, y = (2 * batch()[domain] - 1 for domain in "xy")
    loss = next(made.losses(batch(), step()))
    adversarial = ((D_Y(G(x)) - 1) ** 2).mean() + ((D_X(F(y)) - 1) ** 2).mean()
    cycle = (F(G(x)) - x).abs().mean() + (G(F(y)) - y).abs().mean()
    identity = (G(y) - y).abs().mean() + (F(x) - x).abs().mean()
    torch.testing.assert_close(loss.value, adversarial + 7 * cycle + 7 * 0.25 * identity)
    assert loss.player == "translators"
    assert set(loss.metrics) == {"adversarial", "cycle_x", "cycle_y", "identity"}


def test_by_default_the_cycle_weighs_ten_times_and_nothing_need_stay():
    """λ = 10, ι = 0, Adam at 2e-4 and pools of 50, as in the paper."""
    made = objective()
    loss = next(made.losses(batch(), step()))
    found = loss.metrics
    assert set(found) == {"adversarial", "cycle_x", "cycle_y"}
    cycle = found["cycle_x"] + found["cycle_y"]
    torch.testing.assert_close(loss.value, found["adversarial"] + 10 * cycle)
    assert {c.config["lr"] for c in made.optimizers(made.config).values()} == {2e-4}
    assert made.config.pool_size == 50


def test_the_critics_loss_is_half_of_both_squares():
    made = objective()
    G, F, D_X, D_Y = made.model.G, made.model.F, made.D_X, made.D_Y
    x, y = (2 * batch()[domain] - 1 for domain in "xy")
    _, loss = made.losses(batch(), step())  # The pools are empty: the last fakes are shown.
    squares = [((D_X(x) - 1) ** 2), D_X(F(y)) ** 2, ((D_Y(y) - 1) ** 2), D_Y(G(x)) ** 2]
    torch.testing.assert_close(loss.value, sum(square.mean() for square in squares) / 2)
    torch.testing.assert_close(loss.metrics["score_real_y"], D_Y(y).mean().detach())
    torch.testing.assert_close(loss.metrics["score_fake_x"], D_X(F(y)).mean().detach())
    assert loss.player == "critics"


def test_least_squares_of_a_perfect_critic_is_zero_and_of_a_blind_one_a_quarter_each():
    """Scores of 1 and 0 cost nothing; a critic that says ½ to all pays ½ · 2 · ¼ a domain."""
    made = objective()
    made.D_X = made.D_Y = nn.Flatten()
    shown = torch.ones(3, 1, 2, 2), torch.zeros(3, 1, 2, 2)
    real, fake = shown
    assert made._critics(real, real, fake, fake).value == 0
    half = torch.full_like(real, 0.5)
    assert made._critics(half, half, half, half).value == 0.5


def test_each_loss_has_gradients_for_its_own_player_and_fakes_shown_have_none():
    made = objective(identity_weight=0.5)
    translators, critics = made.losses(batch(), step())
    assert all(p.grad is None for p in made.parameters())
    own = made.players()
    for loss in (translators, critics):
        grads = torch.autograd.grad(
            loss.value, own[loss.player], retain_graph=True, allow_unused=True
        )
        assert all(g is not None and g.abs().sum() > 0 for g in grads)
    foreign = torch.autograd.grad(critics.value, own["translators"], allow_unused=True)
    assert all(g is None for g in foreign)


def test_the_critics_are_shown_what_the_pools_give_and_not_the_last_fakes():
    """Of full pools: the loss is that of an exchange by the same draws, x's before y's."""
    made = objective(pool_size=6)
    for seed in range(3):
        list(made.losses(batch(), step(seed=seed)))
    before = {d: made.process_state()[f"pool_{d}_0"].clone() for d in "xy"}
    reals = {d: 2 * batch()[d] - 1 for d in "xy"}
    fakes = {"x": made.model.F(reals["y"]).detach(), "y": made.model.G(reals["x"]).detach()}
    generator = torch.Generator().manual_seed(9)
    shown = {d: exchange(before[d], fakes[d], 6, generator) for d in "xy"}
    _, loss = made.losses(batch(), step(seed=9))
    critics = {"x": made.D_X, "y": made.D_Y}

    def value(fakes):
        squares = [(critics[d](reals[d]) - 1).square().mean() for d in "xy"]
        return sum([*squares, *(critics[d](fakes[d]).square().mean() for d in "xy")]) / 2

    torch.testing.assert_close(loss.value, value({d: shown[d][0] for d in "xy"}))
    assert abs(loss.value - value(fakes)) > 1e-6
    for d in "xy":
        torch.testing.assert_close(made.process_state()[f"pool_{d}_0"], shown[d][1])


def test_pools_go_by_domain_and_slot():
    made = objective(cyclegan(conditions={"y": Unit(shape=(3, 8, 8))}))
    for slot in (0, 1):
        list(made.losses(batch(y_channels=3), step(slot)))
    pools = made.process_state()
    assert sorted(pools) == ["pool_x_0", "pool_x_1", "pool_y_0", "pool_y_1"]
    assert pools["pool_y_1"].shape == (4, 3, 8, 8)
    assert not any(name.startswith("pool") for name in made.state_dict())


def train(folder, *, resume=False):
    model = cyclegan()
    rows = batch(16)
    config = TrainerConfig(
        max_steps=6, batch_size=4, progress=False, save_steps=2, save_total_limit=9
    )
    stage = Stage(objective=Component(name="cycle", config={"critic_width": 2, "pool_size": 5}))
    data = pair(rows["x"], rows["y"])
    Trainer(model, data, stage, config, output_dir=folder).fit(resume=resume)
    return model.state_dict()


def test_resuming_is_exact_with_full_pools(tmp_path):
    straight = train(tmp_path)
    first, *later = checkpoint.list_checkpoints(tmp_path / "checkpoints")
    kept = checkpoint.read(first).tensors["process-0"]
    assert kept["pool_x_0"].shape == (5, 1, 8, 8)
    for path in later:
        shutil.rmtree(path)
    resumed = train(tmp_path, resume=True)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_an_identity_term_of_different_shapes_is_refused():
    with pytest.raises(ConfigError, match=r"identity_weight is 0\.5, but"):
        objective(cyclegan(conditions={"y": Unit(shape=(3, 8, 8))}), identity_weight=0.5)


def test_learning_the_negative_of_digits_without_pairs():
    """Halves without an image in common; both directions beat the mean image and the identity."""
    x = load_dataset("digits").head(1500)["x"]
    model = cyclegan(width=8)
    config = TrainerConfig(max_steps=200, batch_size=16, progress=False, threads=1)
    stage = Stage(
        objective=Component(name="cycle", config={"critic_width": 8, "lr": 2e-3}),
        trainer={"lr_scheduler": "linear"},
    )
    Trainer(model, pair(x[:750], 1 - x[750:]), stage, config).fit()
    x = load_dataset("digits", "test").head(297)["x"]
    y = 1 - x
    with torch.no_grad():
        there, here = model.translate(x, to="y"), model.translate(y, to="x")
    mean_image = (y.mean(0) - y).abs().mean()
    assert (there - y).abs().mean() < 0.7 * mean_image
    assert (here - x).abs().mean() < 0.7 * mean_image
    assert (x - y).abs().mean() > 2 * mean_image
