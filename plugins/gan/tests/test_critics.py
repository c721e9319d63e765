"""Critics: layers, packs, clipping, spectral norms, and penalties on their slopes."""

import pytest
import torch

from games import example, game, gan, made, rows, step
from genzoo import ConfigError, Real
from genzoo_gan.backbones import TRUNKS
from genzoo_gan.critics import (
    ClippedCritic,
    Critic,
    NetworkCritic,
    PackedCritic,
    spectrally_normalised,
)
from genzoo_gan.penalties import R1, Fading, GradientPenalty, slopes
from genzoo_gan.views import View, between


class Bilinear(Critic):
    """s = a · x + b · z + x_0 z_0, whose slope is known."""

    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = torch.nn.Parameter(a), torch.nn.Parameter(b)

    def forward(self, view):
        return view.x @ self.a + view.z @ self.b + view.x[:, 0] * view.z[:, 0]


def critic(**config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        given = {"network": "flat", "event_shape": (3,), "hidden_dims": (5,), **config}
        return NetworkCritic(**given).double()


@pytest.mark.parametrize("network", sorted(TRUNKS))
@pytest.mark.parametrize("shape", [(1, 7, 5), (3, 8, 8), (2, 28, 28)])
def test_every_network_scores_images_of_any_size(network, shape):
    scores = critic(network=network, event_shape=shape, hidden_dims=(4, 6))
    x = rows(5, *shape)
    assert scores(View(x)).shape == (5,)
    one_by_one = torch.cat([scores(View(one)) for one in x.split(1)])
    torch.testing.assert_close(scores(View(x)), one_by_one)  # No score depends on other rows.


def test_images_alone_are_convolved():
    with pytest.raises(ConfigError, match="network='convolutional' is for images"):
        critic(network="convolutional")


def test_a_label_enters_by_its_inner_product_with_the_features():
    scores = critic(num_classes=4)
    x, y = rows(4, 3), torch.eye(4).double()
    h = scores.trunk(x)
    expected = scores.score(h)[:, 0] + (scores.projection.weight.T * h).sum(1)
    torch.testing.assert_close(scores(View(x, y=y)), expected)
    assert not torch.allclose(scores(View(x, y=y)), scores(View(x, y=y.flip(0))))


def test_pairs_are_judged_together():
    scores = critic(latent_dim=2)
    x, z = rows(6, 3), rows(6, 2, seed=1)
    assert not torch.allclose(scores(View(x, z)), scores(View(x, z.flip(0))))


def test_what_a_critic_was_not_made_for_it_does_not_read():
    """A critic of examples alone, and one of pairs with labels that is shown neither."""
    x, z, y = rows(4, 3), rows(4, 2, seed=1), torch.eye(4).double()
    alone = critic()
    torch.testing.assert_close(alone(View(x, z, y)), alone(View(x)))
    whole = critic(latent_dim=2, num_classes=4)
    torch.testing.assert_close(whole(View(x)), whole.score(whole.trunk(x))[:, 0])


# Packs


def test_a_pack_is_examples_that_follow_one_another():
    packed = PackedCritic(critic(event_shape=(6,), latent_dim=4, num_classes=6), 2)
    x, z, y = rows(6, 3), rows(6, 2, seed=1), torch.eye(3).double().repeat(2, 1)
    scores = packed(View(x, z, y))
    pairs = [torch.cat([t[0::2], t[1::2]], dim=1) for t in (x, z, y)]
    torch.testing.assert_close(scores, packed.critic(View(*pairs)))
    assert scores.shape == (3,)


def test_a_pack_of_images_has_their_channels_side_by_side():
    packed = PackedCritic(critic(network="convolutional", event_shape=(6, 8, 8)), 3)
    x = rows(6, 2, 8, 8)
    pairs = torch.cat([x[0::3], x[1::3], x[2::3]], dim=1)
    torch.testing.assert_close(packed(View(x)), packed.critic(View(pairs)))


def test_the_slope_of_a_pack_is_by_all_its_examples():
    packed = PackedCritic(critic(event_shape=(6,), hidden_dims=()), 2)
    norm = packed.critic.score.weight.norm().expand(3)
    torch.testing.assert_close(slopes(packed, View(rows(6, 3))), norm)


def test_examples_of_a_pack_share_their_place_between_real_and_fake(monkeypatch):
    seen = []

    def watched(real, fake, t):
        seen.append(t)
        return between(real, fake, t)

    monkeypatch.setattr("genzoo_gan.penalties.between", watched)
    packed = PackedCritic(critic(event_shape=(6,)), 2)
    GradientPenalty(1.0)(packed, View(rows(6, 3)), View(rows(6, 3, seed=1)), step())
    (t,) = seen
    assert torch.equal(t[0::2], t[1::2])
    assert t.unique().numel() == 3


# Clipping


def test_a_clipped_critic_reads_its_weights_clipped_before_they_are():
    clipped = ClippedCritic(critic(), 0.05)
    scores = clipped(View(rows(4, 3)))
    assert max(p.abs().max() for p in clipped.parameters()) > 0.05
    clipped.project()
    assert max(p.abs().max() for p in clipped.parameters()) <= 0.05
    torch.testing.assert_close(clipped.critic(View(rows(4, 3))), scores)


def test_a_step_that_leaves_the_box_has_no_hold_on_what_is_published_or_judged():
    """Before each of its moves the critic is back in the box."""
    model, batch = example("gan")
    made_game = game("wasserstein", model, clip=0.02)
    optimizer = torch.optim.SGD(made_game.critic.parameters(), lr=10.0)
    for loss in made_game.losses(batch, step()):
        if loss.player == "critic":
            assert max(p.abs().max() for p in made_game.critic.parameters()) <= 0.02
            optimizer.zero_grad()
            loss.value.backward()
            optimizer.step()


def test_the_generator_is_judged_by_the_clipped_critic():
    """A critic's update may leave the box: the generator sees the one that will be clipped."""
    model, batch = example("gan")
    made_game = game("wasserstein", model, clip=0.02, critic_steps=1)
    moves = made_game.losses(batch, step())
    next(moves)
    with torch.no_grad():
        for parameter in made_game.critic.parameters():
            parameter += torch.where(parameter > 0, 1.0, -1.0)
    loss = next(moves)
    generator = step().generator
    _, z = (model.latent(len(batch["x"]), generator) for _ in range(2))  # The second move's.
    fake = model.fake(z, batch, generator, 1.0)
    outside = -made_game.critic.critic(fake).mean()
    made_game.critic.project()
    torch.testing.assert_close(loss.value, -made_game.critic.critic(fake).mean())
    assert abs(loss.value - outside) > 1e-3


# Spectral normalisation


def test_a_spectrally_normalised_critic_has_slopes_of_one_at_most():
    """Each matrix's largest singular value is 1 after enough power iterations; float64."""
    plain = critic(hidden_dims=(8, 8))
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter *= 7
    x = View(rows(50, 3))
    assert slopes(plain, x).max() > 1.5
    normal = spectrally_normalised(plain)
    for _ in range(200):
        normal(x)
    layers = [m for m in normal.modules() if isinstance(m, torch.nn.Linear)]
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=1e-6)
    assert slopes(normal, x).max() <= 1 + 1e-6


def test_objectives_wrap_the_critic_in_what_they_are_asked_for():
    model = made("gan", event=Real(shape=(1, 8, 8)), network="convolutional", hidden_dims=(4, 2))
    wrapped = game("wasserstein", model, packing=2, spectral_norm=True).critic
    assert isinstance(wrapped, ClippedCritic)
    assert isinstance(wrapped.critic, PackedCritic)
    assert wrapped.packing == 2
    assert "parametrizations" in " ".join(n for n, _ in wrapped.named_parameters())
    assert wrapped.critic.critic.trunk.layers[0].in_channels == 2


# Penalties


def test_r1_is_half_gamma_times_the_squared_slope_at_the_data():
    a, b = rows(3), rows(2, seed=1)
    x, z = rows(9, 3, seed=2), rows(9, 2, seed=3)
    by_x = a + torch.nn.functional.pad(z[:, :1], (0, 2))
    by_z = b + torch.nn.functional.pad(x[:, :1], (0, 1))
    expected = 0.5 * 4.0 * (by_x.square().sum(1) + by_z.square().sum(1)).mean()
    fake = View(torch.full_like(x, 1e3), z)
    found = R1(4.0)(Bilinear(a, b), View(x, z), fake, step())
    torch.testing.assert_close(found, expected)


def test_the_gradient_of_a_penalty_is_that_of_finite_differences():
    """With respect to the critic's weights, through the slope; float64, width 2e-6."""
    scores, real, fake = critic(), View(rows(6, 3)), View(rows(6, 3, seed=1))
    for penalty in (R1(2.0), GradientPenalty(3.0)):

        def cost(penalty=penalty):
            return penalty(scores, real, fake, step())

        weight = scores.trunk.layers[0].weight
        (grad,) = torch.autograd.grad(cost(), weight)
        flat, found = weight.data.view(-1), torch.zeros(weight.numel()).double()
        for place in range(len(flat)):
            kept, values = flat[place].item(), []
            for sign in (1, -1):
                flat[place] = kept + sign * 1e-6
                values.append(cost().item())
            flat[place] = kept
            found[place] = (values[0] - values[1]) / 2e-6
        torch.testing.assert_close(grad.view(-1), found, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("index", "weight"), [(0, 1.0), (10, 0.75), (39, 0.025), (40, 0.0)])
def test_a_fading_penalty_falls_to_nothing_in_proportion_to_the_steps(index, weight):
    scores, view = critic(), View(rows(6, 3))
    whole = R1(2.0)(scores, view, view, step())
    found = Fading(R1(2.0), 0.4)(scores, view, view, step(index, total=100))
    torch.testing.assert_close(found, weight * whole)


def test_a_game_fades_its_penalty_where_it_is_told_to():
    (penalty,) = game("hinge", gan(), r1=3.0, r1_fade=0.5).penalties
    assert isinstance(penalty, Fading)
    assert (penalty.share, penalty.penalty.gamma) == (0.5, 3.0)


def test_points_between_go_from_fake_to_real():
    real, fake = (
        View(torch.ones(3, 2), torch.ones(3, 1)),
        View(torch.zeros(3, 2), torch.zeros(3, 1)),
    )
    t = torch.tensor([0.0, 0.25, 1.0])
    mixed = between(real, fake, t)
    assert torch.equal(mixed.x, t[:, None].expand(3, 2))
    assert torch.equal(mixed.z, t[:, None])


def test_a_game_without_a_penalty_has_none():
    assert game("hinge", gan()).penalties == []
    assert len(game("wasserstein-gp", gan(), r1=1.0).penalties) == 2
