"""The density is one, the draws follow it, and the model learns what it should."""

import math

import pytest
import torch

import genzoo
from genzoo import ConditionError, ConfigError, Label, register
from genzoo.plugin import Step
from genzoo.testing import check_model, conformance
from genzoo_angle.angle import Angle, points, wrap
from genzoo_angle.mixture import VonMises, VonMisesConfig
from genzoo_angle.objective import NegativeLogLikelihood
from genzoo_angle.sampler import Rejection, RejectionConfig
from genzoo_angle.von_mises import draw, log_density

ONE = Angle(shape=(1,))
PORTS = Label(num_classes=3)
GRID = torch.arange(4096, dtype=torch.float64) * (2 * math.pi / 4096) - math.pi


@conformance("von-mises")
def test_conformance(check):
    check()


@register("models", "von-mises-plain")
class Plain(VonMises):
    """One without conditions."""

    @classmethod
    def example(cls):
        x = ONE.reference(12, seeded())[0]
        return VonMisesConfig(event=ONE, num_components=2), {"x": x}


@register("models", "von-mises-dropping")
class Dropping(VonMises):
    """One that learns without some of its labels."""

    @classmethod
    def example(cls):
        spaces = {"x": ONE, "label": PORTS}
        rows = {name: space.reference(12, seeded())[0] for name, space in spaces.items()}
        config = VonMisesConfig(event=ONE, conditions={"label": PORTS}, condition_dropout=0.3)
        return config, rows


@pytest.mark.parametrize("name", ["von-mises-plain", "von-mises-dropping"])
def test_conformance_of_other_conditions(name):
    check_model(name)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def eta_of(mean, kappa):
    """The natural parameter of a mean direction and a concentration, (2,)."""
    return kappa * torch.tensor([math.cos(mean), math.sin(mean)], dtype=torch.float64)


def model(event=ONE, scale=3.0, **config):
    """A mixture in float64, of distributions that are not alike."""
    torch.manual_seed(0)
    found = VonMises(VonMisesConfig(event=event, **config)).double()
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.normal_().mul_(scale)
    return found


def log_prob(mixture, x, **condition):
    with torch.no_grad():
        return mixture.log_prob(x, condition=condition).values


# The density, by quadrature: of a smooth periodic function the sum over a grid is exact.


@pytest.mark.parametrize("kappa", [0.0, 1e-6, 0.3, 4.0, 60.0, 2e4])
def test_the_density_of_one_distribution_comes_to_one_and_has_its_mean(kappa):
    density = log_density(eta_of(1.0, kappa), points(GRID[:, None])[:, 0]).exp()
    assert density.mean().item() * 2 * math.pi == pytest.approx(1, abs=1e-9)
    assert density.argmax() == (GRID - 1).abs().argmin() or kappa < 1e-3


@pytest.mark.parametrize("label", [-1, 0, 2])
def test_the_density_of_a_mixture_comes_to_one_given_anything(label):
    spaces = {"label": PORTS}
    mixture = model(conditions=spaces, condition_dropout=0.1)
    values = log_prob(mixture, GRID[:, None], label=label)
    assert values.exp().mean().item() * 2 * math.pi == pytest.approx(1, abs=1e-10)
    given = model(event=Angle(shape=(2,)), conditions={"y": Angle(shape=(3,))})
    grid = torch.cartesian_prod(GRID[::16], GRID[::16])
    values = log_prob(given, grid, y=torch.tensor([0.5, -2.0, 3.0]))
    assert values.exp().mean().item() * (2 * math.pi) ** 2 == pytest.approx(1, abs=1e-8)


def test_a_mixture_is_the_weighted_sum_of_its_components():
    mixture, x = model(num_components=3), GRID[::64, None]
    weights = mixture.logits.softmax(0)
    parts = [log_density(eta[0], points(x)[:, 0]).exp() for eta in mixture.eta]
    expected = sum(w * part for w, part in zip(weights, parts, strict=True)).log()
    torch.testing.assert_close(log_prob(mixture, x), expected.detach())


def test_the_gradient_is_finite_where_the_concentration_is_zero():
    eta = torch.zeros(2, requires_grad=True)
    log_density(eta, torch.tensor([0.6, 0.8])).backward()
    torch.testing.assert_close(eta.grad, torch.tensor([0.6, 0.8]))


# Draws.


def distribution(kappa):
    """P(x ≤ GRID[i]) of VM(0, κ), by the trapezoid rule."""
    density = log_density(eta_of(0.0, kappa), points(GRID[:, None])[:, 0]).exp()
    return torch.cumulative_trapezoid(density, GRID)


def kolmogorov(x, kappa):
    """√N times the greatest distance of the empirical distribution function from VM(0, κ)'s."""
    x = x.flatten().sort().values
    index = torch.searchsorted(GRID, x.double()).clamp(2, len(GRID) - 1)
    expected = distribution(kappa)[index - 2]
    rank = torch.arange(1, len(x) + 1) / len(x)
    return math.sqrt(len(x)) * (expected - rank).abs().max().item()


@pytest.mark.parametrize("kappa", [0.0, 1e-7, 0.5, 4.0, 200.0])
def test_draws_follow_the_density(kappa):
    """2.2 is exceeded by one in 8,000 sets of draws (Kolmogorov's distribution)."""
    x = wrap(draw(eta_of(2.0, kappa).expand(20_000, 1, 2), seeded()) - 2.0 * (kappa > 1e-3))
    assert kolmogorov(x, kappa) < 2.2
    wrong = max(2 * kappa, 0.5)
    assert kolmogorov(x, wrong) > 2.2


def test_a_draw_depends_on_its_own_row_and_the_seed_alone():
    eta = torch.randn(50, 3, 2, generator=seeded(1), dtype=torch.float64) * 4
    others = torch.where(torch.arange(50)[:, None, None] == 7, eta, 0.0)  # One round is enough.
    a, b = draw(eta, seeded()), draw(others, seeded())
    assert torch.equal(a[7], b[7])
    assert not torch.isclose(a[:7], b[:7]).any()
    assert torch.equal(a, draw(eta, seeded()))
    assert not torch.equal(a, draw(eta, seeded(1)))


def test_nan_is_drawn_as_nan():
    eta = torch.zeros(4, 1, 2)
    eta[1] = math.nan
    assert torch.isnan(draw(eta, seeded())).flatten().tolist() == [False, True, False, False]


def test_samples_are_in_the_space_and_their_components_have_their_weights():
    mixture = model(num_components=2).float()
    with torch.no_grad():
        mixture.eta.copy_(torch.stack([eta_of(0.0, 100.0), eta_of(3.1, 100.0)])[:, None])
        mixture.logits.copy_(torch.tensor([0.25, 0.75]).log())
    x = mixture.sample(4000, seed=0)
    ONE.require(x, "It")
    share = (x.cos() > 0).float().mean().item()
    assert share == pytest.approx(0.25, abs=5 * math.sqrt(0.25 * 0.75 / 4000))
    assert (x < -3).any()


# Conditions.


def told(spaces, dropout=0.0):
    """One component without a mean direction, whose parameters are all the conditions'."""
    found = model(num_components=1, conditions=spaces, condition_dropout=dropout, scale=0.0)
    return found.requires_grad_(False)


def test_a_label_chooses_the_distribution_and_one_that_is_not_given_leaves_it():
    mixture = told({"label": PORTS}, dropout=0.1)
    for label, mean in enumerate((0.0, 1.5, -2.0)):
        mixture.shift.weight[1:, label] = eta_of(mean, 8.0)
    x = mixture.sample(3 * 2000, condition=torch.arange(3).repeat_interleave(2000), seed=0)
    for label, mean in enumerate((0.0, 1.5, -2.0)):
        rows = x[2000 * label : 2000 * (label + 1)]
        assert kolmogorov(wrap(rows - mean), 8.0) < 2.2
        one = log_prob(mixture, rows[:5], label=label)
        expected = log_density(eta_of(mean, 8.0), points(rows[:5])[:, 0])
        torch.testing.assert_close(one, expected)
    plain = torch.full((1,), -math.log(2 * math.pi), dtype=torch.float64)
    torch.testing.assert_close(log_prob(mixture, x[:1]), plain)
    torch.testing.assert_close(log_prob(mixture, x[:1], label=-1), plain)


def test_an_angle_turns_the_distribution():
    """With A = κ I, x ~ VM(y, κ)."""
    mixture = told({"y": ONE})
    mixture.shift.weight[1:] = 6.0 * torch.eye(2)
    y = ONE.reference(5000, seeded(3))[0]
    x = mixture.sample(5000, condition={"y": y}, seed=0)
    assert kolmogorov(wrap(x - y), 6.0) < 2.2
    expected = log_density(6.0 * points(y.double())[:, 0], points(x.double())[:, 0])
    torch.testing.assert_close(log_prob(mixture, x, y=y), expected)
    for wrong in (4.0, -7.0, math.nan):
        with pytest.raises(ConditionError, match="holds"):
            mixture.sample(1, condition={"y": [wrong]})
    with pytest.raises(ConditionError, match="VonMises needs a y for each sample"):
        mixture.sample(1)
    with pytest.raises(ConfigError, match="which has no value for"):
        told({"y": ONE}, dropout=0.1)


def test_a_label_and_an_angle_are_taken_together_in_any_order():
    spaces = {"label": PORTS, "y": ONE}
    mixture, x = model(conditions=spaces), GRID[:5, None]
    again = model(conditions=dict(reversed(spaces.items())))
    given = {"label": torch.tensor([0, 1, 2, 0, 1]), "y": torch.tensor([[1.0]]).expand(5, 1)}
    assert torch.equal(log_prob(mixture, x, **given), log_prob(again, x, **given))
    for other in ({**given, "label": given["label"].flip(0)}, {**given, "y": -given["y"]}):
        assert not torch.equal(log_prob(mixture, x, **given), log_prob(mixture, x, **other))
    with pytest.raises(ConditionError, match="needs a y"):
        mixture.sample(5, condition={"label": 0})


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_objective_leaves_out_that_share_of_the_labels(share):
    """A label's part of the table has a gradient where it is given."""
    mixture = model(conditions={"label": Label(num_classes=400)}, condition_dropout=share)
    objective = NegativeLogLikelihood(mixture)
    batch = {"x": ONE.reference(400, seeded())[0], "label": torch.arange(400)}
    (loss,) = objective.losses(batch, Step(0, 1, 0, seeded(1)))
    (gradient,) = torch.autograd.grad(loss.value, [mixture.shift.weight])
    left_out = (gradient == 0).all(0).double().mean().item()
    assert left_out == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 400))


def test_guidance_of_one_component_is_the_density_to_a_power():
    """p(x | c)^s p(x)^(1 − s) of two von Mises distributions is a von Mises distribution."""
    mixture = told({"label": PORTS}, dropout=0.1)
    mixture.eta[0, 0] = eta_of(0.0, 2.0)
    mixture.shift.weight[1:, 1] = eta_of(0.0, 3.0)
    guided = Rejection(RejectionConfig(guidance_scale=2.0))
    x = mixture.sample(5000, condition={"label": 1}, sampler=guided, seed=0)
    assert kolmogorov(x, 8.0) < 2.2  # κ: 2 + 2 · 3.
    without = mixture.sample(
        5000,
        condition={"label": 1},
        sampler=Rejection(RejectionConfig(guidance_scale=0.0)),
        seed=0,
    )
    assert kolmogorov(without, 2.0) < 2.2
    with pytest.raises(ConditionError, match="cannot do without"):
        told({"label": PORTS}).sample(1, condition=0, sampler=guided)
    with pytest.raises(ConditionError, match="is unconditional"):
        told({}).sample(1, sampler=guided)


def test_what_it_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="Take fewer components"):
        VonMisesConfig(event=Angle(shape=(2**11,)), num_components=2**10)
    with pytest.raises(ConfigError, match=r"over 2\^20 distributions"):
        VonMisesConfig(event=ONE, num_components=2, conditions={"y": Angle(shape=(2**19,))})
    with pytest.raises(ConfigError, match="models angle data, not 2: finite numbers"):
        VonMises(VonMisesConfig(event=genzoo.Real(shape=(2,))))
    with pytest.raises(ConfigError, match="takes angle or label conditions; text is texts"):
        VonMises(VonMisesConfig(event=ONE, conditions={"text": genzoo.Text()}))
    with pytest.raises(genzoo.CapabilityError, match="no state to start from"):
        model().sample(1, start=torch.zeros(1, 1))
