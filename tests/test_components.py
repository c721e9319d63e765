"""Components: made by name, described again, and fields of configs that name one."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import torch

import families
import genzoo
from genzoo import Component, ConfigError, Trainer, TrainerConfig, registry
from genzoo.errors import PluginError, TrainingError, UnknownNameError
from genzoo.plugin import Config, Optimizer
from genzoo.registry import Group

GIBBS = Component(name="gibbs", config={"num_steps": 7})


@dataclass(frozen=True, kw_only=True)
class ChainConfig(Config):
    sampler: Annotated[Component, Group("samplers")] = GIBBS
    other: Annotated[Component, Group("samplers")] | None = None


# Made and described


def test_what_is_made_is_described_as_it_was_named():
    sampler = registry.make("samplers", GIBBS)
    assert type(sampler) is registry.load("samplers", "gibbs")
    assert sampler.config.num_steps == 7
    described = registry.describe(sampler)
    assert described == Component(name="gibbs", config=sampler.config.to_dict())
    assert registry.make("samplers", described).config == sampler.config


def test_an_objective_is_made_for_its_model():
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(3,)), num_hidden=2)
    objective = registry.make("objectives", Component(name="cd"), model)
    assert objective.model is model
    assert registry.describe(objective).name == "cd"
    assert registry.describe(model) == Component(name="rbm", config=model.config.to_dict())


@pytest.mark.parametrize(
    ("config", "word"), [({"num_step": 1}, "num_step"), ({"num_steps": 0}, "0")]
)
def test_values_are_checked_by_the_class_that_is_named(config, word):
    wrong = Component(name="gibbs", config=config)
    with pytest.raises(ConfigError, match=word):
        registry.make("samplers", wrong)
    with pytest.raises(ConfigError, match=word):
        registry.config_of("samplers", wrong)


def test_what_is_of_no_kind_or_not_registered_has_no_name():
    class Mine(families.Fixed):
        pass

    with pytest.raises(PluginError, match="does not belong to any group"):
        registry.describe(GIBBS)
    with pytest.raises(PluginError, match=r"@genzoo.register\('samplers', name\)"):
        registry.describe(Mine())


def test_a_name_of_another_group_is_told_from_an_unknown_one():
    with pytest.raises(UnknownNameError, match="'cd' is one of the objectives: name it there"):
        registry.load("samplers", "cd")
    with pytest.raises(UnknownNameError) as caught:
        registry.load("samplers", "gibs")
    assert "Did you mean 'gibbs'?" in str(caught.value)
    assert "name it there" not in str(caught.value)


# Fields


def test_a_field_holds_a_component_in_three_forms():
    forms = ("gibbs", {"name": "gibbs"}, Component(name="gibbs"))
    made = [ChainConfig.from_dict({"sampler": form, "other": form}) for form in forms]
    assert made[0] == made[1] == made[2]
    assert made[0].other == Component(name="gibbs")
    assert ChainConfig.from_dict(made[0].to_dict()) == made[0]
    assert ChainConfig().other is None


@pytest.mark.parametrize("field", ["sampler", "other"])
def test_the_name_is_checked_when_the_config_is_made(field):
    with pytest.raises(ConfigError) as caught:
        ChainConfig.from_dict({field: "cd"})
    message = str(caught.value)
    assert message.startswith(f"ChainConfig.{field} must name one of the samplers, got 'cd'.")
    assert "'cd' is one of the objectives: name it there." in message
    with pytest.raises(ConfigError, match="Did you mean 'gibbs'"):
        ChainConfig.from_dict({field: {"name": "gibbz"}})


def test_a_name_is_checked_without_importing_its_plugin(install):
    install("fake-one", "[genzoo.samplers]\nfake-one = fake_one:One\n", {"fake_one": "1 / 0"})
    made = ChainConfig.from_dict({"sampler": {"name": "fake-one", "config": {"a": 1}}})
    with pytest.raises(ZeroDivisionError):
        registry.make("samplers", made.sampler)


# Optimisers and schedules

OURS = """\
from dataclasses import dataclass
from typing import Annotated
import torch
from genzoo.plugin import Bounds, Config, LRScheduler, Optimizer

@dataclass(frozen=True, kw_only=True)
class SignConfig(Config):
    lr: Annotated[float, Bounds(0.0, 1.0)] = 0.25

class SignSGD(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.grad.sign_()
        super().step(closure)

class Sign(Optimizer):
    Config = SignConfig
    def build(self, parameters):
        return SignSGD(parameters, lr=self.config.lr)

@dataclass(frozen=True, kw_only=True)
class HalvingConfig(Config):
    every: Annotated[int, Bounds(1, 10**6)] = 1

class Halving(LRScheduler):
    Config = HalvingConfig
    def factor(self, step, total, warmup):
        return 0.5 ** (step // self.config.every)
"""
POINTS = """\
[genzoo.optimizers]
fake-sign = fake_opt:Sign

[genzoo.lr_schedulers]
fake-halving = fake_opt:Halving
"""


def trainer(folder=None, **values):
    config = TrainerConfig.from_dict({"max_steps": 3, "progress": False, **values})
    rows = families.rows(16, 3)
    return Trainer(families.linear(), rows, "toy-least-squares", config, output_dir=folder)


def test_a_strangers_optimiser_and_schedule_train(install):
    """Three steps of 1/4, 1/8 and 1/16 by the sign of a gradient that keeps its own."""
    install("fake-opt", POINTS, {"fake_opt": OURS})
    found = trainer(optimizers={"model": "fake-sign"}, lr_scheduler="fake-halving")
    before = found.model.net.bias.detach().clone()
    after = found.fit().net.bias.detach()
    torch.testing.assert_close((after - before).abs(), torch.full((3,), 0.4375))
    assert found.recipe().trainer.lr_scheduler == Component(name="fake-halving")
    slow = Component(name="fake-halving", config={"every": 2})
    found = trainer(
        optimizers={"model": {"name": "fake-sign", "config": {"lr": 0.125}}}, lr_scheduler=slow
    )
    before = found.model.net.bias.detach().clone()
    after = found.fit().net.bias.detach()
    torch.testing.assert_close((after - before).abs(), torch.full((3,), 0.3125))


def test_an_optimiser_of_the_session_trains(forgetting):
    class Double(Optimizer):
        Config = registry.load("optimizers", "sgd").Config

        def build(self, parameters):
            return torch.optim.SGD(parameters, lr=2 * self.config.lr)

    genzoo.register("optimizers", "fake-double")(Double)
    double = {"name": "fake-double", "config": {"lr": 0.05}}
    plain = {"name": "sgd", "config": {"lr": 0.1}}
    a, b = (trainer(optimizers={"model": one}).fit() for one in (double, plain))
    assert torch.equal(a.net.weight, b.net.weight)


WRONG = {
    "TrainerConfig.lr_scheduler must name one of the lr_schedulers, got 'adam'": {
        "lr_scheduler": "adam"
    },
    "TrainerConfig.optimizers.model must name one of the optimizers": {
        "optimizers": {"model": {"name": "linear"}}
    },
    "lr must be in": {"optimizers": {"model": {"config": {"lr": -1}}}},
    "has no field 'momentum'": {"optimizers": {"model": {"config": {"momentum": 0.5}}}},
    "constant_share must be in": {
        "lr_scheduler": {"name": "constant-then-linear", "config": {"constant_share": 1.0}}
    },
    "no player 'critic'": {"optimizers": {"critic": {"config": {"lr": 1.0}}}},
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_wrong_is_said_before_anything_is_written(message, tmp_path):
    folder = tmp_path / "run"
    trainer(folder).fit()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match=message):
        trainer(tmp_path / "new", **WRONG[message]).fit()
    assert not (tmp_path / "new").exists()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_an_objective_names_an_optimiser_for_each_player(monkeypatch):
    adam = Component(name="adam")
    for names in (["model", "critic"], ["critic"], []):
        made = classmethod(lambda cls, config, names=names: dict.fromkeys(names, adam))
        monkeypatch.setattr(families.LeastSquares, "optimizers", made)
        with pytest.raises(TrainingError, match="has the players model, and optimisers for"):
            trainer().fit()


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_weight_decay_acts_on_matrices_alone(name):
    """With a gradient of zero, nothing but the decay moves a weight."""
    rates = {"lr": 0.1, "weight_decay": 0.5}
    optimizer = registry.make("optimizers", Component(name=name, config=rates))
    matrix, bias = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))
    made = optimizer.build([matrix, bias])
    matrix.grad, bias.grad = torch.zeros(2, 2), torch.zeros(2)
    made.step()
    assert torch.equal(bias, torch.ones(2))
    assert (matrix < 1).all()
    plain = registry.make("optimizers", Component(name=name, config={"weight_decay": 0.0}))
    assert len(plain.build([matrix, bias]).param_groups) == 1
    assert plain.build([matrix]).param_groups[0]["weight_decay"] == 0
