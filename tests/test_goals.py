"""Which way a figure is good: goals, their marks, and that those of our metrics are true."""

import math

import pytest
import torch

import families
import genzoo
from genzoo import registry
from genzoo.errors import ConfigError
from genzoo.estimate import mean_of
from genzoo.evaluation.metric import Metric
from genzoo.goal import Goal, legend, mark_of, read_goal, words_of
from genzoo.testing import CheckFailed, check_metric
from judges import Replay

OURS = [
    name
    for name in registry.names("metrics")
    if registry.distribution_of("metrics", name)[0] == "genzoo"
    if name != "inception-distance"  # Its import takes seconds.
]


@pytest.mark.parametrize(
    ("goal", "mark", "words"),
    [
        (Goal("higher"), "↑", "higher is better"),
        (Goal("lower", 0), "↓ 0", "lower is better, 0 is the best"),
        (Goal("higher", "reference"), "↑ ref", "higher is better, the reference is the best"),
        (Goal("near", 0.5), "→ 0.5", "near 0.5 is the best"),
        (Goal("none"), "–", "neither way is good"),
        (None, "?", "not declared"),
    ],
)
def test_a_goal_has_a_mark_and_words(goal, mark, words):
    assert (mark_of(goal), words_of(goal)) == (mark, words)
    assert legend([mark]).startswith(mark[0])


@pytest.mark.parametrize(
    ("goal", "ranked"),
    [
        (Goal("higher", 1.0), [0.9, 0.5, 0.1]),
        (Goal("lower"), [-3.0, 0.0, 2.0]),
        (Goal("near", 1.0), [1.1, 0.8, 2.0]),
        (Goal("near", "reference"), [0.2, 0.5, -0.3]),
    ],
)
def test_the_cost_ranks_figures(goal, ranked):
    costs = [goal.cost(value, 0.2) for value in [*ranked, math.nan]]
    assert costs == sorted(costs)
    assert costs[-1] == math.inf


@pytest.mark.parametrize(
    "wrong", [("up",), ("near",), ("none", 1.0), ("higher", math.inf), ("lower", True)]
)
def test_a_goal_without_meaning_is_refused(wrong):
    with pytest.raises(ConfigError):
        Goal(*wrong)
    assert read_goal({"direction": wrong[0], "best": wrong[-1]}) is None


def test_what_cannot_be_ranked_is_refused():
    for goal in (Goal("none"), Goal("near", "reference")):
        with pytest.raises(ConfigError, match="cannot be ranked"):
            goal.cost(1.0)


def test_the_most_precise_name_decides():
    class Some(Metric):
        goals = {"f": Goal("lower"), "f[pixels]": Goal("none"), "*": Goal("higher")}  # noqa: RUF012

    found = [Some.goal_of(name).direction for name in ("f", "f[net]", "f[pixels]", "g")]
    assert found == ["lower", "lower", "none", "higher"]
    assert Metric.goal_of("f") is None


@pytest.mark.parametrize("name", OURS)
def test_every_metric_of_ours_declares_goals(name):
    goals = registry.load("metrics", name).goals
    assert goals
    assert all(isinstance(goal, Goal) for goal in goals.values())


RING = genzoo.load_dataset("ring", "test", num=240)
MODEL = Replay(RING.head(240)["x"][:100])
OF_SAMPLES = ("frechet-feature-distance", "kernel-feature-distance", "precision-recall")
OF_SAMPLES = (*OF_SAMPLES, "two-sample", "mode-coverage")


@pytest.mark.parametrize("name", OF_SAMPLES)
def test_the_goals_of_figures_of_samples_are_true(name):
    figures = check_metric(name, MODEL, RING)
    assert all(figure.goal for figure in figures.values())


@pytest.mark.parametrize(
    ("name", "figure", "wrong"),
    [
        ("two-sample", "two-sample", Goal("higher")),
        ("mode-coverage", "modes", Goal("lower")),
        ("mode-coverage", "high-quality-share", Goal("lower")),
        ("frechet-feature-distance", "frechet-feature-distance", Goal("higher")),
    ],
)
def test_a_wrong_goal_is_found(name, figure, wrong, monkeypatch):
    cls = registry.load("metrics", name)
    monkeypatch.setattr(cls, "goals", {**cls.goals, figure: wrong})
    with pytest.raises(CheckFailed, match=figure):
        check_metric(name, MODEL, RING)


def test_a_figure_beyond_its_best_value_or_without_its_reference_is_found():
    @genzoo.register("metrics", "too-good")
    class TooGood(Metric[families.None_]):
        Config = families.None_

        def unavailable_reason(self, model, data):
            return "" if model is MODEL else "it is for one test"  # It stays registered.

        def compute(self, case):
            return {"too-good": mean_of(torch.tensor([2.0, 2.1]), "exact")}

    for goal, said in (("reference", "no reference"), (1.0, "better than the best")):
        TooGood.goals = {"too-good": Goal("higher", goal)}
        with pytest.raises(CheckFailed, match=said):
            check_metric("too-good", MODEL, RING)
