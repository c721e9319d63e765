"""Recipes are files: what is written is read back equal, and nothing else is read."""

import json
import math
import re
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import families
from genzoo import Component, ConfigError, Recipe, Stage, TrainerConfig, register
from genzoo.model_spec import MAX_DEPTH
from genzoo.plugin import ModelSpec
from genzoo.stage import stage_for

GOOD = '[model]\nname = "rbm"\n[data]\nname = "digits"\n'


def recipe(config=None, **values):
    named = {"name": "rbm", "config": config or {}}
    return Recipe.from_dict({"model": named, "data": {"name": "digits"}, **values})


def there_and_back(made, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_bytes(made.to_toml().encode())
    return Recipe.read(path)


def test_a_full_recipe_comes_back_equal(tmp_path):
    stages = [
        {"objective": {"name": "cd", "config": {"num_steps": 3}}, "trainer": {"max_steps": 7}},
        {"objective": {"name": "pcd"}, "part": "layers.1", "trainer": {"max_grad_norm": 0.5}},
    ]
    trainer = {
        "max_steps": 9,
        "optimizers": {"model": {"config": {"lr": 1e-22, "betas": [0.5, 0.9]}}},
    }
    config = {
        "event_shape": [1, 2, 3],
        "names": ["a", 'b"\\\n\t\x7f\u2028', "é"],
        "tables": [{"x": 1}, {"y": {"z": [True, -1.5e300]}}],
        "mixed": [1, {"x": "y"}, [[]]],
        "empty": [],
        "odd key.with\n": {"": 2**63 - 1},
        "infinite": [math.inf, -math.inf],
    }
    made = recipe(config, stages=stages, trainer=trainer)
    assert there_and_back(made, tmp_path) == made
    assert made.stages[0].objective == Component(name="cd", config={"num_steps": 3})
    assert made.trainer == TrainerConfig.from_dict(trainer)


def test_a_name_is_short_for_a_component_without_values(tmp_path):
    stage = Stage(model="second", inputs=("first",), objective="pcd")
    assert stage.objective == Component(name="pcd")
    assert stage == Stage.from_dict(stage.to_dict())
    path = tmp_path / "recipe.toml"
    path.write_text('model = "rbm"\ndata = "digits"\n[[stages]]\nobjective = "cd"\n', "utf-8")
    made = Recipe.read(path)
    assert made == recipe(stages=[{"objective": {"name": "cd"}}])
    assert made == Recipe(model="rbm", data="digits", stages=[Stage(objective="cd")])
    assert there_and_back(made, tmp_path) == made


def test_a_short_component_may_name_what_is_not_installed():
    made = Recipe(model="not-installed", data="none", stages=[Stage(objective="no-such")])
    assert made.stages[0].objective.name == "no-such"


def test_a_recipe_of_defaults_comes_back_equal_and_leaves_out_what_is_none(tmp_path):
    made = recipe()
    assert there_and_back(made, tmp_path) == made
    assert "None" not in made.to_toml()
    assert "warmup_steps" not in made.to_toml()


texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    texts | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(texts, values, max_size=3))
def test_every_value_that_toml_holds_comes_back_equal(config):
    made = recipe(config)
    again = Recipe.from_dict(tomllib.loads(made.to_toml()))
    assert again == made
    assert json.dumps(again.to_dict(), sort_keys=True) == json.dumps(
        made.to_dict(), sort_keys=True
    )


@settings(deadline=None)
@given(texts)
def test_every_text_comes_back_equal_as_a_key_and_as_a_value(text):
    again = tomllib.loads(recipe({text: text}).to_toml())
    assert again["model"]["config"] == {text: text}


def test_a_numpy_number_is_written_as_a_number():
    again = tomllib.loads(recipe({"rate": np.float64(0.1)}).to_toml())
    assert again["model"]["config"] == {"rate": 0.1}


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"x": [None]}, "None"),
        ({"x": {1, 2}}, "{1, 2}"),
        ({"x": object}, "object"),
        ({"x": 10**5000}, "bits"),
        ({"x": {1: 2}}, "the key 1"),
        ({"x": "\ud800"}, "not Unicode"),
        ({"\ud800": 1}, "not Unicode"),
    ],
)
def test_what_toml_has_no_form_for_is_refused(config, shown):
    with pytest.raises(ConfigError, match="A recipe cannot hold") as caught:
        recipe(config).to_toml()
    assert shown in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "needs a value for: model, data"),
        (b"model = ", "Invalid value"),
        (b"\xff\xfe", "utf-8"),
        (b"a = 1\na = 2", "Cannot overwrite"),
        (b"x = " + b"[" * 10**5, "are nested over"),
        (GOOD.encode() + b"[modle]\n", "'modle'"),
        (GOOD.encode() + b"[data.config]\nsplit = 1\n[trainer]\nstep = 3\n", "'max_steps'"),
        (GOOD.encode() + b"[trainer]\nmax_steps = 0\n", "TrainerConfig.max_steps"),
        (GOOD.encode() + b"[trainer]\nsteps = [0x" + b"f" * 5000 + b"]\n", "bits"),
        (GOOD.encode() + b"[trainer]\nmax_grad_norm = nan\n", "finite"),
        (GOOD.encode() + b"[[stages]]\npart = 'x'\n", "Stage needs a value for: objective"),
        (b"model = 3\ndata = 4", "Recipe.model"),
        (b"[model]\nname = ''\n[data]\nname = 'x'\n", "Component.name"),
    ],
)
def test_a_bad_file_is_refused_with_its_path(text, why, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        Recipe.read(path)
    assert str(path) in str(caught.value)
    assert why in str(caught.value)


def test_a_file_that_is_not_there_is_refused_with_its_path(tmp_path):
    missing = tmp_path / "none.toml"
    for path, told in ((missing, "There is no recipe '{}'."), (tmp_path, "'{}' cannot be read")):
        with pytest.raises(ConfigError, match=re.escape(told.format(path))):
            Recipe.read(path)


def test_a_stage_checks_its_training_values_when_it_is_made():
    with pytest.raises(ConfigError, match="TrainerConfig has no field 'stpes'"):
        Stage(objective={"name": "cd"}, trainer={"stpes": 3})
    assert Stage(objective={"name": "cd"}, trainer={"max_steps": 3}).trainer == {"max_steps": 3}


# Models inside models


THREE = {"name": "unit", "config": {"shape": [3]}}


@register("models", "toy-holder")
class Holder(families.Linear):
    """Holds another model; what is deepest holds none."""

    def __init__(self, config):
        super().__init__(config)
        if config.width > 1:
            inner = {"event": THREE, "width": config.width - 1}
            self.inner = ModelSpec(name="toy-holder", config=inner).build()


def holder(levels):
    return ModelSpec(name="toy-holder", config={"event": THREE, "width": levels})


def test_a_model_inside_a_model_stores_its_weights_with_it():
    model = holder(2).build()
    assert type(model.inner) is Holder
    assert "inner.net.weight" in model.state_dict()


def test_models_are_nested_two_deep_and_no_deeper():
    assert MAX_DEPTH == 2
    assert not hasattr(holder(2).build().inner, "inner")
    with pytest.raises(ConfigError, match="'toy-holder' is nested 3 deep; 2 are allowed"):
        holder(10**3).build()


def test_a_refusal_leaves_the_count_of_levels_as_it_was():
    for _ in range(3):
        with pytest.raises(ConfigError):
            holder(3).build()
    holder(2).build()


def test_a_nested_model_of_an_unknown_name_is_refused_when_the_spec_is_made():
    with pytest.raises(ConfigError, match=r"'toy-lineer'.*Did you mean 'toy-linear'"):
        ModelSpec(name="toy-lineer")
    for name in ("", "os:system", "x" * 65):
        with pytest.raises(ConfigError):
            ModelSpec(name=name)


def test_the_config_of_a_nested_model_is_checked_when_it_is_built():
    with pytest.raises(ConfigError, match="has no field 'hidden'"):
        ModelSpec(name="toy-linear", config={"event": THREE, "hidden": 4}).build()
    with pytest.raises(ConfigError, match=r"ToyConfig\.width"):
        ModelSpec(name="toy-linear", config={"event": THREE, "width": 10**12}).build()


def test_an_objective_of_the_model_has_its_stage():
    own = (
        Stage(model="inner", objective="elbo"),
        Stage(objective="denoising", part=("network", "embedder"), trainer={"max_steps": 7}),
    )
    assert stage_for("denoising", own) == own[1]
    assert stage_for("elbo", own) == own[0]


def test_another_objective_trains_the_part_of_the_last_stage():
    own = (Stage(model="inner", objective="elbo"), Stage(objective="denoising", part="network"))
    assert stage_for("vlb", own) == Stage(objective="vlb", part="network")
    assert stage_for("vlb", own[:1]) == Stage(objective="vlb")
    assert stage_for("vlb", ()) == Stage(objective="vlb")
