"""The objectives: their values, their gradients, the KL weight's rise, free bits, collapse."""

import dataclasses
import math
import shutil

import pytest
import torch

from genzoo import (
    Binary,
    Component,
    ConfigError,
    Stage,
    Trainer,
    TrainerConfig,
    create_model,
    load_dataset,
)
from genzoo.plugin import Step, register
from genzoo_vae.collapse import active_units
from genzoo_vae.estimators.estimator import GROUP as ESTIMATORS, Estimator
from genzoo_vae.estimators.pathwise import PathwiseConfig
from genzoo_vae.objectives import ELBO, IWAE, ELBOConfig, IWAEConfig
from likelihoods import mean_log_prob
from normal_terms import terms

X = torch.rand(6, 1, 3, 3, generator=torch.Generator().manual_seed(0)).round().double()


def vae(**config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        given = {"event": Binary(shape=(1, 3, 3)), "latent_dim": 2, "hidden_dims": (6,), **config}
        return create_model("vae", **given).double()


def step(index=0, total=100, slot=0):
    return Step(index, total, slot, torch.Generator().manual_seed(1))


def noise(num):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(num, 6, 2, generator=generator, dtype=torch.float64)


def loss_of(objective, at=None):
    (loss,) = objective.losses({"x": X}, at or step())
    return loss


class Mine(Estimator[PathwiseConfig]):
    """An estimator of someone else: the path alone."""

    Config = PathwiseConfig
    title = "mine"

    def estimate(self, problem):
        draws = problem.drawn()
        return problem.estimated(problem.expectation.value(draws), draws)


def test_an_estimator_of_someone_else_is_used_by_its_name():
    register(ESTIMATORS, "mine")(Mine)
    losses = [
        loss_of(IWAE(vae(), IWAEConfig(estimator=Component(name=name)))).value
        for name in ("mine", "reparameterised")
    ]
    torch.testing.assert_close(losses[0], losses[1])


RESUMED = {
    "running-mean": {"name": "score-function"},
    "input-dependent": {"name": "score-function", "config": {"baseline": "input-dependent"}},
    "rebar": {"name": "rebar"},
    "gumbel-softmax": {"name": "gumbel-softmax"},
}


@pytest.mark.parametrize("name", sorted(RESUMED))
def test_training_with_baselines_resumes_exactly(name, tmp_path):
    """Six updates in two slots, and the same from the checkpoint after three, are equal."""
    values = {"num_micro_batches": 2, "save_steps": 3, "sample_steps": 0, "threads": 1}
    config = TrainerConfig(progress=False, save_total_limit=9, **values)

    def trained(folder, seed, resume=False):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = create_model("sbn", event=Binary(shape=(1, 3, 3)), hidden_dims=(4,))
        objective = Component(name="elbo", config={"estimator": RESUMED[name]})
        stage = Stage(objective=objective, trainer={"max_steps": 6, "batch_size": 4})
        trainer = Trainer(model, X.float(), (stage,), config, output_dir=folder)
        return trainer.fit(resume=resume).state_dict()

    straight = trained(tmp_path, 0)
    *_, last = sorted((tmp_path / "checkpoints").iterdir())
    shutil.rmtree(last)
    for file in tmp_path.glob("*.safetensors"):
        file.unlink()
    resumed = trained(tmp_path, 1, resume=True)
    assert all(torch.equal(resumed[key], value) for key, value in straight.items())


def test_elbo_is_reconstruction_less_kl():
    model = vae()
    loss = loss_of(ELBO(model, ELBOConfig(num_samples=3)))
    found = terms(model, X, noise(3))
    expected = found.kl.sum(1).mean() - found.reconstruction.mean()
    torch.testing.assert_close(loss.value, expected)
    assert loss.metrics["reconstruction"] == pytest.approx(found.reconstruction.mean().item())
    assert loss.metrics["kl"] == pytest.approx(found.kl.sum(1).mean().item())
    assert loss.metrics["elbo"] == pytest.approx(-loss.value.item())
    assert not any(metric.requires_grad for metric in loss.metrics.values())


def test_iwae_is_the_logarithm_of_the_mean_weight():
    model = vae()
    loss = loss_of(IWAE(model, IWAEConfig(num_samples=4)))
    w = terms(model, X, noise(4)).log_weights.exp()
    torch.testing.assert_close(loss.value, -w.mean(0).log().mean())


def test_iwae_of_one_sample_is_an_estimate_of_the_elbo():
    """Over 4,000 draws the two agree within 4 standard errors of their difference."""
    model = vae()
    eps = torch.randn(4000, 6, 2, generator=torch.Generator().manual_seed(0)).double()
    found = terms(model, X, eps)
    difference = found.log_weights.mean(1) - (
        found.reconstruction.mean(1) - found.kl.sum(1).mean()
    )
    assert abs(difference.mean()) < 4 * difference.std() / 4000**0.5


def test_iwae_gradient_is_the_weighted_gradient_of_log_w():
    """∇ = Σ_k w̃_k ∇ log w_k with normalised weights, by finite differences of the value."""
    model = vae()
    objective = IWAE(model, IWAEConfig(num_samples=5))
    loss = loss_of(objective)
    loss.value.backward()
    weight = model.decoder.output.weight
    analytic = weight.grad[2, 3].item()
    with torch.no_grad():
        values = []
        for change in (1e-6, -2e-6):
            weight[2, 3] += change
            values.append(loss_of(objective).value.item())
    assert analytic == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5)


def test_the_kl_weight_rises_over_the_warm_up_and_stays():
    objective = ELBO(vae(), ELBOConfig(kl_weight=2.0, kl_warmup=0.5))
    model, found = objective.model, terms(objective.model, X, noise(1))
    for index, weight in [(0, 0.04), (24, 1.0), (49, 2.0), (99, 2.0)]:
        value = loss_of(objective, step(index)).value
        expected = weight * found.kl.sum(1).mean() - found.reconstruction.mean()
        torch.testing.assert_close(value, expected)
    torch.testing.assert_close(
        loss_of(ELBO(model), step(0)).value, found.kl.sum(1).mean() - found.reconstruction.mean()
    )


def test_free_bits_cost_nothing_up_to_their_number():
    model = vae()
    found = terms(model, X, noise(1))
    kl = found.kl.mean(0)
    between = kl.mean().item()
    loss = loss_of(ELBO(model, ELBOConfig(free_bits=between)))
    expected = kl.clamp_min(between).sum() - found.reconstruction.mean()
    torch.testing.assert_close(loss.value, expected)
    assert kl.min() < between < kl.max()


def test_free_bits_leave_no_gradient_below_them():
    model = vae()
    loss_of(ELBO(model, ELBOConfig(free_bits=100.0))).value.backward()
    free = [p.grad.clone() for p in model.encoder.parameters()]
    model.zero_grad()
    (-terms(model, X, noise(1)).reconstruction.mean()).backward()
    for found, parameter in zip(free, model.encoder.parameters(), strict=True):
        torch.testing.assert_close(found, parameter.grad)


def test_active_units_are_those_whose_mean_depends_on_x():
    mean = torch.stack([torch.arange(4.0), torch.ones(4), 0.05 * torch.arange(4.0)], dim=1)
    assert active_units(mean).item() == 1
    assert active_units(torch.randn(500, 7, generator=torch.Generator().manual_seed(0))) == 7


def collapsed():
    model = vae()
    with torch.no_grad():
        model.encoder.output.weight.zero_()
        model.encoder.output.bias.zero_()
    return model


def test_a_collapsed_posterior_is_said_with_its_remedies(caplog):
    objective = ELBO(collapsed())
    for index in range(200):
        loss_of(objective, step(index, total=200))
    loss_of(objective, step(199, total=200, slot=1))
    loss_of(objective, step(9, total=10))  # Too early to tell.
    said = [record.getMessage() for record in caplog.records]
    assert [text[:68] for text in said] == [
        "The posterior has collapsed: after step 100 of 200 none of the 2 dim",
        "The posterior has collapsed: after step 200 of 200 none of the 2 dim",
    ]
    for remedy in ("--objective.kl-warmup", "--objective.free-bits", "weaker"):
        assert remedy in said[0]


def test_a_posterior_in_use_is_passed_over_in_silence(caplog):
    loss_of(ELBO(vae()), step(199, total=200))
    assert caplog.records == []


@pytest.mark.parametrize("name", ["elbo", "iwae"])
@pytest.mark.parametrize("network", ["flat", "image"])
def test_learning_digits_beats_independent_pixels(name, network):
    """Each pixel on its own has −24.0 nats on the test rows; 200 updates go far beyond."""
    data = load_dataset("digits", binarize="threshold")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hidden = (64,) if network == "flat" else (8,)
        model = create_model(
            "vae", event=data.info["x"], latent_dim=8, hidden_dims=hidden, network=network
        )
    config = TrainerConfig(max_steps=200, batch_size=100, progress=False, threads=1)
    optimizers = {"model": {"config": {"lr": 1e-2}}}
    stage = Stage(objective=Component(name=name), trainer={"optimizers": optimizers})
    Trainer(model, data, stage, config).fit()
    x = load_dataset("digits", "test", binarize="threshold").head(297)["x"]
    found = mean_log_prob(model, x, generator=torch.Generator().manual_seed(0), num_samples=20)
    assert found.value > -19.5
    assert math.isfinite(found.std_error)


@pytest.mark.parametrize(("cls", "num_samples"), [(ELBO, 1), (IWAE, 5)])
def test_what_an_objective_is_by_default(cls, num_samples):
    """k = 5 is the smaller of the paper's two; the rate is Adam's own."""
    objective = cls(vae())
    assert objective.config.num_samples == num_samples
    assert objective.optimizers(objective.config)["model"].config["lr"] == 1e-3
    with pytest.raises(ConfigError, match="num_samples"):
        cls.Config(num_samples=0)


def test_metrics_are_computed_where_they_are_written():
    def quiet():
        return dataclasses.replace(step(3), logged=False)

    assert loss_of(ELBO(vae()), quiet()).metrics == {}
    assert loss_of(IWAE(vae()), quiet()).metrics == {}
    value = loss_of(ELBO(vae()), step(3)).value
    torch.testing.assert_close(loss_of(ELBO(vae()), quiet()).value, value)
