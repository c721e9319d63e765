"""Cards: figures come back as they were written, and what was typed shows as text."""

import json
import math
import re
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard

import genzoo
import genzoo.plugin
from folders import saved
from genzoo.card import figures_of, read_figures, write_card, write_figures
from genzoo.card.escaping import escaped
from genzoo.cli import main
from genzoo.errors import LoadError
from genzoo.estimate import Estimate
from genzoo.evaluation import Evaluation
from genzoo.evaluation.comparing import differences
from genzoo.evaluation.reading import evaluation_of
from genzoo.model_files import CARD

PROVENANCE = {
    "data": "digits/test",
    "source": "digits",
    "split": "test",
    "data_config": {"binarize": "threshold"},
    "examples": 297,
    "seed": 0,
    "sampler": "gibbs",
    "sampler_config": {"num_steps": 1000},
    "torch": "2.13",
}
NASTY = "`|<script>alert(1)</script> [x](javascript:y) $\\frac{\n# heading"


def estimate(value=-17.25, **changes):
    given = {"std_error": 0.5, "kind": "exact", "unit": "nats", "num_samples": 297, **changes}
    own = {"metric": "log-likelihood", "metric_config": {"num_samples": 7}}
    return Estimate(value=value, provenance=own, **given)


def evaluation(value=-17.25, provenance=PROVENANCE, name="log-likelihood", **changes):
    return Evaluation({name: estimate(value, **changes)}, provenance)


def test_figures_come_back_with_their_provenance(tmp_path):
    written = evaluation(
        notes=(genzoo.plugin.Note("a-code", "A note: with a colon."),),
        interval=(-18.0, -17.0),
        reference=genzoo.plugin.Reference(0.5, "held-out data"),
    )
    write_figures(tmp_path, written, name="m")
    (found,) = read_figures(tmp_path)
    assert (found.name, found.value) == ("log-likelihood", -17.25)
    assert found.facts["std_error"] == 0.5
    assert found.notes == [genzoo.plugin.Note("a-code", "A note: with a colon.")]
    assert found.facts["reference"] == {"value": 0.5, "kind": "held-out data"}
    assert found.facts["interval"] == [-18.0, -17.0]
    assert {**PROVENANCE, "metric": "log-likelihood"}.items() <= found.provenance.items()
    assert found.provenance["metric_config"] == {"num_samples": 7}


@pytest.mark.parametrize(
    ("interval", "kept", "said"),
    [
        ((-math.inf, math.inf), ["not finite", "not finite"], "between −∞ and ∞"),
        ((-math.inf, -17.0), ["not finite", -17.0], "between −∞ and -17"),
        ((-18.0, math.inf), [-18.0, "not finite"], "between -18 and ∞"),
    ],
)
def test_an_end_of_an_interval_that_is_infinite_keeps_its_place(tmp_path, interval, kept, said):
    written = evaluation(interval=interval)
    write_figures(tmp_path, written, name="m")
    (found,) = read_figures(tmp_path)
    assert found.facts["interval"] == kept
    assert differences(found, *figures_of(written)) == []
    assert said in Path(tmp_path, CARD.name).read_text("utf-8")
    assert evaluation_of(written.to_dict()).figures["log-likelihood"].interval == interval


def test_the_hub_client_reads_the_index_that_it_is_meant_to(tmp_path):
    write_figures(tmp_path, evaluation(), name="m", conditions=("text",))
    data = ModelCard.load(tmp_path / CARD.name).data
    assert (data.library_name, data.model_name) == ("genzoo", "m")
    assert data.pipeline_tag == "text-to-image"
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("log-likelihood", -17.25)
    assert (result.dataset_type, result.dataset_split) == ("digits", "test")
    assert json.loads(result.dataset_config) == {"binarize": "threshold"}


def test_a_figure_that_is_not_finite_has_no_value(tmp_path):
    write_figures(tmp_path, evaluation(float("nan")), name="m")
    assert read_figures(tmp_path)[0].value is None
    assert "not finite" in Path(tmp_path, CARD.name).read_text("utf-8")


def test_the_same_question_is_answered_once_and_others_stay(tmp_path):
    static = {**PROVENANCE, "data_config": {"binarize": "static"}}
    write_figures(tmp_path, evaluation(-1.0), name="m")
    write_figures(tmp_path, evaluation(-2.0, static), name="m")
    write_figures(tmp_path, evaluation(0.5, name="recall"), name="m")
    write_figures(tmp_path, evaluation(-3.0), name="m")
    found = {
        (f.name, f.provenance["data_config"]["binarize"]): f.value for f in read_figures(tmp_path)
    }
    assert found == {
        ("log-likelihood", "threshold"): -3.0,
        ("log-likelihood", "static"): -2.0,
        ("recall", "threshold"): 0.5,
    }
    text = Path(tmp_path, CARD.name).read_text("utf-8")
    assert text.count("## Figures") == 1


def test_what_a_person_wrote_stays(tmp_path):
    own = "---\nlicense: mit\nlanguage: de\n---\n\n# Mine\n\nMy own words.\n"
    Path(tmp_path, CARD.name).write_text(own, "utf-8")
    write_figures(tmp_path, evaluation(-1.0), name="m")
    write_figures(tmp_path, evaluation(-2.0), name="m")
    card = ModelCard.load(tmp_path / CARD.name)
    assert (card.data.license, card.data.language) == ("mit", "de")
    assert card.text.index("My own words.") < card.text.index("## Figures")
    assert "-2" in card.text
    assert "| -1 " not in card.text


def test_text_is_shown_as_text(tmp_path):
    nasty = {**PROVENANCE, "data": NASTY, "source": NASTY, "sampler": NASTY}
    write_figures(tmp_path, evaluation(provenance=nasty, name=NASTY), name=NASTY)
    text = ModelCard.load(tmp_path / CARD.name).text
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 7 for row in rows)
    assert "\n# heading" not in text
    assert read_figures(tmp_path)[0].provenance["data"] == NASTY


def test_escaping_leaves_plain_words_alone():
    assert escaped("log-likelihood of 297 rows") == "log-likelihood of 297 rows"
    assert escaped("a|b\n<i>") == "a\\|b &lt;i&gt;"


def test_versions_are_plain_text(tmp_path):
    """torch.__version__ is not a str, and YAML would write it as a Python object."""
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=3)
    rows = torch.rand(20, 1, 8, 8).round()
    write_figures(tmp_path, genzoo.evaluate(model, rows, ["log-likelihood"]), name="m")
    assert "!!python" not in Path(tmp_path, CARD.name).read_text("utf-8")
    assert read_figures(tmp_path)[0].provenance["torch"] == str(torch.__version__)


@pytest.mark.parametrize(
    "text", ["---\nmodel-index: [\n---\n", "---\na: !!python/object/new:os.system [ls]\n---\n"]
)
def test_a_card_that_cannot_be_read_is_refused(tmp_path, text):
    Path(tmp_path, CARD.name).write_text(text, "utf-8")
    with pytest.raises(LoadError, match="cannot be read as a card"):
        read_figures(tmp_path)


@pytest.mark.parametrize("config", ["[" * 10**5, '{"a":' * 40_000, "[]", "{", '{"a": 1, "a": 2}'])
def test_a_config_of_data_that_cannot_be_read_is_none(tmp_path, config, capsys):
    """Of a folder that is a stranger's: it is shown, made a card of, and judged."""
    folder = saved(tmp_path / "model")
    head = f"""---
model-index:
- name: x
  results:
  - task: {{type: t}}
    dataset: {{type: digits, name: d, split: test, config: '{config}'}}
    metrics: [{{type: m, name: m, value: 1}}]
---
"""
    Path(folder, CARD.name).write_text(head, "utf-8")
    assert read_figures(folder)[0].provenance["data_config"] == {}
    write_card(folder)
    for command, code in (("inspect", 0), ("card --num 0", 0), ("evaluate --verify", 1)):
        with pytest.raises(SystemExit) as left:
            main([*command.split(), str(folder)])
        assert left.value.code == code
    assert "cannot be verified" in capsys.readouterr().out


def test_a_card_of_megabytes_is_refused(tmp_path):
    Path(tmp_path, CARD.name).write_bytes(b"x" * (CARD.max_bytes + 1))
    with pytest.raises(LoadError, match="too many for a card"):
        read_figures(tmp_path)


def test_no_card_has_no_figures(tmp_path):
    assert read_figures(tmp_path) == []


def test_figures_of_an_evaluation_carry_the_whole_provenance():
    (found,) = figures_of(evaluation())
    assert found.provenance == {
        **PROVENANCE,
        "metric": "log-likelihood",
        "metric_config": {"num_samples": 7},
    }


def test_a_table_in_place_of_a_text_in_the_model_index_is_named(tmp_path):
    head = {"type": "log-likelihood", "name": "log-likelihood", "value": -1.0}
    data = {"name": "digits", "type": "digits", "config": {"binarize": "threshold"}}
    index = [
        {"name": "m", "results": [{"task": {"type": "x"}, "dataset": data, "metrics": [head]}]}
    ]
    text = yaml.safe_dump({"model-index": index, "model_name": "m"})
    (tmp_path / "README.md").write_text(f"---\n{text}---\n", "utf-8")
    with pytest.raises(
        LoadError, match="has a table or a list where a text is needed, in the data of log-l"
    ):
        read_figures(tmp_path)
