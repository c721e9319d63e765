"""The report: what it says of a run, and how it is asked for."""

import json
import logging
import os
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

from folders import change_config, limited
from genzoo import ConfigError, DataError
from genzoo.errors import DiskFullError
from genzoo.estimate import Estimate
from genzoo.report import evaluations, reading, write_report
from genzoo.stage import Recipe
from reports import (
    check_harmless,
    command,
    evaluation,
    page_of,
    row,
    train_run,
    unfinished,
    write_log,
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty folder, and no handler bound to an earlier test's stderr."""
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_run(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def run(trained, tmp_path):
    """A copy of that run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_a_finished_run_is_told_whole(run):
    (run / "README.md").write_text("# A card\n", "utf-8")
    figure = json.loads((run / "evaluation.json").read_text())["figures"]["log-likelihood"]
    page = page_of(run)
    check_harmless(page)
    assert "run" in page.title
    num = sum(tensor.numel() for tensor in load_file(run / "model.safetensors").values())
    for text in ("Finished", "step 6 of 6", "step 3", "step 6", "# A card", f"weights {num} in"):
        assert text in page.text
    value, _, kind = str(Estimate(**figure | {"goal": None})).partition(" nats (")
    assert value in page.text
    assert kind.startswith(figure["kind"])
    assert figure["kind"] in page.text
    for file in ("recipe.toml", "config.json"):
        assert (run / file).read_text("utf-8").strip() in page.text
    for name in ("loss", "grad_norm", "lr", "examples_per_second"):
        assert name in page.text
    assert page.elements.count("img") == 2
    assert page.elements.count("svg") == len(json.loads(lines(run)[-1])) - len(("stage", "step"))
    assert "genzoo 0.1.0, torch" in page.text
    assert "yet" not in page.text


def lines(run):
    return (run / "metrics.jsonl").read_text().splitlines()


def test_what_is_missing_is_said_with_the_command_that_makes_it(run):
    shutil.rmtree(run / "samples")
    (run / "evaluation.json").unlink()
    page = page_of(run)
    assert f"genzoo evaluate {run}\n" in page.text
    assert f"genzoo sample {run} --num 64 --output {run}/samples/final.png" in page.text
    assert f"genzoo evaluate {run} --card" in page.text
    command(["sample", str(run), "--num", "4", "--output", f"{run}/samples/final.png"])
    page = page_of(run)
    assert "final.png" in page.text
    assert page.elements.count("img") == 1


def test_a_run_under_way_says_how_far_it_is_and_how_to_go_on():
    folder = unfinished("my run", row(50, loss=2.0), row(100, loss=1.0))
    page = page_of(folder)
    assert "Not finished" in page.text
    assert "step 100 of 500" in page.text
    assert ("progress", "value", "0.2") in page.attributes
    assert "train --recipe 'my run'/recipe.toml --output 'my run' --resume" in page.text
    assert "sample_steps = 0" in page.text
    assert "no config.json yet" in page.text


def test_stages_and_players_have_curves_of_their_own():
    folder = unfinished("run")
    values = {
        "model": {"name": "rbm"},
        "data": {"name": "digits"},
        "stages": [
            {"objective": {"name": "first"}, "trainer": {"max_steps": 100}},
            {"objective": {"name": "second"}, "part": "decoder"},
        ],
        "trainer": {"max_steps": 300},
    }
    (folder / "recipe.toml").write_text(Recipe.from_dict(values).to_toml(), "utf-8")
    later = {"stage": 1, "step": 30, "critic/loss": 3.0, "generator/loss": 4.5, "speed": 1.0}
    write_log(folder, row(60, loss=1.0), later)
    page = page_of(folder)
    assert "stage 2 of 2, step 30 of 300" in page.text
    assert ("progress", "value", str(330 / 600)) in page.attributes  # The user's steps hold.
    assert "Stage 1: first" in page.text
    assert "Stage 2: second, of the part decoder" in page.text
    for text in ("critic loss 3 at step 30", "generator loss 4.5 at step 30"):
        assert text in page.text
    assert page.elements.count("svg") == 4


def test_a_model_alone_is_told_of(run):
    for name in ("recipe.toml", "metrics.jsonl"):
        (run / name).unlink()
    shutil.rmtree(run / "checkpoints")
    page = page_of(run)
    assert "A model" in page.text
    assert "There is no recipe.toml" in page.text
    assert "Nothing is logged yet" in page.text


def test_every_field_of_a_figure_is_shown():
    Path("figures.json").write_text(
        evaluation(
            interval=[-18, -17.123],
            notes=[{"code": "few", "text": "three chains.", "unreliable": True}, "lone \ud800"],
            reference={"value": 0.5, "kind": "held-out data"},
            provenance={"extractor": "lenet", "sha256": "c9c8"},
            one_day={"a": [1, 2]},
        )
    )
    page = page_of(unfinished("run"), "figures.json")
    for text in (
        *("-17.65 ± 0.27", "nats", "exact", "297", "-18.00 and -17.12", "0.50"),
        *(
            "few: Unreliable: three chains.",
            "held-out data",
            "lone \\ud800",
            "unreliable",
            "lenet",
            "c9c8",
            '{"a": [1, 2]}',
            "mine",
        ),
    ):
        assert text in page.text


def test_a_figure_that_is_not_finite_is_said_to_be(run):
    (run / "evaluation.json").write_text(evaluation(value=None, std_error=None))
    (run / "evaluation-2.json").write_text(evaluation(std_error=None))
    page = page_of(run)
    assert "not finite" in page.text
    assert "-17.6512" in page.text


def test_evaluations_are_found_named_and_shown_once(run, tmp_path):
    shutil.copy(run / "evaluation.json", run / "evaluation-b.json")
    (run / "evaluation-c.json").write_text('{"figures": []}')
    (run / "evaluation-d.json").write_text(f'{{"a": {"[" * 100_000}')
    (run / "seconds.json").write_text("{}")
    (tmp_path / "other.json").write_text(evaluation())
    named = [tmp_path / "other.json", run / "evaluation-b.json"]
    found, notes = evaluations.read_evaluations(run, named)
    assert [one.file for one in found] == ["other.json", "evaluation-b.json", "evaluation.json"]
    assert [note.split(" ")[0] for note in notes] == ["evaluation-c.json", "evaluation-d.json"]


@pytest.mark.parametrize("text", [None, "", "[]", '{"figures": {"a": 1}}', "[" * 100_000, "NaN"])
def test_a_named_evaluation_that_is_none_is_an_error(run, text):
    if text is not None:
        Path("x.json").write_text(text)
    with pytest.raises(DataError, match=r"--evaluation 'x.json' .* genzoo evaluate DIR --json"):
        write_report(run, "report.html", ["x.json"])
    assert not Path("report.html").exists()


def test_an_evaluation_older_than_the_weights_is_said_to_be(run):
    assert "may evaluate an earlier model" not in page_of(run).text
    written = (run / "model.safetensors").stat().st_mtime
    os.utime(run / "evaluation.json", (written - 3600, written - 3600))
    assert "may evaluate an earlier model" in page_of(run).text


def test_what_this_version_would_refuse_is_shown_and_said(run):
    (run / "recipe.toml").write_text('[model]\nname = "rbm"\nfrom_tomorrow = 1\n')
    (run / "config.json").write_text('{"genzoo": 2}')
    page = page_of(run)
    assert "is not a recipe of this version" in page.text
    assert "from_tomorrow = 1" in page.text
    assert "would not be loaded" in page.text
    assert '{"genzoo": 2}' in page.text


def test_a_long_text_is_cut_and_said_to_be(run, monkeypatch):
    monkeypatch.setattr(reading, "MAX_TEXT_BYTES", 2000)
    (run / "README.md").write_text("é" * 1500 + "the end", "utf-8")
    page = page_of(run)
    assert "Only the first 2,000 bytes of README.md are shown." in page.text
    assert "the end" not in page.text


def test_a_long_text_of_a_config_is_shown_by_its_beginning(run):
    words = {"words": "w" * 1000}
    change_config(run, lambda values: values["config"].update(words))
    recipe = Recipe.read(run / "recipe.toml").to_dict()
    recipe["model"]["config"] |= words
    (run / "recipe.toml").write_text(Recipe.from_dict(recipe).to_toml(), "utf-8")
    text = page_of(run).text
    assert text.count(f"{'w' * 400}… of 1,000 characters") == 2
    assert "w" * 401 not in text
    for kept in ('"plugin": {', '"num_hidden": ', 'name = "rbm"', "[trainer]"):
        assert kept in text


def test_a_folder_without_a_run_is_an_error(tmp_path, capsys):
    with pytest.raises(DataError, match=r"There is no folder 'nowhere'\. Give the"):
        write_report("nowhere")
    Path("empty").mkdir()
    with pytest.raises(DataError, match=r"'empty' has no run: .* Give the folder"):
        write_report("empty")
    assert list(Path("empty").iterdir()) == []
    capsys.readouterr()
    command("report nowhere", 2)
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("name", ["report.txt", "model.safetensors", "report"])
def test_only_an_html_file_is_written(run, name):
    with pytest.raises(ConfigError, match=r"--output must end in \.html"):
        write_report(run, name)


def test_the_command_writes_into_the_folder_or_where_it_is_told(run, capsys):
    command(["report", str(run)])
    assert (run / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    Path("own.json").write_text(evaluation())
    command(["report", str(run), "--output", "deep/er.html", "--evaluation", "own.json"])
    assert "deep/er.html" in capsys.readouterr().out
    assert "own.json" in Path("deep/er.html").read_text("utf-8")


def test_help_tells_of_every_flag(capsys):
    command("report --help")
    out = capsys.readouterr().out
    for text in ("MODEL", "--output", "--evaluation", "evaluation*.json"):
        assert text in out


def test_a_report_is_replaced_whole_or_not_at_all(run):
    path = write_report(run)
    first = path.read_text("utf-8")
    (run / "README.md").write_text("new words")
    with limited("RLIMIT_FSIZE", 1000), pytest.raises(DiskFullError):
        write_report(run)
    assert path.read_text("utf-8") == first
    assert [p.name for p in run.glob(".*")] == [".lock"]
    write_report(run)
    assert "new words" in path.read_text("utf-8")


def test_likelihoods_stand_first():
    figures = {f"other {i}": {"value": 1.0, "unit": "share"} for i in range(9)}
    figures["likelihood"] = {"value": -3.25, "unit": "nats"}
    Path("many.json").write_text(json.dumps({"figures": figures}))
    text = page_of(unfinished("run"), "many.json").text
    assert text.index("likelihood") < text.index("other 0")
    assert "has no provenance" in text
    assert text.count("other 4") == 1
