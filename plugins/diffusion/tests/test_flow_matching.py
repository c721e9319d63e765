"""Flow matching: its loss and minimum, couplings, and reflow."""

import itertools
import math

import pytest
import torch
from torch import nn

import genzoo
from genzoo import (
    Component,
    ConfigError,
    Label,
    Real,
    Stage,
    Trainer,
    TrainerConfig,
    create_model,
    registry,
)
from genzoo.plugin import ArrayDataset, CapabilityError, DataInfo, Step
from genzoo_diffusion.couplings import Coupling, IndependentConfig, OptimalTransport, groups_of
from genzoo_diffusion.flow_matching import FlowMatching, FlowMatchingConfig, Reflow, ReflowConfig
from test_rectified_flow import gaussian_flow, points

LABELS = {"label": Label(num_classes=3)}
EXACT = Component(name="optimal-transport")


def step(seed):
    return Step(index=0, total=1, slot=0, generator=torch.Generator().manual_seed(seed))


def loss(objective, batch, seed=7):  # Not that of the points, whose noise would be the same.
    (found,) = objective.losses(batch, step(seed))
    return found.value


# The loss


def test_the_loss_is_the_squared_error_of_the_velocity():
    """Of a network that returns 0: E (ε − x_0)² = 1 + μ² + s², by 4 errors of 40,000 rows."""
    model = gaussian_flow()
    model.network.forward = lambda x, t, signal: torch.zeros_like(x)
    x = points(40_000)
    found = loss(FlowMatching(model), {"x": x}).item()
    each = (torch.randn(40_000) - x[:, 0]).square()
    assert found == pytest.approx(2.25, abs=4 * each.std().item() / 200)


def test_the_best_velocity_has_the_least_loss():
    """The same draws, the mean velocity and others: the difference is that of their squares."""
    x, best = {"x": points(4000)}, gaussian_flow()
    least = loss(FlowMatching(best), x)
    for mean, variance in ((1.2, 0.25), (1.0, 0.4), (0.8, 0.2)):
        assert loss(FlowMatching(gaussian_flow(mean=mean, variance=variance)), x) > least


@pytest.mark.parametrize(
    ("config", "mean", "std"),
    [
        ({}, None, None),
        ({"times": "logit-normal"}, 0.0, 1.0),
        ({"times": "logit-normal", "logit_mean": -1.0, "logit_std": 0.5}, -1.0, 0.5),
    ],
)
def test_the_times_have_their_law(config, mean, std):
    """By 4 errors of 10,000 draws; the fourth moments of both laws are below 3 variances²."""
    model, seen = gaussian_flow(), []
    model.network.register_forward_pre_hook(lambda module, given: seen.append(given[1] / 1000))
    loss(FlowMatching(model, FlowMatchingConfig(**config)), {"x": points(10_000)})
    (t,) = seen
    values = t if mean is None else torch.logit(t)
    expected = (0.5, 12**-0.5) if mean is None else (mean, std)
    assert values.mean().item() == pytest.approx(expected[0], abs=4 * expected[1] / 100)
    assert values.std().item() == pytest.approx(expected[1], rel=4 / math.sqrt(2 * 10_000))


# Couplings


def cost(x, epsilon):
    return (x - epsilon).square().sum().item()


def test_optimal_transport_is_the_best_permutation():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 2, generator=generator)
    epsilon = torch.randn(5, 2, generator=generator)
    found = OptimalTransport().couple(x, epsilon, {})
    assert sorted(found.tolist()) == sorted(epsilon.tolist())
    best = min(cost(x, epsilon[list(order)]) for order in itertools.permutations(range(5)))
    assert cost(x, found) == pytest.approx(best, abs=1e-5)
    assert best < cost(x, epsilon)


def test_rows_exchange_noise_only_with_rows_of_their_conditions():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 2, generator=generator)
    epsilon = torch.randn(60, 2, generator=generator)
    label = torch.arange(60) % 3
    text = ["a" if i % 2 else "b" for i in range(60)]
    found = OptimalTransport().couple(x, epsilon, {"label": label, "text": text})
    for rows in groups_of({"label": label, "text": text}, 60):
        assert len(rows) == 10
        assert sorted(found[rows].tolist()) == sorted(epsilon[rows].tolist())
        alone = OptimalTransport().couple(x[rows], epsilon[rows], {})
        assert torch.equal(found[rows], alone)


def test_the_noise_of_a_class_stays_standard_normal():
    """Classes far from 0: with a coupling across classes their noise would be on their side.

    512 rows of two classes at ±3; the mean of 256 draws has the error 1/16.
    """
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(512) % 2
    x = (6.0 * label - 3)[:, None] + 0.1 * torch.randn(512, 1, generator=generator)
    epsilon = torch.randn(512, 1, generator=generator)
    within = OptimalTransport().couple(x, epsilon, {"label": label})
    across = OptimalTransport().couple(x, epsilon, {})
    assert abs(within[label == 1].mean().item()) < 4 / 16
    assert across[label == 1].mean().item() > 0.7


class Careless(Coupling):
    """A coupling that does not look at conditions."""

    Config = IndependentConfig
    keeps_conditions = False

    def couple(self, x_0, epsilon, conditions):
        return epsilon.flip(0)


@pytest.fixture
def careless(monkeypatch):
    monkeypatch.setattr(registry, "_local", dict(registry._local))
    genzoo.register("genzoo_diffusion.couplings", "fake-careless")(Careless)
    return FlowMatchingConfig(coupling=Component(name="fake-careless"))


def test_a_coupling_of_another_package_is_used(careless):
    model = create_model("rectified-flow", event=Real(shape=(2,)))
    batch = {"x": torch.randn(6, 2)}
    found = loss(FlowMatching(model, careless), batch)
    assert not torch.equal(found, loss(FlowMatching(model), batch))


def test_a_coupling_that_ignores_conditions_is_refused_for_a_model_with_some(careless):
    model = create_model("rectified-flow", event=Real(shape=(2,)), conditions=LABELS)
    with pytest.raises(CapabilityError, match=r"fake-careless ignores conditions.*label"):
        FlowMatching(model, careless)


@pytest.mark.parametrize(
    "returned",
    [
        lambda x, epsilon: x.clone(),
        lambda x, epsilon: epsilon[:1],
        lambda x, epsilon: epsilon + 5,
        lambda x, epsilon: torch.arange(len(epsilon)),
        lambda x, epsilon: epsilon * math.nan,
        lambda x, epsilon: None,
    ],
)
def test_what_is_not_a_permutation_of_the_noise_is_refused(careless, monkeypatch, returned):
    monkeypatch.setattr(Careless, "couple", lambda self, x, epsilon, given: returned(x, epsilon))
    model = create_model("rectified-flow", event=Real(shape=(2,)))
    with pytest.raises(ConfigError, match="fake-careless must return a permutation of the 6 rows"):
        loss(FlowMatching(model, careless), {"x": torch.randn(6, 2)})


# Training


def rows(num=256, labelled=False):
    generator = torch.Generator().manual_seed(0)
    x = 0.5 + 0.5 * torch.randn(num, 2, generator=generator)
    fields = {"x": Real(shape=(2,)), **(LABELS if labelled else {})}
    label = torch.arange(num) % 3 if labelled else None
    return ArrayDataset(x, DataInfo(fields=fields), "rows", label)


def stage(objective="flow-matching", **config):
    return [Stage(objective=Component(name=objective, config=config))]


def test_training_approaches_the_data():
    """log p of Gaussian rows under a flow that was trained for some seconds, and at first."""
    torch.manual_seed(0)
    data = rows(2048)
    model = create_model(
        "rectified-flow", data=data, hidden_dim=32, num_blocks=1, feature_scale=0.5
    )
    x = data.batch(torch.arange(500))["x"]
    with torch.no_grad():
        before = model.log_prob(x).values.mean().item()
    config = TrainerConfig(max_steps=600, batch_size=128, progress=False)
    Trainer(model, data, stage(lr=5e-3), config).fit()
    model.eval()
    with torch.no_grad():
        after = model.log_prob(x).values.mean().item()
    entropy = 1 + math.log(2 * math.pi * 0.25)
    assert before < -entropy - 1
    assert after == pytest.approx(-entropy, abs=0.15)


def test_optimal_transport_makes_paths_straighter():
    """The squared distance of joined pairs, which is least for the coupling."""
    model = gaussian_flow((2,))
    model.network.forward = lambda x, t, signal: torch.zeros_like(x)
    batch = {"x": points(256, (2,))}
    coupled = FlowMatching(model, FlowMatchingConfig(coupling=EXACT))
    assert loss(coupled, batch) < 0.7 * loss(FlowMatching(model), batch)


# Reflow


def test_reflow_joins_noise_to_what_the_first_flow_makes_of_it():
    """The loss is that of the line between ε and the first flow's x_0."""
    model = gaussian_flow((2,))
    objective = Reflow(model, ReflowConfig(num_inference_steps=200, method="rk4"))
    model.network.forward = lambda x, t, signal: torch.zeros_like(x)
    found = loss(objective, {"x": points(4, (2,))})
    epsilon = model.standard_normal(4, step(7).generator)
    x_0 = 1 + 0.5 * epsilon  # A flow of a Gaussian to a Gaussian is affine.
    assert found.item() == pytest.approx((epsilon - x_0).square().mean().item(), rel=1e-4)


def test_the_first_flow_does_not_learn():
    torch.manual_seed(0)
    data = rows(labelled=True)
    model = create_model("rectified-flow", data=data, conditions=("label",), hidden_dim=8)
    first = {name: value.clone() for name, value in model.state_dict().items()}
    objective = Reflow(model, ReflowConfig(num_inference_steps=2))
    optimizer = torch.optim.SGD(objective.players()["model"], 0.1)
    loss(objective, data.batch(torch.arange(8))).backward()
    optimizer.step()
    assert all(torch.equal(v, first[k]) for k, v in objective.first.state_dict().items())
    assert not torch.equal(model.network.input.weight, first["network.input.weight"])


def test_reflow_resumes_bit_for_bit(tmp_path):
    def trained(steps, folder, resume=False):
        torch.manual_seed(0)
        model = create_model("rectified-flow", data=rows(), hidden_dim=8, num_blocks=1)
        nn.init.normal_(model.network.output[1].weight)
        config = TrainerConfig(max_steps=steps, progress=False)
        stages = stage("reflow", num_inference_steps=3)
        trainer = Trainer(model, rows(), stages, config, output_dir=folder)
        return trainer.fit(resume=resume).state_dict()

    straight = trained(4, tmp_path / "straight")
    trained(2, tmp_path / "run")
    resumed = trained(4, tmp_path / "run", resume=True)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_reflow_of_a_new_model_is_refused_by_a_recipe(tmp_path):
    recipe = genzoo.Recipe.from_dict(
        {
            "model": {"name": "rectified-flow"},
            "data": {"name": "ring"},
            "stages": [{"objective": {"name": "reflow"}}],
        }
    )
    with pytest.raises(ConfigError, match=r"reflow learns from a trained model.*--from"):
        genzoo.train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
