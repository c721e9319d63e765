"""Components: made by name, described again, and fields of configs that name one."""

from dataclasses import dataclass
from typing import Annotated

import pytest

import families
import genzoo
from genzoo import Component, Config, ConfigError, registry
from genzoo.errors import PluginError, UnknownNameError
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
    model = genzoo.create_model("rbm", event_shape=(3,), num_hidden=2)
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

    with pytest.raises(PluginError, match="of no registered kind"):
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
