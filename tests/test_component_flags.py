"""Flags for fields of configs that hold a component: of objectives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import pytest

import families
import genzoo
import holders
from genzoo import Component, ConfigError, Stage, registry
from genzoo.cli.components import group_of, resolved
from genzoo.component import ComponentOverride
from genzoo.config import converted
from genzoo.plugin import Config, Group, ModelSpec, Objective, make
from holders import (
    GROUP,
    MADE,
    TRAIN,
    Estimating,
    EstimatingConfig,
    MeanConfig,
    MedianConfig,
    SizedConfig,
    helped,
    refused,
    run,
    trained,
)

CHAIN = "--objective.estimator chain --objective.estimator.estimator"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, forgetting):
    """A folder with data, and the toys registered."""
    holders.settle(tmp_path, monkeypatch)


def of_objective(flags):
    return trained(flags)["stages"][0]["objective"].get("config", {})


# What holds a component


def test_a_field_holds_a_component_or_a_model_or_none():
    one = Annotated[Component, Group("samplers")]
    held = [one, one | None, Annotated[Component | None, Group("samplers")]]
    assert [group_of(kind) for kind in held] == ["samplers"] * 3
    assert [group_of(kind) for kind in (ModelSpec, ModelSpec | None)] == ["models"] * 2
    others = [Component, int, None, Mapping[str, one], tuple[one, ...], one | int, str | None]
    assert [group_of(kind) for kind in others] == [""] * len(others)


def test_some_values_are_converted_as_a_config_converts_them():
    assert converted(MeanConfig, {"pair": [1, 2]}) == {"pair": (1, 2)}
    assert converted(SizedConfig, {}) == {}
    with pytest.raises(ConfigError, match=r"MeanConfig\.num must be in"):
        converted(MeanConfig, {"num": 0})
    with pytest.raises(ConfigError, match="Did you mean 'num'"):
        converted(MeanConfig, {"nun": 1})


# An objective


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ("", {}),
        ("--objective.lr 0.1", {"lr": 0.1}),
        # Another name takes nothing from the default component.
        ("--objective.estimator median", {"estimator": {"name": "median", "config": {}}}),
        (
            "--objective.estimator median --objective.estimator.share 0.25",
            {"estimator": {"name": "median", "config": {"share": 0.25}}},
        ),
        (
            "--objective.estimator=median --objective.estimator.no-robust",
            {"estimator": {"name": "median", "config": {"robust": False}}},
        ),
        # A value alone is one of the default component, and so are those of its name.
        (
            "--objective.estimator.pair 4 2",
            {"estimator": {"name": "mean", "config": {"num": 5, "pair": [4, 2]}}},
        ),
        ("--objective.estimator mean", {"estimator": {"name": "mean", "config": {"num": 5}}}),
        # A typed value counts, also if it is the default.
        (
            "--objective.estimator median --objective.estimator.share 0.5",
            {"estimator": {"name": "median", "config": {"share": 0.5}}},
        ),
        (
            "--objective.estimator.num 5",
            {"estimator": {"name": "mean", "config": {"num": 5}}},
        ),
        ("--objective.other mean", {"other": {"name": "mean", "config": {}}}),
        (
            "--objective.other sized --objective.other.size 3",
            {"other": {"name": "sized", "config": {"size": 3}}},
        ),
        # Components in components.
        (
            f"{CHAIN} median --objective.estimator.estimator.share 1",
            {
                "estimator": {
                    "name": "chain",
                    "config": {"estimator": {"name": "median", "config": {"share": 1.0}}},
                }
            },
        ),
    ],
)
def test_a_flag_chooses_the_component_of_an_objective_and_its_fields_are_flags(flags, wanted):
    assert of_objective(flags) == wanted
    made = MADE[-1]
    config = EstimatingConfig.from_dict(wanted)
    for found, one in zip(made, (config.estimator, config.other), strict=True):
        assert found == (one and registry.config_of(GROUP, one))
    run("train --recipe run/recipe.toml --output again --overwrite")
    assert MADE[-1] == made


@pytest.mark.parametrize(
    "prescribed", ["median", {"name": "median", "config": {"share": 0.75, "robust": False}}]
)
def test_the_component_of_the_stage_is_the_default(prescribed, monkeypatch):
    stages = (Stage(objective={"name": "toy-estimating", "config": {"estimator": prescribed}}),)
    monkeypatch.setattr(families.Linear, "default_stages", lambda config: stages)
    assert trained("", objective="")["stages"][0]["objective"]["config"]["estimator"] == prescribed
    flags = "--objective.estimator.share 0.25"
    found = trained(flags, objective="")["stages"][0]["objective"]["config"]["estimator"]
    values = {} if prescribed == "median" else prescribed["config"]
    assert found == {"name": "median", "config": {**values, "share": 0.25}}
    found = trained("--objective.estimator mean", objective="")
    mean = {"name": "mean", "config": {}}
    assert found["stages"][0]["objective"]["config"]["estimator"] == mean


def test_values_are_put_over_those_of_the_run_and_not_of_the_example(monkeypatch, capsys):
    def stages(config):
        own = {"name": "mean", "config": {"num": config.width, "pair": [config.width]}}
        return (Stage(objective={"name": "toy-estimating", "config": {"estimator": own}}),)

    monkeypatch.setattr(families.Linear, "default_stages", stages)

    def values(flags):
        found = trained(f"--model.width 9 {flags}", objective="")
        return found["stages"][0]["objective"]["config"]["estimator"]["config"]

    assert values("--objective.estimator.pair 2") == {"num": 9, "pair": [2]}
    assert values("--objective.estimator.num 2") == {"num": 2, "pair": [9]}
    assert "--objective.estimator.pair whole numbers; default: 5 Some" in helped(TRAIN, capsys)


LINE = f"{TRAIN} --objective toy-estimating"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--objective.estimator.num 0", r"MeanConfig.num must be in [1, 100], got 0."),
        ("--objective.estimator.num few", "--objective.estimator.num takes a whole number, got"),
        (
            "--objective.estimator median --objective.estimator.share 2",
            "MedianConfig.share must be in [0.0, 1.0], got 2.0.",
        ),
        (
            "--objective.estimator medain",
            "flags_test.estimators, got 'medain'. Did you mean 'median'",
        ),
        (f"{CHAIN} medain", "Unknown flags_test.estimator 'medain'. Did you mean 'median'"),
        ("--objective.estimator gibbs", "'gibbs' is one of the samplers: name it there."),
        ("--objective.estimator", "--objective.estimator needs a value."),
        ("--objective.estimator --objective.lr 1", "--objective.estimator needs a value."),
        ("--objective.estimator sized", "SizedConfig needs a value for: size."),
        ("--objective.estimator bare", "'bare' in flags_test.estimators has no Config"),
        (
            "--objective.estimator bare --objective.estimator.num 3",
            "There is no flag --objective.estimator.num. Did you mean --objective.estimator?",
        ),
        # Fields of another component.
        ("--objective.estimator.share 0.5", "There is no flag --objective.estimator.share."),
        (
            "--objective.estimator median --objective.estimator.num 5",
            "There is no flag --objective.estimator.num.",
        ),
        (
            "--objective.estimator median --objective.estimator.shar 5",
            "Did you mean --objective.estimator.share",
        ),
        (
            "--objective.other.num 5",
            "no flag --objective.other.num. Give --objective.other NAME too: its fields are",
        ),
        (
            f"{CHAIN} mean --objective.estimator.estimator.num 101",
            "MeanConfig.num must be in [1, 100], got 101.",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(flags, says, capsys):
    assert says in refused(f"{LINE} {flags}", capsys)


def test_values_without_a_component_say_that_a_name_is_missing():
    change = ComponentOverride(config={"num": 3})
    with pytest.raises(ConfigError, match="other has values, num, but no name"):
        resolved(EstimatingConfig, {}, {"other": change})


def test_the_help_lists_the_flag_and_the_fields_of_the_chosen_component(capsys):
    text = helped(LINE, capsys)
    own = "--objective.estimator name; default: mean The estimator. See genzoo list " + GROUP
    assert f"{own}." in text
    assert "--objective.other name; default: none Another one." in text
    # The objective's own flags come before those of its component, the first field.
    assert text.index("--objective.lr number") < text.index("--objective.estimator.*: a mean")
    number = "whole number from 1 to 100; default: 5 The number of draws."
    assert f"--objective.estimator.num {number}" in text
    assert "--objective.other." not in text
    assert number in helped(f"{LINE} --objective.estimator mean", capsys)
    text = helped(f"{LINE} --objective.estimator median --objective.other sized", capsys)
    assert "--objective.estimator.num" not in text
    assert "--objective.estimator.share number from 0 to 1; default: 0.5" in text
    assert "--objective.other.size whole number; required The size." in text


def test_a_component_without_a_default_is_needed(capsys):
    @dataclass(frozen=True, kw_only=True)
    class NeedyConfig(Config):
        estimator: Annotated[Component, Group(GROUP)]

    def init(self, model, config=None):
        Objective.__init__(self, model, config)
        MADE.append(make(GROUP, self.config.estimator).config)

    needy = type("Needy", (Estimating,), {"Config": NeedyConfig, "__init__": init})
    genzoo.register("objectives", "toy-needy")(needy)
    line = f"{TRAIN} --objective toy-needy"
    assert "--objective.estimator name; required See genzoo list" in helped(line, capsys)
    assert "NeedyConfig needs a value for: estimator." in refused(line, capsys)
    text = helped(f"{line} --objective.estimator median", capsys)
    assert "--trainer.optimizers.model name; default: adam" in text
    flags = "--objective toy-needy --objective.estimator.share 0.125 --objective.estimator median"
    trained(flags, objective="")
    assert MADE[-1] == MedianConfig(share=0.125)


def test_another_component_takes_nothing_from_the_one_inside_the_default():
    median = {"name": "median", "config": {"share": 0.75}}
    own = {"estimator": {"name": "chain", "config": {"estimator": median}}}
    inner = ComponentOverride(name="median")

    def found(name):
        change = ComponentOverride(name=name, config={"estimator": inner})
        return resolved(EstimatingConfig, own, {"estimator": change})["estimator"]["config"]

    assert found("chain") == found(None) == {"estimator": median}
    assert found("link") == {"estimator": {"name": "median", "config": {}}}
