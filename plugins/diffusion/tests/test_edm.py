"""EDM: its preconditioning, its schedule, its loss, and samples of Gaussian data."""

import itertools
import math

import pytest
import torch

from edm_models import KARRAS, coefficients, gaussian_edm, karras
from genzoo import Component, ConfigError, DataInfo, Real, Unit, create_model
from genzoo.plugin import Step
from genzoo_diffusion.ddpm import DDPM
from genzoo_diffusion.latent_ddpm import LatentDDPM
from genzoo_diffusion.networks import TimeEmbedding
from genzoo_diffusion.objectives import Denoising, DenoisingConfig, log_normal_times
from genzoo_diffusion.parameterization import EDM, Velocity
from genzoo_diffusion.samplers import Heun, HeunConfig
from genzoo_diffusion.schedule import make_schedule
from models import FLAT, IMAGE, labelled, model, states

x_0, epsilon = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0)).double()
SIGMA = torch.tensor([0.002, 0.05, 0.3, 1.0, 4.0, 80.0, 1e4]).double()[:, None]
a, s = 1 / (1 + SIGMA**2).sqrt(), SIGMA / (1 + SIGMA**2).sqrt()
SIGMA_DATA = pytest.mark.parametrize("sigma_data", [0.3, 0.5, 1.0, 2.0])


def close(found, expected, tolerance=1e-12):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


# The parameterisation


@SIGMA_DATA
def test_it_is_the_papers_preconditioning_of_x_t_by_a(sigma_data):
    """With σ = s / a: D = c_skip x + c_out F(c_in x, ln(σ) / 4), table 1 and equation 7."""
    kind, x_t = EDM(sigma_data), a * x_0 + s * epsilon
    c_skip, c_out, c_in = coefficients(SIGMA, sigma_data)
    scaled, time = kind.inputs(x_t, torch.arange(7), a, s)
    close(scaled, c_in * (x_0 + SIGMA * epsilon))
    close(time, SIGMA[:, 0].log() / 4)
    F = torch.randn(7, 5, generator=torch.Generator().manual_seed(1)).double()
    D = c_skip * (x_0 + SIGMA * epsilon) + c_out * F
    close(kind.x_0(F, x_t, a, s), D)
    # At σ = .002 the difference on the right loses three digits.
    close(kind.epsilon(F, x_t, a, s), (x_0 + SIGMA * epsilon - D) / SIGMA, 1e-10)


@SIGMA_DATA
def test_its_target_gives_data_and_noise_back(sigma_data):
    kind, x_t = EDM(sigma_data), a * x_0 + s * epsilon
    target = kind.target(x_0, epsilon, a, s)
    c_skip, c_out, _ = coefficients(SIGMA, sigma_data)
    close(c_out * target, x_0 - c_skip * (x_0 + SIGMA * epsilon))
    close(kind.x_0(target, x_t, a, s), x_0)
    close(kind.epsilon(target, x_t, a, s), epsilon)


@SIGMA_DATA
def test_input_and_target_have_variance_one_if_the_data_have_that_of_the_config(sigma_data):
    """Both are linear in x_0 and ε, so their variance is w_0² σ_d² + w_ε²."""
    kind, one, zero = EDM(sigma_data), torch.ones(7, 1).double(), torch.zeros(7, 1).double()
    of_x_0, of_noise = kind.target(one, zero, a, s), kind.target(zero, one, a, s)
    close((of_x_0 * sigma_data) ** 2 + of_noise**2, one)
    of_x_0, of_noise = (kind.inputs(x, SIGMA, a, s)[0] for x in (a * one, s * one))
    close((of_x_0 * sigma_data) ** 2 + of_noise**2, one)


def test_data_of_variance_one_have_minus_v_as_their_target():
    close(EDM(1.0).target(x_0, epsilon, a, s), -Velocity().target(x_0, epsilon, a, s))


@SIGMA_DATA
def test_an_error_of_f_is_so_much_of_one_of_the_data(sigma_data):
    kind, x_t = EDM(sigma_data), a * x_0 + s * epsilon
    off = kind.x_0(kind.target(x_0, epsilon, a, s) + 0.3, x_t, a, s) - x_0
    close(off**2, (kind.x_0_error(a**2 / s**2) * 0.3**2).expand(7, 5))


def test_the_network_sees_the_scaled_state_and_a_quarter_of_the_logarithm_of_sigma():
    found, seen = model(FLAT, **KARRAS).double(), []
    found.network.register_forward_hook(lambda module, given, out: seen.append((given, out)))
    x_t, t = states(4, found), torch.tensor([0, 5, 12, 19])
    output = found.predict(x_t, t, found.signal(None, 4))
    ((scaled, c_noise, _), F), sigma = seen[0], found.schedule.log_sigma.exp()[t]
    # The model's coefficients are in float32.
    close(c_noise, sigma.log() / 4, 1e-6)
    close(scaled, x_t / ((sigma**2 + 0.25) / (1 + sigma**2)).sqrt()[:, None], 1e-6)
    assert torch.equal(output, F)


@pytest.mark.parametrize("network", ["flat", "transformer"])
def test_random_features_tell_small_times_apart(network):
    """Times are about 1; divided by T, as those of a chain, all would look the same."""
    config = {"event": Real(shape=(4,)), "network": network, "hidden_dim": 8}
    for chain, unit in ((KARRAS, 1), ({}, 1000)):
        made = create_model("ddpm", time_features="fourier", **chain, **config)
        (time,) = (m for m in made.network.modules() if isinstance(m, TimeEmbedding))
        assert time.unit == unit


@pytest.mark.parametrize("sigma_data", [0.5, 1.0])
def test_the_best_f_gives_the_mean_of_the_data_given_the_state(sigma_data):
    found = gaussian_edm(0.7, 0.09, sigma_data=sigma_data)
    t = torch.arange(0, 1000, 37)
    x_t = torch.linspace(-2, 2, len(t)).double()[:, None]
    a, s = found.coefficients(t, x_t)
    expected = 0.7 + a * 0.09 / (a**2 * 0.09 + s**2) * (x_t - a * 0.7)
    close(found.predicted_x_0(x_t, t, found.signal(None, len(t))), expected)


def test_on_any_other_schedule_it_is_the_same_function_of_sigma():
    other = gaussian_edm(0.7, 0.09, schedule="cosine", num_train_timesteps=50)
    t = torch.arange(50)
    x_t = torch.linspace(-2, 2, 50).double()[:, None]
    a, s = other.coefficients(t, x_t)
    expected = 0.7 + a * 0.09 / (a**2 * 0.09 + s**2) * (x_t - a * 0.7)
    close(other.predicted_x_0(x_t, t, other.signal(None, 50)), expected, 1e-9)


# The schedule


def sigmas(T, **config):
    return make_schedule("karras", T, 1e-4, 0.02, **config).log_sigma.exp()


def papers(num, **config):
    return torch.tensor(karras(num, **config), dtype=torch.float64)


def test_the_schedule_has_the_papers_sigmas():
    """1e-9: 1 − ᾱ at σ = .002 has ten digits in float64."""
    close(sigmas(18), papers(18).flip(0), 1e-9)
    given = {"sigma_min": 0.01, "sigma_max": 20.0, "rho": 3.0}
    close(sigmas(7, **given), papers(7, **given).flip(0), 1e-9)
    assert make_schedule("karras", 5, 1e-4, 0.02).alpha_bar.dtype == torch.float64


def test_steps_of_linspace_are_the_papers_up_to_the_rounding_of_a_time():
    """Exactly so if S − 1 divides T − 1; else σ^(1/ρ) is off by at most half a time's step."""
    for T, num, exactly in [(1021, 18, True), (1000, 10, True), (1000, 18, False)]:
        found = gaussian_edm(num_train_timesteps=T)
        grid = found.visited_times(num, "linspace")
        visited = found.schedule.log_sigma.exp()[grid]
        expected = papers(num)
        distance = (visited ** (1 / 7) - expected ** (1 / 7)).abs().max().item()
        assert distance < (1e-9 if exactly else 0.5 * (80 ** (1 / 7) - 0.002 ** (1 / 7)) / 999)
        off = (visited / expected - 1).abs().max().item()
        assert off < 1e-9 if exactly else 1e-3 < off < 0.0125


def test_the_schedule_is_for_other_predictions_too():
    assert model(FLAT, schedule="karras", prediction_type="v_prediction").sample(2).shape == (2, 3)


# Defaults


def test_defaults_are_the_papers():
    config = DDPM.configure(DataInfo(fields={"x": Unit(shape=(1, 28, 28))}), prediction_type="edm")
    fields = ("schedule", "num_train_timesteps", "sigma_min", "sigma_max", "rho", "sigma_data")
    assert [getattr(config, name) for name in fields] == ["karras", 1000, 0.002, 80.0, 7.0, 0.5]
    assert (config.network, config.variance_type) == ("image", "fixed_large")
    heun = {"num_inference_steps": 18, "timestep_spacing": "linspace"}
    assert DDPM.default_sampler(config) == Component(name="heun", config=heun)
    preview = DDPM.preview_sampler(config)
    assert preview == Component(name="heun", config={**heun, "num_inference_steps": 10})
    (stage,) = DDPM.default_stages(config)
    assert stage.objective.config == {"lr": 1e-3, "times": "log-normal"}
    assert (DenoisingConfig().log_sigma_mean, DenoisingConfig().log_sigma_std) == (-1.2, 1.2)
    few = DDPM.example()[0].to_dict() | {"prediction_type": "edm"}
    assert DDPM.default_sampler(DDPM.Config.from_dict(few)).config["num_inference_steps"] == 10


def test_points_get_the_schedule_too_and_what_is_given_is_kept():
    info = DataInfo(fields={"x": Real(shape=(2,))})
    assert DDPM.configure(info, prediction_type="edm").schedule == "karras"
    assert DDPM.configure(info, prediction_type="edm", schedule="cosine").schedule == "cosine"
    given = DDPM.configure(info, prediction_type="edm", variance_type="fixed_small")
    assert (given.schedule, given.variance_type) == ("karras", "fixed_small")


def test_codes_have_a_standard_deviation_of_one():
    info = DataInfo(fields={"x": Unit(shape=(1, 28, 28))})
    assert LatentDDPM.configure(info, prediction_type="edm").sigma_data == 1.0
    assert LatentDDPM.configure(info, prediction_type="edm", sigma_data=0.5).sigma_data == 0.5


# The loss


def test_the_uniform_weight_of_f_is_edms_loss():
    """λ(σ) ‖D − x_0‖² with λ(σ) = (σ² + σ_d²) / (σ σ_d)², equations 2 and 8."""
    found = model(FLAT, sigma_data=0.4, **KARRAS).double()
    x, t, noise = states(6, found), torch.tensor([0, 3, 8, 11, 15, 19]), states(6, found, seed=1)
    signal = found.signal(None, 6)
    a, s = found.coefficients(t, x)
    D = found.predicted_x_0(a * x + s * noise, t, signal)
    sigma = s / a
    weight = (sigma**2 + 0.4**2) / (sigma * 0.4) ** 2
    expected = (weight * (D - x) ** 2).mean()
    value = Denoising(found)._loss(x, noise, t, signal).value
    close(value, expected, 1e-9)


def test_times_have_the_probability_of_their_sigma():
    """The density of N(−1.2, 1.2²) at ln σ, times the distance of the midpoints around it."""
    schedule = make_schedule("karras", 40, 1e-4, 0.02)
    log_sigma = schedule.log_sigma
    edges = torch.cat([log_sigma[:1], (log_sigma[1:] + log_sigma[:-1]) / 2, log_sigma[-1:]])
    density = torch.exp(-((log_sigma + 1.2) ** 2) / (2 * 1.2**2))
    expected = density * edges.diff()
    close(log_normal_times(schedule, -1.2, 1.2), expected / expected.sum())
    fine = log_normal_times(make_schedule("karras", 1000, 1e-4, 0.02), -1.2, 1.2)
    logs = make_schedule("karras", 1000, 1e-4, 0.02).log_sigma
    assert (fine * logs).sum().item() == pytest.approx(-1.2, abs=1e-3)
    assert (fine * (logs + 1.2) ** 2).sum().sqrt().item() == pytest.approx(1.2, abs=2e-3)


@pytest.mark.parametrize("values", [{}, {"log_sigma_mean": 0.5, "log_sigma_std": 0.7}])
def test_times_are_drawn_from_that_table(values):
    """50,000 draws of 20 times; four standard deviations of χ² above its mean."""
    found = model(FLAT, **KARRAS)
    config = DenoisingConfig(times="log-normal", **values)
    objective, num = Denoising(found, config), 50_000
    t = objective._times(num, torch.Generator().manual_seed(0), torch.device("cpu"))
    chances = log_normal_times(found.schedule, config.log_sigma_mean, config.log_sigma_std)
    likely = num * chances >= 5
    expected = torch.cat([num * chances[likely], num * chances[~likely].sum(0, keepdim=True)])
    counts = torch.bincount(t, minlength=20).double()
    counts = torch.cat([counts[likely], counts[~likely].sum(0, keepdim=True)])
    chi2 = ((counts - expected) ** 2 / expected.clamp_min(1)).sum().item()
    freedom = len(counts) - 1
    assert freedom >= 5
    assert chi2 < freedom + 4 * (2 * freedom) ** 0.5


def test_an_extreme_draw_is_still_a_time(monkeypatch):
    objective = Denoising(model(FLAT, **KARRAS), DenoisingConfig(times="log-normal"))
    edge = objective.cumulative[4].item()  # The probability of the first five times.
    for u, t in [(0.0, 0), (edge, 5), (1.0 - 2**-24, 19), (1.0, 19)]:
        monkeypatch.setattr(torch, "rand", lambda num, u=u, **_: torch.full((num,), u))
        assert objective._times(3, None, torch.device("cpu")).tolist() == [t] * 3


def test_uniform_times_are_what_they_were():
    found = model(FLAT, **KARRAS)
    drawn = Denoising(found)._times(5, torch.Generator().manual_seed(3), torch.device("cpu"))
    expected = torch.randint(20, (5,), generator=torch.Generator().manual_seed(3))
    assert torch.equal(drawn, expected)


def test_training_lowers_the_error_of_labelled_images():
    """The picture is known from its label, so that F is known but for the noise."""
    found, generator = labelled(IMAGE, **KARRAS), torch.Generator().manual_seed(0)
    objective = Denoising(found, DenoisingConfig(times="log-normal"))
    optimizer = torch.optim.Adam(found.parameters(), lr=1e-2)
    pictures, label = torch.rand(3, 1, 4, 4, generator=generator), torch.arange(64) % 3
    losses = []
    for index in range(150):
        batch = {"x": pictures[label], "label": label}
        (loss,) = objective.losses(batch, Step(index, 150, 0, generator))
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step()
        losses.append(loss.value.item())
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


# Samples and the bound of Gaussian data


def heun_of_the_paper(num, mean, variance):
    """Algorithm 1 without noise, as a map x ↦ A x + B of x_0 + σ_max ε; B of data N(μ, v)."""

    def slope(sigma, A, B):  # (x − D(x)) / σ
        return sigma / (variance + sigma**2) * A, sigma / (variance + sigma**2) * (B - mean)

    A, B = 1.0, 0.0
    for now, after in itertools.pairwise([*karras(num), 0.0]):
        dA, dB = slope(now, A, B)
        A1, B1 = A + (after - now) * dA, B + (after - now) * dB
        if after > 0:
            eA, eB = slope(after, A1, B1)
            A1 = A + (after - now) * (dA + eA) / 2
            B1 = B + (after - now) * (dB + eB) / 2
        A, B = A1, B1
    return A, B


def drawn(found, num_steps, spacing):
    """The A and B of samples A x_T + B, x_T the state of unit variance at the last time."""
    sampler = Heun(HeunConfig(num_inference_steps=num_steps, timestep_spacing=spacing))
    start = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    with torch.no_grad():
        x = sampler.sample_state(found, 2, start=start, generator=torch.Generator())
    return (x[1] - x[0]).item(), x[0].item()


@pytest.mark.parametrize("num_steps", [5, 18, 60])
def test_samples_are_those_of_the_papers_algorithm(num_steps):
    """T − 1 is a multiple of S − 1. x_T is unscaled by √(1 + σ_max²)."""
    found = gaussian_edm(0.7, 0.09, num_train_timesteps=10 * (num_steps - 1) + 1)
    A, B = heun_of_the_paper(num_steps, 0.7, 0.09)
    expected = (A * math.sqrt(1 + 80**2), B)
    assert drawn(found, num_steps, "linspace") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("deviation", "paper", "trailing"), [(0.3, 1.0646, 1.0569), (0.003, 1.0474, 0.42)]
)
def test_eighteen_steps_of_a_thousand_times_are_as_good(deviation, paper, trailing):
    """Standard deviations, divided by the true one. Trailing ends at σ = .007, above .003."""
    A, _ = heun_of_the_paper(18, 0.7, deviation**2)
    assert A * math.sqrt(1 + 80**2) / deviation == pytest.approx(paper, abs=1e-4)
    for spacing, expected in (("linspace", paper), ("trailing", trailing)):
        found, mean = drawn(gaussian_edm(0.7, deviation**2), 18, spacing)
        assert found / deviation == pytest.approx(expected, abs=2e-3)
        assert mean == pytest.approx(0.7, abs=0.004)


@pytest.mark.parametrize("sigma_data", [0.5, 1.0])
def test_the_bound_of_the_best_f_is_near_the_entropy(sigma_data):
    """Within .02 nat, for noise is random. With small variances the last step costs 8 nats more.

    The rows are the nodes of a quadrature that is exact for squares.
    """
    rows = 0.7 + 0.3 * torch.tensor([-(3**0.5), 0.0, 3**0.5] * 100).double()[:, None]
    weight = torch.tensor([1 / 6, 2 / 3, 1 / 6] * 100).double()
    entropy = 0.5 * math.log(2 * math.pi * math.e * 0.09)
    costs = []
    for variance_type in ("fixed_large", "fixed_small"):
        found = gaussian_edm(0.7, 0.09, sigma_data=sigma_data, variance_type=variance_type)
        generator = torch.Generator().manual_seed(0)
        values = found.log_prob(rows, generator=generator, num_samples=999).values
        costs.append(-(weight * values).sum().item() / weight.sum().item() - entropy)
    assert costs == pytest.approx([0.0, 8.65], abs=0.02)


# Refusals


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"schedule": "zero-terminal-snr", "prediction_type": "edm"},
            "σ is infinite at the last time, .* Use schedule='karras' or",
        ),
        ({"sigma_min": 2.0, "sigma_max": 2.0}, "sigma_min = 2 must be less than sigma_max = 2;"),
        ({"sigma_min": 0.0}, "sigma_min"),
        ({"rho": 0.5}, "rho"),
        ({"sigma_data": 0.0}, "sigma_data"),
        ({"schedule": "karras", "sigma_max": 5.0}, "20% of the data is left, .* Raise sigma_max,"),
    ],
)
def test_bad_values_are_refused_in_one_sentence_each(values, words):
    with pytest.raises(ConfigError, match=words):
        model(FLAT, **values)


def test_log_normal_times_need_finite_noise():
    endless = model(FLAT, schedule="zero-terminal-snr", beta_end=0.6, prediction_type="sample")
    with pytest.raises(ConfigError, match="times='log-normal' is for finite σ"):
        Denoising(endless, DenoisingConfig(times="log-normal"))
