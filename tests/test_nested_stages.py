"""Stages that are about a model which another one holds, and models that start from its codes."""

import dataclasses
import shutil

import pytest
import torch
from torch import nn

import families
from families import ToyConfig, rows, stage
from genzoo import (
    ConfigError,
    DataInfo,
    GenModel,
    Real,
    Stage,
    Trainer,
    TrainerConfig,
    Unit,
    create_model,
    register,
)
from genzoo.plugin import Loss, ModelSpec, Objective
from genzoo.testing.cases import equal_states
from genzoo.training.stage_scope import model_of


@register("models", "toy-upon-linear")
class Upon(families.Linear):
    """Holds a `toy-linear`, and starts from the mean of what that one answers to data."""

    def __init__(self, config):
        super().__init__(config)
        inner = {"event": config.event.to_dict()}
        self.inner = ModelSpec(name="toy-linear", config=inner).build()
        self.other = nn.Linear(1, 1)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("data_seen", torch.zeros((), dtype=torch.bool))

    @classmethod
    def default_stages(cls, config):
        first = dataclasses.replace(stage("toy-least-squares")[0], model="inner")
        return first, Stage(objective={"name": "toy-upon"}, part=("net", "other"))

    def needs_data_init(self):
        return not bool(self.data_seen)

    @torch.no_grad()
    def init_from_data(self, batch, info):
        self.mean.copy_(self.inner.net(batch["x"]).mean())
        self.data_seen.fill_(True)


@register("objectives", "toy-upon")
class Above(Objective):
    Config = families.None_
    requires = (Upon,)

    def losses(self, batch, step):
        found = self.model.net(batch["x"]) + self.model.other(self.model.mean.view(1))
        yield Loss(found.square().mean())


def upon():
    torch.manual_seed(0)
    return create_model("toy-upon-linear", event=Unit(shape=(3,)))


def train(model, stages=None, folder=None, *, resume=False, **values):
    given = {"max_steps": 3, "batch_size": 4, "progress": False, "ema_decay": 0.5, **values}
    trainer = Trainer(model, X, stages, TrainerConfig(**given), output_dir=folder)
    return trainer.fit(resume=resume)


X = rows(16, 3)


def moved(model):
    """The parts whose weights are no longer those of a new model."""
    new = upon().state_dict()
    return {name.partition(".")[0] for name in equal_states(new, model.state_dict())}


def test_a_stage_of_a_nested_model_trains_it_alone_and_leaves_the_outer_one_without_data():
    first, _ = Upon.default_stages(None)
    model = train(upon(), first)
    assert moved(model) == {"inner"}
    assert model.needs_data_init()


def test_a_stage_of_several_parts_trains_them_and_nothing_else():
    _, second = Upon.default_stages(None)
    assert moved(train(upon(), second)) == {"net", "other", "mean", "data_seen"}
    one = dataclasses.replace(second, part="net")
    assert moved(train(upon(), one)) == {"net", "mean", "data_seen"}


def test_the_outer_model_is_given_data_once_the_inner_one_is_trained_and_averaged():
    model = train(upon())
    with torch.no_grad():
        assert model.mean == model.inner.net(X).mean()
    assert model.mean != 0


@pytest.mark.parametrize("last", ["stage-000-step-000000002", "stage-001-step-000000002"])
def test_a_run_goes_on_bit_for_bit_from_either_stage(last, tmp_path):
    straight = train(
        upon(), folder=tmp_path / "straight", save_steps=2, max_steps=4, save_total_limit=9
    )
    shutil.copytree(tmp_path / "straight", tmp_path / "stopped")
    for path in (tmp_path / "stopped" / "checkpoints").iterdir():
        if path.name > last:
            shutil.rmtree(path)
    torch.manual_seed(1)
    other = create_model("toy-upon-linear", event=Unit(shape=(3,)))
    values = {"save_steps": 2, "max_steps": 4, "save_total_limit": 9}
    resumed = train(other, folder=tmp_path / "stopped", resume=True, **values)
    assert not equal_states(straight.state_dict(), resumed.state_dict())
    published = GenModel.from_pretrained(tmp_path / "stopped")
    assert not equal_states(straight.state_dict(), published.state_dict())


def test_a_nested_model_that_is_not_there_or_is_none_is_refused():
    first, _ = Upon.default_stages(None)
    with pytest.raises(ConfigError, match=r"no part 'iner'\. Did you mean 'inner'"):
        train(upon(), dataclasses.replace(first, model="iner"))
    with pytest.raises(ConfigError, match=r"'net' is a Linear, .*one of: inner"):
        train(upon(), dataclasses.replace(first, model="net"))
    with pytest.raises(ConfigError, match="has no other"):
        model_of(dataclasses.replace(first, model="net"), families.linear())


def test_a_part_is_one_of_the_nested_models_own():
    first, _ = Upon.default_stages(None)
    assert moved(train(upon(), dataclasses.replace(first, part="net"))) == {"inner"}
    with pytest.raises(ConfigError, match="no part 'other'"):
        train(upon(), dataclasses.replace(first, part="other"))


def test_the_stages_of_a_nested_model_are_stages_of_the_outer_one():
    event = {"name": "real", "config": {"shape": [5]}}
    (found,) = ModelSpec(name="toy-linear", config={"event": event}).default_stages("inner")
    assert found == dataclasses.replace(stage("toy-least-squares")[0], model="inner")
    spec = ModelSpec(
        name="dbn",
        config={"event": {"name": "binary", "config": {"shape": [5]}}, "hidden_dims": [4, 3]},
    )
    found = [(one.model, one.inputs) for one in spec.default_stages("outer.inner")]
    first, second = "outer.inner.rbms.0", "outer.inner.rbms.1"
    assert found == [(first, ()), (second, (first,)), ("outer.inner", ())]
    with pytest.raises(ConfigError, match="needs a value for: event"):
        ModelSpec(name="toy-linear").default_stages("inner")


def test_a_nested_model_is_configured_for_data_with_what_is_given_over_it():
    info = DataInfo(fields={"x": Real(shape=(5,))})
    fitted = ModelSpec(name="toy-linear", config={"width": 7}).fitted(info)
    assert fitted.build().config == ToyConfig(event=Real(shape=(5,)), width=7)
