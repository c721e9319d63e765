"""A card's figures made again: what holds, what does not, what cannot be told."""

import dataclasses
from pathlib import Path

import pytest

import genzoo
from genzoo.card import figures_of, read_figures, write_figures
from genzoo.cli import main
from genzoo.estimate import Estimate
from genzoo.evaluation import evaluate
from genzoo.evaluation.verifying import _judge, verify
from genzoo.stage import Named


@pytest.fixture(scope="module")
def model():
    data = genzoo.load_dataset("digits", binarize="threshold")
    machine = genzoo.create_model("rbm", event_shape=(1, 8, 8), num_hidden=5)
    machine.init_from_data(data.head(100), data.spec)
    return machine


@pytest.fixture(scope="module")
def figures(model):
    test = genzoo.load_dataset("digits", "test", binarize="threshold")
    return figures_of(evaluate(model, test, ["log-likelihood"], seed=3, max_examples=50))


def changed(figure, value=None, **receipt):
    given = {**figure.receipt, **receipt}
    return dataclasses.replace(
        figure, value=figure.value if value is None else value, receipt=given
    )


def judgements(model, figures):
    return [verdict.judgement for verdict in verify(model, figures)]


def test_honest_figures_are_equal(model, figures):
    assert [figure.name for figure in figures] == ["log-likelihood", "bits-per-dimension"]
    assert judgements(model, figures) == ["equal", "equal"]


def test_another_value_is_seen_and_an_error_that_the_card_claims_is_not_believed(model, figures):
    wide = dataclasses.replace(figures[0], value=-3.0, facts={"std_error": 1e9})
    assert judgements(model, [wide, figures[1]]) == ["differs", "equal"]


@pytest.mark.parametrize(
    ("receipt", "reason"),
    [
        ({"metric": None}, "its receipt lacks metric"),
        ({"source": ""}, "its receipt lacks source"),
        ({"metric": "no-such"}, "Unknown metric"),
        ({"source": "no-such-data"}, "Unknown dataset"),
        ({"data_config": {"no_such": 1}}, "no field"),
        ({"metric": "independent-pixels", "metric_config": {}}, "the metric gives"),
        ({"sampler": "no-such"}, "Unknown sampler"),
        ({"examples": "many"}, ""),
    ],
)
def test_what_cannot_be_made_again_says_why(model, figures, receipt, reason):
    (verdict,) = verify(model, [changed(figures[0], **receipt)])
    assert verdict.judgement == "cannot be made again"
    assert reason in str(verdict)


def test_values_of_metric_and_sampler_are_given_again(model):
    test = genzoo.load_dataset("digits", "test", binarize="threshold")
    cls = genzoo.registry.load("samplers", "gibbs")
    made = evaluate(
        model,
        test,
        [Named(name="log-likelihood", config={"num_samples": 9})],
        sampler=cls(cls.Config(num_steps=2)),
        max_examples=30,
    )
    (figure, _) = figures_of(made)
    assert figure.receipt["metric_config"] == {"num_samples": 9}
    assert figure.receipt["sampler"] == "gibbs"
    assert figure.receipt["sampler_config"] == {"num_steps": 2}
    assert judgements(model, [figure]) == ["equal"]


def test_the_error_found_now_is_the_measure():
    now = Estimate(value=10.0, std_error=0.1, kind="exact", unit="nats", num_samples=3)
    assert _judge(10.0009, now) == "equal"
    assert _judge(10.4, now) == "agrees"
    assert _judge(10.5, now) == "differs"
    assert _judge(None, now) == "differs"
    assert _judge(None, dataclasses.replace(now, value=float("nan"))) == "equal"


def leave(line):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    return left.value.code


def test_the_command_line_says_what_holds(model, tmp_path, capsys):
    model.save_pretrained(tmp_path / "m")
    evaluating = f"evaluate {tmp_path}/m --data digits --data.binarize threshold --card"
    assert leave(f"{evaluating} --metrics log-likelihood --max-examples 40") == 0
    assert len(read_figures(tmp_path / "m")) == 2
    capsys.readouterr()
    assert leave(f"evaluate {tmp_path}/m --verify") == 0
    assert capsys.readouterr().out.count(": equal") == 2
    card = Path(tmp_path, "m", "README.md")
    card.write_text(card.read_text("utf-8").replace("value: -", "value: -9"), "utf-8")
    assert leave(f"evaluate {tmp_path}/m --verify") == 2
    said = capsys.readouterr()
    assert "differs" in said.out
    assert "1 of 2 figures of the card do not hold" in said.err
    text = card.read_text("utf-8").replace("metric: log-likelihood", "metric: no-such")
    card.write_text(text, "utf-8")
    assert leave(f"evaluate {tmp_path}/m --verify") == 2
    assert "2 of 2 figures of the card cannot be made again here" in capsys.readouterr().err


def test_a_folder_without_figures_has_nothing_to_verify(model, tmp_path, capsys):
    model.save_pretrained(tmp_path / "m")
    assert leave(f"evaluate {tmp_path}/m --verify") == 2
    assert "--card" in capsys.readouterr().err
    assert leave(f"evaluate {tmp_path}/m --verify --data digits") == 2
    assert "leave them out" in capsys.readouterr().err


def test_a_foreign_results_figures_are_none_of_ours(tmp_path):
    text = (
        "---\nmodel-index:\n- name: m\n  results:\n  - task:\n      type: t\n    dataset:\n"
        "      name: d\n      type: d\n    metrics:\n    - type: accuracy\n      value: high\n"
        "---\n"
    )
    Path(tmp_path, "README.md").write_text(text, "utf-8")
    (figure,) = read_figures(tmp_path)
    assert figure.value is None
    (verdict,) = verify(genzoo.create_model("rbm", event_shape=(2,)), [figure])
    assert verdict.judgement == "cannot be made again"
    write_figures(tmp_path, genzoo.evaluation.Evaluation({}, {}), name="m")
    assert "value: high" in Path(tmp_path, "README.md").read_text("utf-8")
