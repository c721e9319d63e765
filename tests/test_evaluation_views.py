"""Evaluations and comparisons in a notebook's cell, and as data frames."""

import sys
from dataclasses import replace

import pytest
import torch

import genzoo
from genzoo.errors import MissingDependencyError
from genzoo.estimate import Estimate, Note, Reference
from genzoo.evaluation import Evaluation
from genzoo.goal import Goal

FIGURE = Estimate(
    value=-2.0,
    std_error=0.05,
    kind="stochastic estimate",
    unit="nats",
    num_samples=9,
    interval=(-2.5, -1.5),
    notes=(Note("few", "<b>few</b>", unreliable=True),),
    reference=Reference(-1.0, "held-out data"),
    goal=Goal("higher", "reference"),
)
RESULT = Evaluation({"<i>f</i>": FIGURE, "g": replace(FIGURE, notes=(), goal=None)}, {"seed": 3})


def test_a_cell_shows_all_of_a_figure_and_escapes_it():
    html = RESULT._repr_html_()
    for text in ("-2.000 ± 0.050", "-1.000 (held-out data)", "↑ ref", "between -2.500 and -1.500"):
        assert text in html
    for text in ("UNRELIABLE [1]", "[1] few: Unreliable: &lt;b&gt;few", "&lt;i&gt;f", "seed 3"):
        assert text in html
    assert "<i>" not in html
    assert "color" not in html  # The notebook's own, light or dark.
    assert html.count("few:") == 1


def test_a_frame_has_a_row_for_each_figure():
    frame = RESULT.to_frame()
    assert list(frame.index) == ["<i>f</i>", "g"]
    assert frame.loc["g", ["value", "reference", "low", "better"]].tolist() == [
        -2,
        -1,
        -2.5,
        "unknown",
    ]
    assert frame.loc["<i>f</i>", ["better", "best"]].tolist() == ["higher", "reference"]
    assert frame["unreliable"].tolist() == [True, False]


def test_without_pandas_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match="pip install pandas"):
        RESULT.to_frame()


def test_a_comparison_has_the_differences_too():
    event = genzoo.Binary(shape=(3,))
    models = {n: genzoo.create_model("rbm", event=event, num_hidden=2) for n in ("a", "<b>")}
    found = genzoo.compare(models, torch.rand(9, 3).round())
    frame = found.to_frame()
    assert list(frame.index) == ["a", "<b>", "a − <b>"]
    difference = frame.loc["a", "value"] - frame.loc["<b>", "value"]
    assert frame.loc["a − <b>", "value"] == pytest.approx(difference)
    assert "a − &lt;b&gt;" in found._repr_html_()
