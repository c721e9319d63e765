"""The variational bound: on Gaussian data in closed form, and of grey levels."""

import math

import mpmath
import numpy as np
import pytest
import torch

from gaussian import gaussian_model
from genzoo import DataError, Real, Unit
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.ddpm import DDPM, DDPMConfig
from genzoo_diffusion.vlb import Bound
from likelihoods import mean_log_prob
from models import LABELS

NODES, WEIGHTS = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(4))
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def exact_terms(model, mean, variance):
    """Expectations over data and noise by quadrature, exact for the terms are quadratic."""
    x_0 = (mean + variance**0.5 * NODES).repeat_interleave(4)[:, None]
    epsilon, weight = NODES.repeat(4)[:, None], WEIGHTS.repeat_interleave(4) * WEIGHTS.repeat(4)
    bound, found = Bound(model), []
    for time in range(len(model.schedule)):
        t = torch.full((16,), time)
        found.append((weight * bound.terms(x_0, epsilon, t, Signal())).sum().item())
    return (weight * bound.prior(x_0)).sum().item(), found


def kl(mean, variance, other):
    """KL(N(mean, variance) ‖ N(0, other))."""
    return 0.5 * (variance / other + mean**2 / other - 1 - math.log(variance / other))


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_on_gaussian_data_the_terms_sum_to_entropy_and_kl(large, kind):
    """The best denoiser's chain back differs from the true one in its variances alone.

    q(x_{t−1} | x_t) has the variance β̃ + (weight of x_0)² Var(x_0 | x_t), the model's is σ²; so
    the bound is H(x_0) + KL(q(x_T) ‖ N(0, 1)) + Σ_t ½ (r − 1 − log r), r their ratio. 1e-5: the
    model's √ᾱ are in float32.
    """
    mean, variance = 1.0, 0.25
    variance_type = "fixed_large" if large else "fixed_small"
    model = gaussian_model(mean, variance, prediction_type=kind, variance_type=variance_type)
    prior, terms = exact_terms(model, mean, variance)
    schedule = model.schedule
    ab, posterior = schedule.alpha_bar, schedule.posterior_variance
    own = schedule.beta.clone() if large else posterior.clone()
    own[0] = schedule.beta[0] if large else posterior[1]
    of_data = variance * (1 - ab) / (ab * variance + 1 - ab)
    r = (posterior + schedule.posterior_weights[0] ** 2 * of_data) / own
    entropy = 0.5 * math.log(2 * math.pi * math.e * variance)
    at_end = kl(ab[-1].item() ** 0.5 * mean, (ab[-1] * variance + 1 - ab[-1]).item(), 1.0)
    exact = entropy + at_end + 0.5 * (r - 1 - r.log()).sum().item()
    assert prior + sum(terms) == pytest.approx(exact, abs=1e-5)
    assert exact > entropy


def test_log_likelihood_is_the_bound_of_the_rows(generator):
    """At every time, of 20,000 rows; 4 standard errors, which are below 0.05 nat."""
    model = gaussian_model(num_train_timesteps=50, schedule="cosine")
    x = 1 + 0.5 * torch.randn(20_000, 1, generator=generator, dtype=torch.float64)
    prior, terms = exact_terms(model, 1.0, 0.25)
    for num in (49, 10, None):
        found = mean_log_prob(model, x, generator=generator, num_samples=num)
        assert found.value == pytest.approx(-prior - sum(terms), abs=4 * found.std_error)
        assert found.std_error < 0.05
        assert (found.kind, found.unit, found.num_samples) == ("lower bound", "nats", 20_000)


def grey(**config):
    torch.manual_seed(0)
    given = {"event": Unit(shape=(3,), levels=5), "hidden_dim": 4, **config}
    return DDPM(DDPMConfig(num_train_timesteps=10, schedule="cosine", **given)).double()


def test_a_likelihood_says_at_which_times_it_is_computed_and_whether_it_is_a_density():
    x = torch.zeros(2, 3)
    for num, share in ((9, "at every time."), (4, "at the first time and 4 others.")):
        (note,) = mean_log_prob(grey(), x, num_samples=num).notes
        assert note.code == "variational-bound"
        assert note.text == f"Variational bound of 10 steps, each row's terms computed {share}"
    for event in (Unit(shape=(3,)), Real(shape=(3,))):
        codes = [note.code for note in mean_log_prob(grey(event=event), x).notes]
        assert codes == ["variational-bound", "density"]


def test_probabilities_of_grey_levels_sum_to_one():
    model = grey()
    levels = torch.linspace(-1, 1, 5, dtype=torch.float64)
    for predicted in (-1.4, -0.2, 0.99):
        mean = torch.full((5, 1), predicted, dtype=torch.float64)
        log_p = -Bound(model).decoder(levels[:, None], mean)
        assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-9)


FAR = [(-0.5, 0.9), (0.0, -0.9), (-1.0, 0.8), (1.0, -0.7), (0.0, 0.26), (0.5, 0.5)]


@pytest.mark.parametrize(("x_0", "predicted"), FAR)
def test_no_level_is_more_likely_than_it_is(x_0, predicted):
    """Down to e^−5000: a floor of 1e-12, which is e^−27.6, would make the bound no bound.

    Against fifty digits; half a level is 34 standard deviations of the last step.
    """
    model = gaussian_model(event=Unit(shape=(1,), levels=5))
    scale = mpmath.sqrt(model.schedule.posterior_variance[1].item())
    lower = -mpmath.inf if x_0 == -1 else (x_0 - 0.25 - predicted) / scale
    upper = mpmath.inf if x_0 == 1 else (x_0 + 0.25 - predicted) / scale
    with mpmath.workdps(50):  # Of the smaller tail, so that no digits are lost.
        a, b = (lower, upper) if upper < 0 or lower < -upper else (-upper, -lower)
        exact = mpmath.log(mpmath.ncdf(b) - mpmath.ncdf(a))
    given, mean = (torch.tensor([[value]], dtype=torch.float64) for value in (x_0, predicted))
    found = -Bound(model).decoder(given, mean).item()
    assert found == pytest.approx(float(exact), rel=1e-12, abs=1e-15)


def test_the_gradient_of_far_levels_leads_to_them():
    """A floor has none: what is predicted far off would stay there. Against finite differences."""
    model = gaussian_model(event=Unit(shape=(1,), levels=5))
    predicted = torch.tensor([[0.9], [0.26], [-0.3], [1.0]], dtype=torch.float64)
    x_0 = torch.tensor([[-0.5], [0.0], [0.5], [-1.0]], dtype=torch.float64)
    with_gradient = predicted.clone().requires_grad_()
    Bound(model).decoder(x_0, with_gradient).sum().backward()
    h = 1e-6
    ends = [Bound(model).decoder(x_0, predicted + d) for d in (h, -h)]
    torch.testing.assert_close(
        with_gradient.grad[:, 0], (ends[0] - ends[1]) / (2 * h), rtol=1e-5, atol=1e-5
    )


def test_a_density_in_the_unit_interval_is_one_of_x(generator):
    """∫ p(x) dx = 1 over x, not over the states 2x − 1."""
    model = grey(event=Unit(shape=(3,)))
    x = torch.linspace(-1, 2, 4001, dtype=torch.float64)[:, None]
    log_p = -Bound(model).decoder(model.state(x), torch.full_like(x, 0.1))
    assert (log_p.exp().sum() * 3 / 4000).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("value", [0.3, 1.25, float("nan")])
def test_values_between_the_levels_have_no_likelihood(value):
    with pytest.raises(DataError):
        mean_log_prob(grey(), torch.full((2, 3), value))
    assert mean_log_prob(grey(), torch.full((2, 3), 0.25)).value < 0


def test_the_bound_of_data_is_that_of_a_chain_that_clips():
    """A prediction far off the data's range costs what its end does."""
    model = grey()
    x_0, t = torch.zeros(1, 3).double(), torch.tensor([5])

    class Far(torch.nn.Module):
        def forward(self, x_t, t, signal):
            a, s = model.coefficients(t, x_t)
            return (x_t - 7 * a) / s

    model.network = Far()
    epsilon = torch.zeros_like(x_0)
    clipped = Bound(model, clip=True).terms(x_0, epsilon, t, Signal())
    ends = Bound(model).step(x_0, torch.ones_like(x_0), t)
    torch.testing.assert_close(clipped, ends)
    assert Bound(model).terms(x_0, epsilon, t, Signal()) > clipped


def test_times_that_go_through_the_network_together_are_those_of_each_row(generator):
    """At every time, of two rows with labels: the sum that one time after the other comes to."""
    model = grey(conditions=LABELS)
    x, labels = torch.tensor([[0.0, 0.25, 1.0], [0.5, 0.75, 0.0]]).double(), torch.tensor([0, 2])
    again = generator.clone_state()
    found = mean_log_prob(model, x, condition=labels, generator=generator, num_samples=9)
    bound, x_0 = Bound(model, clip=True), model.state(x)
    total = bound.prior(x_0)
    for time in range(10):
        t = torch.randint(time, time + 1, (2,), generator=again)
        epsilon = torch.randn(x_0.shape, generator=again, dtype=x_0.dtype)
        total = total + bound.terms(x_0, epsilon, t, Signal(labels=labels))
    assert found.value == pytest.approx(-total.mean().item(), rel=1e-9)


@pytest.mark.parametrize(("num", "sizes"), [(200, [400] * 5), (300, [300] * 10), (600, None)])
def test_no_more_than_512_states_go_through_the_network_at_once(num, sizes):
    model, seen = grey(), []
    model.network.register_forward_hook(lambda module, given, out: seen.append(len(given[0])))
    mean_log_prob(model, torch.zeros(num, 3), num_samples=9)
    # 600 rows are 512, one time after the other, and 88, of which five times go together.
    assert seen == (sizes or [512] * 10 + [440] * 2)
