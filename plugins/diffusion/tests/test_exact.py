"""The chain whose law the likelihood is of, against that law by quadrature."""

import math

import numpy as np
import pytest
import torch

from gaussian import gaussian_model
from genzoo import CapabilityError, ConfigError, Unit
from genzoo_diffusion.ddpm import DDPM, DDPMConfig
from genzoo_diffusion.latent_ddpm import LatentDDPM
from genzoo_diffusion.samplers import DDPMConfig as SamplerConfig, DDPMSampler
from genzoo_diffusion.vlb import Bound, step_variance
from likelihoods import mean_log_prob
from models import IMAGE, labelled

EXACT = DDPMSampler(SamplerConfig(exact=True))


def tiny(**config):
    """One value of four grey levels, by four steps and an untrained network."""
    torch.manual_seed(1)
    given = {"event": Unit(shape=(1,), levels=4), "hidden_dim": 8, **config}
    found = DDPM(DDPMConfig(num_train_timesteps=4, schedule="cosine", **given)).double()
    with torch.no_grad():  # So that predictions are no longer near 0, and some are clipped.
        for parameter in found.network.parameters():
            parameter.mul_(2)
    return found.eval()


@torch.no_grad()
def law(found):
    """P of each level, by quadrature over the states of all times; the densities are smooth."""
    x = torch.linspace(-8, 8, 1201, dtype=torch.float64)
    width, schedule, own = (x[1] - x[0]).item(), found.schedule, step_variance(found)
    normal = torch.distributions.Normal
    density = normal(0, 1).log_prob(x).exp()
    signal = found.signal(None, len(x))
    for time in range(len(schedule) - 1, -1, -1):
        t = torch.full((len(x),), time)
        x_0 = found.predicted_x_0(x[:, None], t, signal)[:, 0].clamp(-1, 1)
        if time == 0:
            break
        of_x_0, of_x_t = (weight[time] for weight in schedule.posterior_weights)
        step = normal((of_x_0 * x_0 + of_x_t * x)[:, None], own[time].sqrt())
        density = width * (density @ step.log_prob(x).exp())
    levels = torch.linspace(-1, 1, found.levels, dtype=torch.float64)
    edges = torch.cat([x.new_tensor([-math.inf]), (levels[1:] + levels[:-1]) / 2, x.new_ones(1)])
    edges[-1] = math.inf
    below = normal(x_0[:, None], own[0].sqrt()).cdf(edges)
    return width * (density @ below.diff(dim=1))


def bounds(found):
    """The bound on log P of each level, with its expectations over noise by quadrature."""
    nodes, weights = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(100))
    weights = weights / weights.sum()
    bound, values = Bound(found, clip=True), []
    for level in torch.linspace(-1, 1, found.levels, dtype=torch.float64):
        x_0, total = level.expand(len(nodes), 1), bound.prior(level.view(1, 1))
        for time in range(len(found.schedule)):
            t, signal = torch.full((len(nodes),), time), found.signal(None, len(nodes))
            total = total + (weights * bound.terms(x_0, nodes[:, None], t, signal)).sum()
        values.append(-total.item())
    return torch.tensor(values, dtype=torch.float64)


def chi_square(x, probability):
    """Pearson's statistic of samples in [0, 1] against the probabilities of levels."""
    most = len(probability) - 1
    count = torch.bincount((x * most).round().long().flatten(), minlength=most + 1)
    expected = len(x) * probability
    return ((count - expected).square() / expected).sum().item()


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_samples_of_the_exact_chain_have_its_law(variance):
    """20,000 draws; 16.3 is the 0.1 % point of χ² with three degrees of freedom.

    The default chain, taken to the nearest level, is another law, and is told from it.
    """
    found = tiny(variance_type=variance)
    probability = law(found)
    assert probability.sum().item() == pytest.approx(1, abs=1e-6)
    x = found.sample(20_000, seed=0, sampler=EXACT, batch_size=20_000)
    torch.testing.assert_close((3 * x).round() / 3, x, rtol=0, atol=1e-12)
    assert chi_square(x, probability) < 16.3
    assert chi_square(found.sample(20_000, seed=0, batch_size=20_000), probability) > 200


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_the_bound_is_one_on_the_law_of_the_exact_chain(variance, generator):
    """L(x) ≤ log P(x) for each level, which is more than that Σ exp L(x) ≤ 1.

    The likelihood of 4,000 equal rows is within 4 standard errors of L.
    """
    found = tiny(variance_type=variance)
    log_p, bound = law(found).log(), bounds(found)
    assert (bound <= log_p + 1e-9).all()
    for level in range(4):
        rows = torch.full((4000, 1), level / 3, dtype=torch.float64)
        estimate = mean_log_prob(found, rows, generator=generator)
        assert estimate.value == pytest.approx(bound[level].item(), abs=4 * estimate.std_error)


def test_the_last_draw_of_real_data_has_the_variance_of_the_last_step():
    """The same states but for the last: their difference is σ_0 z; 20,000 rows, 5 errors."""
    found = gaussian_model(num_train_timesteps=20, schedule="cosine")
    plain, exact = (
        found.sample(20_000, seed=0, sampler=s, batch_size=20_000) for s in (DDPMSampler(), EXACT)
    )
    difference = exact - plain
    error = 5 * (2 / 20_000) ** 0.5
    variance = step_variance(found)[0].item()
    assert difference.var().item() / variance == pytest.approx(1, abs=error)
    assert abs(torch.corrcoef(torch.stack([difference, plain])[:, :, 0])[0, 1]) < 5 / 20_000**0.5


def test_images_with_labels_come_at_their_levels():
    found = labelled({**IMAGE, "event": Unit(shape=(1, 4, 4), levels=5)})
    x = found.sample(3, condition=1, seed=0, sampler=EXACT)
    torch.testing.assert_close((4 * x).round() / 4, x)
    assert EXACT.num_states(found) == 20


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"num_inference_steps": 10}, "num_inference_steps = 10"),
        ({"variance_type": "fixed_large"}, "variance_type = fixed_large"),
        ({"clip_sample": False}, "clip_sample = False"),
        ({"guidance_scale": 2.0}, "guidance_scale = 2.0"),
        ({"strength": 0.5}, "strength = 0.5"),
    ],
)
def test_what_makes_another_chain_is_refused(config, name):
    sampler = DDPMSampler(SamplerConfig(exact=True, **config))
    found = labelled()
    with pytest.raises(ConfigError, match=name):
        found.sample(2, condition=0, start=torch.zeros(2, 3), sampler=sampler)
    same = {"num_inference_steps": 20, "variance_type": "fixed_small"}
    every = DDPMSampler(SamplerConfig(exact=True, **same))
    given = found.sample(2, condition=0, seed=0, sampler=every)
    assert torch.equal(given, found.sample(2, condition=0, seed=0, sampler=EXACT))


def test_models_without_a_likelihood_have_no_exact_chain():
    found = LatentDDPM(LatentDDPM.example()[0])
    with pytest.raises(CapabilityError, match="LatentDDPM has none"):
        found.sample(2, condition=0, sampler=EXACT)
