"""Evaluations stored with a run: one file for each question, and what is read again."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

import genzoo
from genzoo.cli import main
from genzoo.errors import DataError, LoadError
from genzoo.estimate import Note
from genzoo.evaluation.reading import evaluation_of, read_evaluation, read_stored
from genzoo.evaluation.storing import WEIGHTS, weights_sha256
from genzoo.goal import Goal
from genzoo.model_files import is_pushed
from genzoo.saving import save_model

ROWS = torch.rand(40, 4, generator=torch.Generator().manual_seed(0)).round()
METRICS = ["independent-pixels", "log-likelihood"]


def model(seed=0):
    torch.manual_seed(seed)
    return genzoo.create_model("rbm", event=genzoo.Binary(shape=(4,)), num_hidden=2)


@pytest.fixture
def folder(tmp_path):
    save_model(model(), tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(scope="module")
def result():
    return genzoo.evaluate(model(), ROWS, METRICS)


def test_what_is_stored_is_read_again(folder, result):
    path = result.save(folder)
    (stored,), notes = read_stored(folder)
    assert stored.evaluation == result
    assert (stored.path, stored.weights, notes) == (path, weights_sha256(folder), [])
    assert not is_pushed(path.name)


def test_figures_that_are_not_finite_and_notes_are_read_again(result):
    note = Note("one", "one example.", unreliable=True)
    figure = replace(
        result.figures["log-likelihood"],
        std_error=float("nan"),
        interval=(-2.0, -1.0),
        notes=(note,),
        reference=genzoo.plugin.Reference(1.0, "held-out data"),
        goal=Goal("near", "reference"),
    )
    values = json.loads(json.dumps(replace(result, figures={"f": figure}).to_dict()))
    again = evaluation_of(values).figures["f"]
    assert again.std_error != again.std_error
    assert replace(again, std_error=0.0) == replace(figure, std_error=0.0)


def test_other_settings_lie_next_to_it_and_the_same_are_replaced(folder, result):
    first = result.save(folder)
    other = genzoo.evaluate(model(), ROWS, METRICS, seed=1).save(folder)
    assert first != other
    assert result.save(folder) == first
    fewer = genzoo.evaluate(model(), ROWS, METRICS[1:]).save(folder)
    assert {s.path for s in read_stored(folder)[0]} == {first, other, fewer}
    result.save(folder)  # It answers what the one with fewer metrics does.
    assert {s.path for s in read_stored(folder)[0]} == {first, other}


def test_the_hash_is_that_of_the_weights(folder, tmp_path):
    save_model(model(1), tmp_path / "other")
    save_model(model(), tmp_path / "same")
    hashes = [weights_sha256(path) for path in (folder, tmp_path / "other", tmp_path / "same")]
    assert hashes[0] == hashes[2] != hashes[1]


def test_a_folder_without_a_model_is_refused(tmp_path, result):
    with pytest.raises(LoadError, match=r"config\.json"):
        result.save(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[", "{}", '{"figures": 3}', '{"figures": {"a": 1}}'),
        '{"figures": {"a": {"value": 1}}}',
        '{"figures": {"a": {"value": "x", "std_error": 0, "kind": "exact"}}}',
    ],
)
def test_a_malformed_file_is_a_note(folder, result, text):
    (folder / "evaluation-x.json").write_text(text)
    result.save(folder)
    stored, notes = read_stored(folder)
    assert len(stored) == len(notes) == 1
    assert "evaluation-x.json" in notes[0]
    assert "\n" not in notes[0]
    with pytest.raises(DataError, match="is not an evaluation"):
        read_evaluation(folder / "evaluation-x.json")


def run(line, capsys):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    printed = capsys.readouterr()
    assert left.value.code == 0, printed.err
    return printed.out


def test_the_command_stores_unless_it_may_not(folder, tmp_path, capsys, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("rows.npz", x=ROWS.numpy())
    line = "evaluate model --data rows.npz --metrics independent-pixels"
    for more in (" --no-store", " --json model/evaluation.json"):
        assert "stored" not in run(line + more, capsys)
    assert [path.name for path in folder.glob("evaluation*")] == ["evaluation.json"]
    assert "figures are stored in model/evaluation-rows-npz" in run(line, capsys)
    (stored,) = folder.glob("evaluation-*.json")
    assert json.loads(stored.read_text())[WEIGHTS] == weights_sha256(folder)
    assert "evaluate model --card" in run("card model --num 0", capsys)
    run(line + " --card --no-store", capsys)
    assert "--card" not in run("card model --num 0", capsys)
    stored.unlink()
    stored.mkdir()
    caplog.set_level(logging.WARNING, logger="genzoo")
    assert "independent-pixels" in run(line, capsys)
    assert "not stored, only shown" in caplog.text
