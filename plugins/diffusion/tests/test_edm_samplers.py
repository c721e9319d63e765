"""A network of ε in the place of F: samplers, guidance, bound and inpainting give the same."""

import pytest
import torch
from torch import nn

from edm_models import KARRAS
from genzoo import Component
from genzoo.plugin import make
from models import FLAT, labelled, states

LABEL = torch.tensor([0, 1, 2, 0])
SIGMA_DATA = 0.7


class OfNoise(nn.Module):
    """F by the predictions of ε of a model on the same schedule, with d = √(s² + a² σ_d²)."""

    def __init__(self, model):
        super().__init__()
        self.model, self.log_sigma = model.network, model.schedule.log_sigma
        self.alpha_bar = model.schedule.alpha_bar

    def forward(self, scaled, c_noise, signal):
        t = (4 * c_noise[:, None] - self.log_sigma).abs().argmin(1)
        alpha_bar = self.alpha_bar[t].view(-1, *[1] * (scaled.ndim - 1))
        a, s = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        d = (s**2 + (a * SIGMA_DATA) ** 2).sqrt()
        x_t = scaled * d
        epsilon = self.model(x_t, t, signal)
        return (s / SIGMA_DATA * (x_t - s * epsilon) / a - a * SIGMA_DATA * epsilon) / d


@pytest.fixture(params=["karras", "cosine"])
def pair(request):
    """A model that predicts ε and one that predicts F, with one function behind both."""
    chain = {"schedule": request.param, "num_train_timesteps": 19}
    one = labelled(FLAT, **chain).double()
    other = labelled(FLAT, **chain, prediction_type="edm", sigma_data=SIGMA_DATA).double()
    for model in (one, other):  # They are made in float32.
        model.alpha = model.schedule.alpha_bar.sqrt()
        model.sigma = (1 - model.schedule.alpha_bar).sqrt()
    other.network = OfNoise(one)
    return one.eval(), other.eval()


def close(found, expected):
    """The largest 1 / a, 2e4 at the end of the cosine schedule, multiplies rounding."""
    scale = expected.abs().max()
    assert scale > 0.1
    torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=1e-10)


@pytest.mark.parametrize("guidance", [1.0, 2.5])
@pytest.mark.parametrize("spacing", ["trailing", "linspace"])
@pytest.mark.parametrize("name", ["ddpm", "ddim", "euler", "heun"])
def test_every_sampler_takes_predictions_of_f(name, spacing, guidance, pair):
    config = {"num_inference_steps": 7, "timestep_spacing": spacing, "guidance_scale": guidance}
    if name == "ddim":
        config["eta"] = 0.5
    sampler = make("samplers", Component(name=name, config=config))
    one, other = (
        model.sample(4, condition=LABEL, seed=0, sampler=sampler).detach() for model in pair
    )
    close(other, one)


def test_dpm_solver_takes_predictions_of_f(pair):
    """1e-5: it is diffusers', which computes in float32."""
    sampler = make("samplers", Component(name="dpm-solver++", config={"num_inference_steps": 7}))
    one, other = (
        model.sample(4, condition=LABEL, seed=0, sampler=sampler).detach() for model in pair
    )
    torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5 * one.abs().max().item())


def test_the_bound_is_the_same(pair):
    x, found = states(4, pair[0]), []
    for model in pair:
        generator = torch.Generator().manual_seed(0)
        found.append(model.log_prob(x, condition=LABEL, generator=generator).values.detach())
    close(found[1], found[0])


def test_what_is_inpainted_is_the_same(pair):
    x, mask = states(4, pair[0]), torch.tensor([True, False, True])
    one, other = (
        model.inpaint(x, mask, generator=torch.Generator().manual_seed(0), condition=LABEL)
        for model in pair
    )
    close(other, one)
    assert torch.equal(one[:, 1], x[:, 1])


def test_a_variation_of_given_rows_is_the_same(pair):
    start, config = states(4, pair[0]), {"num_inference_steps": 7, "strength": 0.5}
    sampler = make("samplers", Component(name="heun", config=config))
    one, other = (
        model.sample(4, condition=LABEL, start=start, seed=0, sampler=sampler).detach()
        for model in pair
    )
    close(other, one)


def test_the_default_sampler_is_heuns_from_the_largest_noise_to_the_least():
    found, seen = labelled(FLAT, **{**KARRAS, "num_train_timesteps": 171}), []
    found.network.register_forward_hook(lambda module, given, out: seen.append(given[1][0]))
    found.sample(1, condition=0, seed=0)
    assert len(seen) == 2 * 18 - 1
    expected = found.schedule.log_sigma / 4
    assert seen[0].item() == pytest.approx(expected[-1].item(), rel=1e-5)
    assert seen[-1].item() == pytest.approx(expected[0].item(), rel=1e-5)
