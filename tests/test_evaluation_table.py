"""An evaluation in words: figures, notes once, provenance once."""

from dataclasses import replace

from genzoo.estimate import Estimate, Note
from genzoo.evaluation import Evaluation
from genzoo.goal import Goal, legend

SHA = "4c468348878cb467f430"
ONE, TWO = Note("one", "One."), Note("two", "Two.")


def figure(*notes, **provenance):
    return Estimate(
        value=1.0,
        std_error=0.5,
        kind="exact",
        unit="share",
        num_samples=3,
        notes=notes,
        provenance={"metric": "m", "metric_config": {"k": 5}, **provenance},
    )


def test_a_note_that_figures_share_stands_once():
    figures = {
        "a": replace(figure(ONE, TWO), goal=Goal("higher", 1.0)),
        "long-name": replace(figure(TWO), goal=Goal("near", "reference")),
        "c": figure(),
    }
    assert str(Evaluation(figures, {"seed": 0})).splitlines() == [
        "a          ↑ 1    1.00 ± 0.50 share (exact) [1] [2]",
        "long-name  → ref  1.00 ± 0.50 share (exact) [2]",
        "c          ?      1.00 ± 0.50 share (exact)",
        legend(["↑ 1", "→ ref", "?"]),
        "[1] one: One.",
        "[2] two: Two.",
        "Provenance: seed 0.",
    ]


def test_what_is_unreliable_says_so_in_its_own_line():
    bad = figure(Note("no", "no.", unreliable=True))
    (line, _, note, _) = str(Evaluation({"a": bad}, {"seed": 0})).splitlines()
    assert line.endswith("(exact) UNRELIABLE [1]")
    assert note == "[1] no: Unreliable: no."


def test_figures_of_one_provenance_share_its_line_and_a_hash_is_cut():
    figures = {"a": figure(sha256=SHA), "b": figure(sha256=SHA), "c": figure(sha256=SHA, k=5)}
    text = str(Evaluation(figures, {"data": "d", "config": {"x": 1}, "none": None, "no": {}}))
    assert text.splitlines()[4:] == [
        "Provenance: data d, config (x 1).",
        "  a, b: sha256 4c468348878c….",
        "  c: sha256 4c468348878c…, k 5.",
    ]
    assert Evaluation(figures, {}).to_dict()["figures"]["a"]["provenance"]["sha256"] == SHA


def test_the_other_directions_failure_marks_the_figure_too():
    bad = figure(ONE, Note("reverse-ess-low", "By reverse AIS, few.", unreliable=True))
    text = str(Evaluation({"a": bad}, {"seed": 0}))
    assert "UNRELIABLE [1] [2]" in text.splitlines()[0]
