"""Inpainting: draws from the conditional, against Gaussian data in closed form."""

import pytest
import torch
from torch import nn

from genzoo import ConditionError, ConfigError, DataError, Label, Real
from genzoo.plugin import NotFiniteWeightsError
from genzoo_diffusion import inpainting
from genzoo_diffusion.ddpm import DDPM, DDPMConfig
from genzoo_diffusion.grid import times
from genzoo_diffusion.inpainting import CORRECTIONS, LEAST_SNR, corrections
from genzoo_diffusion.levels import Level
from genzoo_diffusion.schedule import make_schedule
from models import FLAT, IMAGE, labelled, model, states


class JointDenoiser(nn.Module):
    """The exact denoiser of N(μ_c, Σ), μ_c by label: the ε of E[x_0 | x_t].

    E[x_0 | x_t] = μ + √ᾱ Σ (ᾱ Σ + (1 − ᾱ) I)⁻¹ (x_t − √ᾱ μ).
    """

    def __init__(self, schedule, mean, covariance):
        super().__init__()
        self.alpha_bar, self.mean, self.covariance = schedule.alpha_bar, mean, covariance
        self.calls = 0
        self.unused = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x_t, t, signal):
        self.calls += 1
        alpha_bar, eye = self.alpha_bar[t[0]], torch.eye(x_t.shape[1], dtype=x_t.dtype)
        mean = self.mean if signal.labels is None else self.mean[signal.labels]
        total = alpha_bar * self.covariance + (1 - alpha_bar) * eye
        gain = torch.linalg.solve(total, alpha_bar.sqrt() * self.covariance).T
        x_0 = mean + (x_t - alpha_bar.sqrt() * mean) @ gain.T
        return (x_t - alpha_bar.sqrt() * x_0) / (1 - alpha_bar).sqrt()


def joint(mean, covariance, **config):
    mean, covariance = (torch.as_tensor(v, dtype=torch.float64) for v in (mean, covariance))
    shape = {"event": Real(shape=(len(covariance),)), "hidden_dim": 2, "num_blocks": 1}
    found = DDPM(DDPMConfig(**shape, **config)).double()
    found.network = JointDenoiser(found.schedule, mean, covariance)
    return found


PAIR = [[1.0, 0.9], [0.9, 1.0]]


def filled_in(found, value, num, generator, **given):
    """Draws of x_2 given x_1; what is not known is NaN."""
    x = torch.tensor([[value, float("nan")]], dtype=torch.float64).repeat(num, 1)
    done = found.inpaint(x, torch.tensor([False, True]), generator=generator, **given)
    assert (done[:, 0] == value).all()
    return done[:, 1]


def test_what_is_filled_in_is_a_draw_from_the_conditional(generator, monkeypatch):
    """N(1.35, .19). The stated bias is .010 and .002, the standard errors are .0044 and .0027.

    Putting what is known back after each step, and no more, gives .94 and .31.
    """
    found = joint([0.0, 0.0], PAIR)
    drawn = filled_in(found, 1.5, 10_000, generator)
    assert drawn.mean().item() == pytest.approx(1.35, abs=0.03)
    assert drawn.var().item() == pytest.approx(0.19, abs=0.015)
    assert found.network.calls == 5 * 250
    monkeypatch.setattr(inpainting, "CORRECTIONS", 0)
    plain = filled_in(found, 1.5, 2000, generator)
    assert plain.mean().item() < 1
    assert plain.var().item() > 0.28


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_hundred_steps_come_nearly_as_near(schedule, variance, generator):
    """The exact recursion gives 1.327 and .193 to .198; 4,000 rows, errors of .007 and .004."""
    found = joint([0.0, 0.0], PAIR, schedule=schedule, variance_type=variance)
    drawn = filled_in(found, 1.5, 4000, generator, num_inference_steps=100)
    assert found.network.calls == 500
    assert drawn.mean().item() == pytest.approx(1.327, abs=0.028)
    assert drawn.var().item() == pytest.approx(0.196, abs=0.019)


def test_half_of_sixteen_dimensions_is_drawn_given_the_other_half(generator):
    """A random covariance. In conditional standard deviations the bias of a mean is .16 at most.

    Errors of .022 at 2,000 rows; without corrections a mean is off by .60. The covariance is
    within .12, as that of as many draws of the conditional itself is within .07.
    """
    A = torch.randn(16, 32, generator=generator, dtype=torch.float64)
    S, known = A @ A.T / 32, torch.arange(16) % 2 == 0
    x = (torch.linalg.cholesky(S) @ torch.randn(16, generator=generator, dtype=torch.float64))[
        None
    ]
    B = torch.linalg.solve(S[known][:, known], S[known][:, ~known]).T
    mean, covariance = B @ x[0, known], S[~known][:, ~known] - B @ S[known][:, ~known]
    found = joint(torch.zeros(16), S)
    done = found.inpaint(x.repeat(2000, 1), ~known, generator=generator, num_inference_steps=50)
    drawn = done[:, ~known]
    assert torch.equal(done[:, known], x[:, known].repeat(2000, 1))
    assert ((drawn.mean(0) - mean).abs() / covariance.diagonal().sqrt()).max() < 0.25
    distance = torch.linalg.matrix_norm(drawn.T.cov() - covariance)
    assert distance / torch.linalg.matrix_norm(covariance) < 0.12


def test_inpainting_is_given_its_condition_too(generator):
    """Classes N(±(1, 0), Σ) and, without a label, N((0, 0), Σ): mean m_2 + .9 (1.5 − m_1).

    At 100 steps the bias is 1.7 % of what is known moves it by; errors of .01 at 2,000 rows.
    """
    means = [[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]
    found = joint(means, PAIR, conditions={"label": Label(num_classes=2)})
    for condition, mean in ((0, 0.45), (1, 2.25), (torch.arange(2000) % 2, None), (None, 1.35)):
        given = {"num_inference_steps": 100, "condition": condition}
        drawn = filled_in(found, 1.5, 2000, generator, **given)
        halves = [drawn] if mean is not None else [drawn[::2], drawn[1::2]]
        for half, expected in zip(
            halves, [mean] if mean is not None else [0.45, 2.25], strict=True
        ):
            assert half.mean().item() == pytest.approx(0.983 * expected, abs=0.06)


@pytest.mark.parametrize("name", ["linear", "cosine", "zero-terminal-snr", "scaled-linear"])
@pytest.mark.parametrize("num_inference_steps", [1, 2, 5, 250, 1000])
def test_langevin_steps_are_spread_evenly_over_log_snr(name, num_inference_steps):
    schedule = make_schedule(name, 1000, 1e-4, 0.02)
    grid = times("trailing", 1000, num_inference_steps)
    alpha_bar = schedule.alpha_bar[grid].tolist()
    levels = [Level(t, ab**0.5, (1 - ab) ** 0.5) for t, ab in zip(grid, alpha_bar, strict=True)]
    number, total = corrections(levels), CORRECTIONS * num_inference_steps
    assert min(number) >= 0
    if schedule.snr[grid[-1]] <= LEAST_SNR:  # One or two steps come to no such time.
        assert set(number) == {0}
        return
    log_snr = schedule.snr[grid].clamp_min(LEAST_SNR).log()
    made = torch.tensor(number).cumsum(0)
    even = total * (log_snr - log_snr[0]) / (log_snr[-1] - log_snr[0])
    assert made[-1] == total
    assert (made - even).abs().max() <= 0.5 + 1e-9


@pytest.mark.parametrize("shape", [FLAT, IMAGE])
@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_what_is_known_comes_back_to_the_bit_and_the_rest_is_finite(kind, shape, generator):
    found = model(shape, prediction_type=kind)
    schedules = [{}] if kind == "epsilon" else [{}, {"schedule": "zero-terminal-snr"}]
    for config in schedules:
        found = model(shape, prediction_type=kind, **config)
        x = states(3, found).sigmoid()
        known = torch.rand(x.shape, generator=generator) < 0.5
        for num_inference_steps in (1, 7):
            done = found.inpaint(
                x, ~known, generator=generator, num_inference_steps=num_inference_steps
            )
            assert torch.equal(done[known], x[known])
            assert torch.isfinite(done).all()
            assert shape is FLAT or ((done >= 0) & (done <= 1)).all()


def test_what_is_not_known_is_not_looked_at():
    found, known = model(), torch.tensor([True, False, True])
    draws = []
    for value in (0.0, 1e30, float("nan"), float("inf")):
        x = torch.tensor([[0.5, value, -0.5]])
        draws.append(found.inpaint(x, ~known, generator=torch.Generator().manual_seed(0)))
    assert all(torch.equal(draws[0], other) for other in draws[1:])


def test_what_cannot_be_inpainted_is_refused(generator):
    known = torch.zeros(1, 4, 4, dtype=torch.bool)
    known[:, :2] = True
    found, x = model(IMAGE), torch.full((2, 1, 4, 4), 0.5)
    with pytest.raises(ConfigError, match="num_inference_steps must be at least 1, got 0"):
        found.inpaint(x, ~known, generator=generator, num_inference_steps=0)
    with pytest.raises(DataError, match=r"row 0 holds 1\.5"):
        found.inpaint(x + 1, known, generator=generator)
    with pytest.raises(DataError, match="row 0 holds nan"):
        found.inpaint(x * float("nan"), known, generator=generator)
    with pytest.raises(ConditionError, match="from 0 to 2"):
        labelled(IMAGE).inpaint(x, ~known, generator=generator, condition=7)
    with pytest.raises(ConditionError, match="needs a label"):
        labelled(IMAGE, condition_dropout=0.0).inpaint(x, ~known, generator=generator)
    with torch.no_grad():
        next(found.network.parameters()).fill_(float("nan"))
    with pytest.raises(NotFiniteWeightsError, match="not finite"):
        found.inpaint(x, ~known, generator=generator)


def test_the_mask_is_true_where_values_are_filled_in():
    """The draws are those that a mask of what is given, its opposite, gave before."""
    found = labelled(FLAT).double()
    with torch.no_grad():
        for i, p in enumerate(found.parameters()):
            values = torch.linspace(-0.2, 0.1, p.numel(), dtype=torch.float64)
            p.copy_(values.roll(i).view(p.shape))
    x = torch.tensor([[-1.0, -0.6, -0.2], [0.2, 0.6, 1.0]], dtype=torch.float64)
    given = torch.tensor([[True, False, True], [False, False, True]])
    how = {"num_inference_steps": 5, "condition": torch.tensor([0, 2])}
    done = found.inpaint(x, ~given, generator=torch.Generator().manual_seed(3), **how)
    filled_in = torch.tensor([[-1, 28.1678285, -0.2], [-108.4786816, 2.7555728, 1]])
    torch.testing.assert_close(done, filled_in.double(), rtol=1e-6, atol=1e-6)
