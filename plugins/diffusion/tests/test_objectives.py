"""The objectives: their values, weights, dropped conditions, and that they learn."""

import dataclasses
import math

import pytest
import torch

from gaussian import gaussian_model
from genzoo import Component, Label, Stage, Text, Trainer, TrainerConfig, load_dataset
from genzoo.plugin import Step
from genzoo_diffusion.ddpm import DDPM
from genzoo_diffusion.objectives import VLB, Denoising, DenoisingConfig, VLBConfig
from genzoo_diffusion.vlb import Bound
from likelihoods import mean_log_prob
from models import FLAT, labelled, model

X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double()


def step():
    return Step(0, 10, 0, torch.Generator().manual_seed(1))


def draws(num_times=20):
    """Times and noise as the objectives draw them."""
    generator = torch.Generator().manual_seed(1)
    t = torch.randint(num_times, (6,), generator=generator)
    return t, torch.randn(6, 3, generator=generator, dtype=torch.float64)


def loss_of(objective, **batch):
    (loss,) = objective.losses({"x": X, **batch}, step())
    return loss


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_denoising_is_the_mean_squared_error_of_the_target(kind):
    found = model(prediction_type=kind).double()
    t, epsilon = draws()
    ab = found.schedule.alpha_bar[t][:, None]
    x_t = ab.sqrt() * X + (1 - ab).sqrt() * epsilon
    target = {
        "epsilon": epsilon,
        "sample": X,
        "v_prediction": ab.sqrt() * epsilon - (1 - ab).sqrt() * X,
    }[kind]
    expected = (found.predict(x_t, t, found.signal(None, 6)) - target).square().mean()
    torch.testing.assert_close(loss_of(Denoising(found)).value, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize(("weighting", "most"), [("snr", math.inf), ("min-snr", 5.0)])
def test_weights_make_it_an_error_of_the_data(kind, weighting, most):
    """λ_t of a prediction's error is min(SNR, γ) of the x_0 that it stands for."""
    found = model(prediction_type=kind).double()
    t, epsilon = draws()
    predicted = found.predicted_x_0(found.diffuse(X, t, epsilon), t, found.signal(None, 6))
    snr = found.schedule.snr[t].clamp(max=most)
    expected = (snr * (predicted - X).square().mean(1)).mean()
    value = loss_of(Denoising(found, DenoisingConfig(weighting=weighting))).value
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=0)


def test_snr_weights_of_noise_are_uniform_ones():
    found = model().double()
    one = loss_of(Denoising(found, DenoisingConfig(weighting="snr"))).value
    torch.testing.assert_close(one, loss_of(Denoising(found)).value)


def test_conditions_are_dropped_at_the_rate_that_is_asked_for():
    """Of 3,000 labels; 4 standard errors."""
    label = torch.arange(3000) % 3
    for rate in (0.0, 0.1, 1.0):
        found = labelled(condition_dropout=rate)
        batch = {"x": torch.zeros(3000, 3), "label": label}
        seen = found.training_signal(batch, torch.Generator().manual_seed(0)).labels
        dropped = seen == 3
        assert abs(dropped.double().mean() - rate) <= 4 * (rate * (1 - rate) / 3000) ** 0.5
        assert torch.equal(seen[~dropped], label[~dropped])


@pytest.mark.parametrize(
    ("together", "each", "either"), [(0.3, 0.0, 0.0), (0.0, 0.3, 0.42), (0.2, 0.25, 0.3)]
)
def test_conditions_are_dropped_together_or_each_on_its_own(together, each, either):
    """The share of 3,000 rows that lack one of both alone, (1 − a) 2 b (1 − b); 4 errors."""
    words = {"vocabulary": ["one", "two"], "width": 4, "num_layers": 1, "num_heads": 1}
    both = {"label": Label(num_classes=3), "text": Text()}
    found = model(
        FLAT,
        conditions=both,
        text=words,
        condition_dropout=together,
        condition_dropout_each=each,
    )
    batch = {"x": torch.zeros(3000, 3), "label": torch.arange(3000) % 3, "text": ["two"] * 3000}
    seen = found.training_signal(batch, torch.Generator().manual_seed(0))
    told, null = found.signal({"label": 0, "text": "two"}, 1), found.signal(None, 1)
    without_label = seen.labels == 3
    without_text = (seen.tokens == null.tokens).flatten(1).all(1)
    assert torch.equal(~without_text, (seen.tokens == told.tokens).flatten(1).all(1))
    assert torch.equal(seen.labels[~without_label], batch["label"][~without_label])
    for dropped in (without_label, without_text):
        rate = together + (1 - together) * each
        assert abs(dropped.double().mean() - rate) <= 4 * (rate * (1 - rate) / 3000) ** 0.5
    alone = (without_label != without_text).double().mean()
    assert abs(alone - either) <= 4 * (either * (1 - either) / 3000) ** 0.5


def test_a_row_without_a_condition_is_learned_as_one_whose_condition_is_dropped():
    """Labels −1 and texts "" of the data are what all dropped ones are."""
    words = {"vocabulary": ["one", "two"], "width": 4, "num_layers": 1, "num_heads": 1}
    both = {"label": Label(num_classes=3), "text": Text()}
    sure = model(FLAT, conditions=both, text=words, condition_dropout=0.0).double()
    without = {"label": torch.full((6,), -1), "text": [""] * 6}
    given = {"label": torch.arange(6) % 3, "text": ["one", "two"] * 3}
    never = loss_of(Denoising(sure), **without).value
    sure.config = dataclasses.replace(sure.config, condition_dropout=1.0)
    torch.testing.assert_close(loss_of(Denoising(sure), **given).value, never)


def test_vlb_is_T_times_the_term_of_a_random_time():
    found = model().double()
    t, epsilon = draws()
    loss = loss_of(VLB(found, VLBConfig()))
    bound = Bound(found)
    terms = bound.terms(X, epsilon, t, found.signal(None, 6))
    torch.testing.assert_close(loss.value, 20 * terms.mean())
    nats = loss.value.item() + bound.prior(X).mean().item()
    assert loss.metrics["vlb"].item() == pytest.approx(nats)
    bits = nats / (3 * math.log(2))
    assert loss.metrics["bits_per_dimension"].item() == pytest.approx(bits)


@pytest.mark.parametrize("cls", [Denoising, VLB])
def test_what_is_logged_has_no_gradient_and_the_rate_is_the_papers(cls):
    """2e-4: Denoising Diffusion Probabilistic Models, appendix B."""
    objective = cls(model().double())
    loss = loss_of(objective)
    assert loss.value.requires_grad
    assert not any(metric.requires_grad for metric in loss.metrics.values())
    assert objective.optimizers(objective.config)["model"].config["lr"] == 2e-4


def test_the_best_denoiser_has_the_least_loss():
    """E ‖ε − ε*‖² = E s² ᾱ / (s² ᾱ + 1 − ᾱ), 20,000 rows of N(1, ¼); 5 standard errors."""
    found = gaussian_model()
    x = 1 + 0.5 * torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0)).double()
    ab = found.schedule.alpha_bar
    exact = (0.25 * ab / (0.25 * ab + 1 - ab)).mean().item()
    (loss,) = Denoising(found).losses({"x": x}, step())
    assert loss.value.item() == pytest.approx(exact, abs=5 * (2 / 20_000) ** 0.5)
    found.network.mean = 1.2
    (worse,) = Denoising(found).losses({"x": x}, step())
    assert worse.value > loss.value


@pytest.mark.parametrize("name", ["denoising", "vlb"])
def test_learning_digits_lowers_the_bound(name):
    """Uniform levels take log₂ 17 = 4.09 bits a pixel; 400 updates leave that behind."""
    data = load_dataset("digits")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = DDPM.configure(
            data.info,
            network="flat",
            num_train_timesteps=50,
            schedule="cosine",
            prediction_type="v_prediction",
        )
        found = DDPM(config)
    stage = Stage(
        objective=Component(name=name, config={"lr": 2e-3}),
        trainer={"max_steps": 400, "batch_size": 100},
    )
    Trainer(found, data, stage, TrainerConfig(progress=False, threads=1)).fit()
    x = load_dataset("digits", "test").head(200)["x"]
    generator = torch.Generator().manual_seed(0)
    bits = mean_log_prob(found, x, generator=generator).per_dimension(64)
    assert bits.value < 3.8
    assert (bits.kind, bits.unit) == ("upper bound", "bits/dim")
