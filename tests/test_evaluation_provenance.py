"""The provenance of an evaluation, and how figures are written."""

import json
import math

import pytest
import torch

import genzoo
from genzoo.data import from_array
from genzoo.errors import ConfigError
from genzoo.estimate import Estimate, Note
from genzoo.evaluation import Evaluation, evaluate
from judged import ROWS, model


def test_the_provenance_says_what_stands_behind_the_figures():
    found = evaluate(model(), ROWS, seed=5)
    assert (
        found.provenance.items()
        >= {
            "data": "the given array",
            "examples": 50,
            "seed": 5,
            "batch_size": 25,
            "sampler": "toy-ancestral",
            "genzoo": genzoo.__version__,
            "torch": torch.__version__,
        }.items()
    )
    data = from_array(ROWS, "rows.npz:test")
    assert evaluate(model(), data).provenance["data"] == "rows.npz:test"


def test_figures_are_json_and_what_is_not_finite_is_null():
    figure = Estimate(
        value=-math.inf,
        std_error=math.nan,
        kind="lower bound",
        unit="nats",
        num_samples=1,
        interval=(-math.inf, -2.0),
        notes=(Note("one", "one example.", unreliable=True),),
    )
    values = Evaluation({"a": figure}, {"seed": 0}).to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == {
        "figures": {
            "a": {
                "value": None,
                "std_error": None,
                "kind": "lower bound",
                "unit": "nats",
                "num_samples": 1,
                "interval": [None, -2.0],
                "notes": [{"code": "one", "text": "one example.", "unreliable": True}],
                "reference": None,
                "goal": None,
                "provenance": {},
            }
        },
        "provenance": {"seed": 0},
        "left_out": {},
        "not_applicable": {},
    }


def test_an_evaluation_of_one_row_is_still_json():
    values = evaluate(model(), ROWS, max_examples=1).to_dict()
    json.dumps(values, allow_nan=False)
    assert values["figures"]["log-likelihood"]["std_error"] is None


def test_an_evaluation_in_words_has_a_line_for_each_figure_and_one_for_the_provenance():
    text = str(evaluate(model(), ROWS, seed=5))
    lines = text.splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("independent-pixels  –  -")
    assert lines[1].startswith("log-likelihood      ↑  -")
    assert lines[2].startswith("bits-per-dimension  ↓  ")
    assert lines[3].startswith("↑ higher is better, ↓ lower is better, – neither")
    assert lines[4].startswith("Provenance: data the given array")
    assert "examples 50, seed 5, batch_size 25, sampler toy-ancestral" in lines[4]
    assert lines[5].startswith("Left out: ")
    assert lines[6].startswith("Not for this model and these data: ")
    assert str(Evaluation({}, {"seed": 0})) == "Provenance: seed 0."


def test_a_metric_named_twice_is_refused():
    twice = ["log-likelihood", genzoo.Component(name="log-likelihood", config={"num_samples": 3})]
    with pytest.raises(ConfigError, match="log-likelihood is named twice"):
        evaluate(model(), ROWS, twice)
