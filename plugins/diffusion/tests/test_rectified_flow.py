"""The rectified flow: its path, its likelihood, and what is refused."""

import itertools
import math

import pytest
import torch
from torch import nn

from gaussian_flows import MEAN, VARIANCE, BestVelocity, gaussian_flow, velocity
from genzoo import ConfigError, Label, Real, Unit, create_model
from genzoo.plugin import CapabilityError
from genzoo_diffusion.ode_likelihood import transported
from genzoo_diffusion.rectified_flow import RectifiedFlow, RectifiedFlowConfig
from genzoo_diffusion.runge_kutta import METHODS, equal_times, solved

ORDERS = [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)]


def log_normal(x, mean=MEAN, variance=VARIANCE):
    squares = (x - mean).square().flatten(1).sum(1) / variance
    dims = x.flatten(1).shape[1]
    return -0.5 * (squares + dims * math.log(2 * math.pi * variance))


def points(num=5, shape=(1,), seed=0):
    noise = torch.randn(
        num, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return MEAN + VARIANCE**0.5 * noise


# The path


def test_a_state_lies_on_the_line_from_data_to_noise():
    model = create_model("rectified-flow", event=Real(shape=(2,)))
    x_0, epsilon = torch.tensor([[1.0, 2.0]] * 3), torch.tensor([[-3.0, 5.0]] * 3)
    found = model.diffuse(x_0, torch.tensor([0.0, 0.25, 1.0]), epsilon)
    assert torch.equal(found, torch.tensor([[1.0, 2.0], [0.0, 2.75], [-3.0, 5.0]]))
    a, s = model.path([1.0, 0.3])
    assert (a, s) == ([0.0, 0.7], [1.0, 0.3])


def test_a_prediction_determines_both_ends_of_the_line():
    model = create_model("rectified-flow", event=Real(shape=(2,)))
    x_0, epsilon = torch.randn(4, 2).double(), torch.randn(4, 2).double()
    t = torch.tensor([0.1, 0.4, 0.7, 1.0]).double()
    a, s = model.coefficients(t, x_0)
    x_t, kind = model.diffuse(x_0, t, epsilon), model.parameterization
    target = kind.target(x_0, epsilon, a, s)
    assert torch.equal(target, epsilon - x_0)
    torch.testing.assert_close(kind.x_0(target, x_t, a, s), x_0, rtol=0, atol=1e-12)
    torch.testing.assert_close(kind.epsilon(target, x_t, a, s), epsilon, rtol=0, atol=1e-12)


def test_the_squared_error_of_x_0_follows_from_that_of_the_velocity():
    kind = create_model("rectified-flow", event=Real(shape=(2,))).parameterization
    a, s = 0.3, 1.7
    x_t, output = torch.zeros(1).double(), torch.ones(1).double()
    moved = kind.x_0(output, x_t, a, s) - kind.x_0(0 * output, x_t, a, s)
    factor = kind.x_0_error(torch.tensor((a / s) ** 2, dtype=torch.float64))
    assert moved.square().item() == pytest.approx(factor.item(), abs=1e-12)


def test_the_network_sees_a_thousand_times_the_time_as_in_diffusers():
    model, seen = gaussian_flow(), []
    model.network.register_forward_pre_hook(lambda module, given: seen.append(given[1]))
    model.predict(points(2), torch.tensor([0.25, 1.0]), None)
    assert seen[0].tolist() == [250.0, 1000.0]


def test_a_network_of_x_0_implies_the_velocity():
    model = create_model("rectified-flow", event=Real(shape=(2,)), prediction_type="sample")
    model.network = nn.Identity()
    model.network.forward = lambda x, t, signal: torch.full_like(x, 3.0)
    x, t = torch.tensor([[1.0, 2.0]] * 3), torch.tensor([1.0, 0.5, 0.01])
    expected = torch.tensor([[-2.0, -1.0], [-4.0, -2.0], [-40.0, -20.0]])
    torch.testing.assert_close(model.predict(x, t, None), expected)


@pytest.mark.parametrize(("spacing", "last"), [("trailing", 0.2), ("linspace", 0.001)])
def test_visited_times_begin_at_noise(spacing, last):
    model = create_model("rectified-flow", event=Real(shape=(2,)))
    found = model.visited_times(5, spacing)
    steps = {round(a - b, 12) for a, b in itertools.pairwise(found)}
    assert (found[0], found[-1]) == pytest.approx((1.0, last))
    assert len(found) == 5
    assert len(steps) == 1


def test_a_spacing_that_does_not_begin_at_noise_is_refused():
    model = create_model("rectified-flow", event=Real(shape=(2,)))
    with pytest.raises(ConfigError, match="does not begin at t = 1"):
        model.visited_times(5, "leading")


# The likelihood


def recursion(x, method, num_steps):
    """log p of Gaussian data by the method's own recursion, from the affine field."""
    tableau, total = METHODS[method], torch.zeros(len(x)).double()
    x = x.flatten(1).clone()
    for i in range(num_steps):
        begin, h = (i / num_steps) ** 2, (2 * i + 1) / num_steps**2
        slopes = []
        for row, weight, c in zip(tableau.a, tableau.b, tableau.c, strict=True):
            slope, level = velocity(begin + c * h)
            stage = x + h * sum((a * k for a, k in zip(row, slopes, strict=True)), 0 * x)
            slopes.append(slope * stage + level)
            total = total + h * weight * slope * x.shape[1]
        x = x + h * sum(b * k for b, k in zip(tableau.b, slopes, strict=True))
    return log_normal(x, 0.0, 1.0) + total


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("num_steps", [10, 50, 100])
def test_the_density_of_gaussian_data_follows_the_recursion(method, num_steps):
    model = gaussian_flow((3,), likelihood_method=method, likelihood_steps=num_steps)
    x = points(5, (3,))
    found = model.log_prob(x)
    assert (found.kind, found.measure, found.std_errors) == ("exact", "density", None)
    torch.testing.assert_close(found.values, recursion(x, method, num_steps), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("method", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)]
)
def test_the_error_of_the_density_falls_with_the_order_of_the_method(method, order):
    x, errors = points(), []
    for num_steps in (40, 80):
        model = gaussian_flow(likelihood_method=method, likelihood_steps=num_steps)
        errors.append((model.log_prob(x).values - log_normal(x)).abs().max().item())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


def test_random_directions_estimate_the_divergence_without_bias():
    """Each of 4,000 estimates of a field with a full Jacobian; the tolerance is 4 errors."""
    weight = torch.randn(6, 6, generator=torch.Generator().manual_seed(1)).double()
    x = torch.zeros(4000, 6).double()
    field = lambda x, t: x @ weight.T  # noqa: E731
    _, exact = transported(field, x[:1], METHODS["euler"], 1)
    assert exact.item() == pytest.approx(weight.trace().item(), abs=1e-12)
    _, found = transported(field, x, METHODS["euler"], 1, torch.Generator().manual_seed(0))
    error = found.std().item() / math.sqrt(len(found))
    assert error > 0.01
    assert found.mean().item() == pytest.approx(exact.item(), abs=4 * error)


def test_an_estimated_density_states_its_errors():
    """With a network whose Jacobian is not diagonal; of 400 rows, by 4 errors of the mean."""
    torch.manual_seed(0)
    config = {"event": Real(shape=(6,)), "hidden_dim": 8, "num_blocks": 1, "likelihood_steps": 2}
    exact = create_model("rectified-flow", **config).double()
    torch.nn.init.normal_(exact.network.output[1].weight, std=0.5)
    estimated = create_model("rectified-flow", max_exact_dims=5, **config).double()
    estimated.load_state_dict(exact.state_dict())
    x, generator = torch.randn(400, 6).double(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        truth = exact.log_prob(x)
        found = estimated.log_prob(x, generator=generator, num_samples=16)
    assert (found.kind, found.measure) == ("stochastic estimate", "density")
    z = (found.values - truth.values) / found.std_errors
    assert abs(z.mean().item()) < 4 / math.sqrt(400)
    # A t of 15 degrees of freedom has the variance 15 / 13.
    assert z.var().item() == pytest.approx(15 / 13, rel=0.3)


def test_a_density_of_the_unit_interval_is_in_its_units():
    model = gaussian_flow((2,), mean=0.1, variance=0.04, likelihood_steps=200)
    unit = RectifiedFlow(
        RectifiedFlowConfig(
            event=Unit(shape=(2,)), hidden_dim=2, num_blocks=1, likelihood_steps=200
        )
    ).double()
    unit.network = model.network
    x = torch.tensor([[0.5, 0.6], [0.7, 0.4]]).double()
    expected = log_normal(2 * x - 1, 0.1, 0.04) + 2 * math.log(2)
    torch.testing.assert_close(unit.log_prob(x).values, expected, rtol=0, atol=1e-6)


def test_grey_levels_have_a_lower_bound_on_their_probability():
    """The bound and the exact mass of levels of a Gaussian, by 500 draws of the noise."""
    mean, variance, levels = 0.1, 0.3, 4
    event = Unit(shape=(1,), levels=levels)
    model = RectifiedFlow(
        RectifiedFlowConfig(event=event, hidden_dim=2, num_blocks=1, likelihood_steps=20)
    ).double()
    model.network = BestVelocity(mean, variance)
    x = torch.arange(levels).double()[:, None] / (levels - 1)
    with torch.no_grad():
        found = model.log_prob(x, generator=torch.Generator().manual_seed(0), num_samples=500)
    assert (found.kind, found.measure) == ("lower bound", "mass")
    normal = torch.distributions.Normal(mean, variance**0.5)
    edge = 1 / (levels - 1)  # Half a level in states.
    state = 2 * x[:, 0] - 1
    mass = (normal.cdf(state + edge) - normal.cdf(state - edge)).log()
    u = torch.linspace(-1, 1, 20001).double()[None]
    bound = normal.log_prob(state[:, None] + edge * u).mean(1) + math.log(2 * edge)
    assert (bound <= mass).all()
    assert ((found.values - bound).abs() < 4 * found.std_errors).all()
    assert (found.std_errors < 0.05).all()


def test_samples_of_grey_levels_are_levels():
    model = create_model("rectified-flow", event=Unit(shape=(2, 2), levels=4), channels=(8,))
    x = model.to_data(torch.tensor([[[-1.5, -0.5], [0.4, 2.0]]]))
    assert torch.equal(x, torch.tensor([[[0.0, 1 / 3], [2 / 3, 1.0]]]))


def test_training_draws_noise_of_the_width_of_a_level():
    model = create_model("rectified-flow", event=Unit(shape=(1000,), levels=5), network="flat")
    x = torch.full((1, 1000), 0.5)
    state = model.training_state(x, torch.Generator().manual_seed(0))
    assert state.abs().max() <= 0.25
    assert state.max() > 0.24
    assert state.min() < -0.24
    assert torch.equal(model.state(x), torch.zeros(1, 1000))


def test_a_density_has_gradients():
    torch.manual_seed(0)
    model = create_model("rectified-flow", event=Real(shape=(2,)), likelihood_steps=3).double()
    x = torch.randn(3, 2).double().requires_grad_()
    model.log_prob(x).values.sum().backward()
    step = 1e-5
    moved = x.detach().clone()
    moved[1, 0] += step
    with torch.no_grad():
        change = model.log_prob(moved).values.sum() - model.log_prob(x).values.sum()
    assert x.grad[1, 0].item() == pytest.approx(change.item() / step, rel=1e-3)
    assert all(p.grad is not None for p in model.network.parameters())


@pytest.mark.parametrize("num_steps", [1, 10])
def test_the_note_says_what_twice_as_many_steps_change(num_steps):
    model = gaussian_flow(likelihood_method="euler", likelihood_steps=num_steps)
    x = points()
    with torch.no_grad():
        (note,) = model.log_prob(x).notes
    once, twice = (recursion(x, "euler", n).mean().item() for n in (num_steps, 2 * num_steps))
    assert f"solved by euler in {num_steps} steps; twice as many change the mean" in note.text
    assert f"of 5 rows by {twice - once:+.2g} nats" in note.text


@pytest.mark.parametrize(("num_steps", "unreliable"), [(1, True), (2, True), (100, False)])
def test_too_few_steps_are_unreliable(num_steps, unreliable):
    """The error of two steps of Euler's method is .3 nats, that of a hundred .003."""
    model = gaussian_flow((3,), likelihood_method="euler", likelihood_steps=num_steps)
    x = points(5, (3,))
    with torch.no_grad():
        (note,) = model.log_prob(x).notes
    (with_graph,) = model.log_prob(x).notes
    assert (note.unreliable, with_graph.unreliable) == (unreliable, unreliable)
    assert ("more steps" in note.text) == unreliable


def test_inference_mode_is_refused_with_the_remedy():
    with torch.inference_mode(), pytest.raises(CapabilityError, match=r"Use torch\.no_grad\(\)"):
        gaussian_flow().log_prob(points())


def test_an_estimate_does_not_depend_on_how_often_it_is_asked():
    model = create_model(
        "rectified-flow", event=Real(shape=(3,)), max_exact_dims=0, likelihood_steps=2
    )
    x = torch.randn(4, 3)
    with torch.no_grad():
        one, other = (
            model.log_prob(x, generator=torch.Generator().manual_seed(3)).values for _ in range(2)
        )
    assert torch.equal(one, other)


# Runge-Kutta


@pytest.mark.parametrize(
    ("method", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)]
)
def test_a_method_has_its_order_on_a_nonlinear_equation(method, order):
    """dy/dt = y cos t, y(0) = 1: y = exp(sin t)."""
    errors = []
    for num in (20, 40):
        (y,) = solved(
            lambda y, t: (y[0] * math.cos(t),),
            (torch.ones(1).double(),),
            METHODS[method],
            equal_times(0.0, 2.0, num),
        )
        errors.append(abs(y.item() - math.exp(math.sin(2.0))))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.3)


# Refusals


def test_labels_condition_the_velocity():
    torch.manual_seed(0)
    model = create_model(
        "rectified-flow", event=Real(shape=(2,)), conditions={"label": Label(num_classes=3)}
    )
    torch.nn.init.normal_(model.network.classes.weight)
    x = torch.randn(1, 2).repeat(2, 1)
    found = model.predict(x, torch.full((2,), 0.5), model.signal(torch.tensor([0, 1]), 2))
    assert not torch.equal(found[0], found[1])


def test_denoising_is_refused_with_the_objective_to_use():
    from genzoo_diffusion.objectives import Denoising

    model = create_model("rectified-flow", event=Real(shape=(2,)))
    with pytest.raises(CapabilityError, match="flow-matching"):
        Denoising(model)
