"""What a command's arguments name is found whatever flags stand before it."""

import pytest

from genzoo.cli import arguments
from genzoo.cli.peeking import peek

TRAIN, EVALUATE, EXPLORE, SAMPLE = (
    arguments.TrainArguments,
    arguments.EvaluateArguments,
    arguments.ExploreArguments,
    arguments.SampleArguments,
)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (EVALUATE, "run --card"),
        (EVALUATE, "--card run"),
        (EVALUATE, "--no-verify --card run"),
        (EVALUATE, "--help run"),
        (EVALUATE, "-h run"),
        (EVALUATE, "--data.captions run"),
        (EVALUATE, "--data.no-captions run"),
        (EVALUATE, "--data digits --data.captions run"),
        (EVALUATE, "--data digits --data.limit 3 run"),
        (EVALUATE, "--data=digits --data.binarize=threshold run"),
        (EVALUATE, "--data_y digits --data_y.captions run"),
        (EVALUATE, "--seed -1 run"),
        (EVALUATE, "--json x.json --max-examples 10 run"),
        (EVALUATE, "--metrics fid knn-x --seed 3 run"),
        (EVALUATE, "--metrics log-likelihood --log-likelihood.num-samples 3 run"),
        (EVALUATE, "--sampler gibbs --sampler.num-steps 3 run"),
        (EXPLORE, "--dimensions 0 1 run"),
        (EXPLORE, "--label 3 --rows 2 run --view traversal"),
        (SAMPLE, "--label 3 --label 4 run"),
        (SAMPLE, "--text two --num 3 run"),
        (TRAIN, "rbm --data digits"),
        (TRAIN, "--resume rbm --data digits"),
        (TRAIN, "--trainer.compile rbm --data digits"),
        (TRAIN, "--trainer.no-progress --trainer.max-steps 3 rbm"),
        (TRAIN, "--trainer.threads auto rbm"),
        (TRAIN, "--trainer.report-to a b --output run rbm"),
        (TRAIN, "--trainer.optimizers.model.lr 0.1 rbm"),
        (TRAIN, "--objective cd --objective.centred rbm"),
        (TRAIN, "--objective.centred rbm --data digits"),
        (TRAIN, "--model.num-hidden 3 rbm --data digits"),
        (TRAIN, "--model.event-shape 1 8 8 --output run rbm"),
        (TRAIN, "--model.event-shape 1 8 8 rbm"),
    ],
)
def test_the_model_is_found_behind_every_kind_of_flag(command, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    wanted = "rbm" if command is TRAIN else "run"
    assert peek(line.split(), command).positional == wanted


def test_a_value_is_not_taken_for_the_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in ("--data digits", "--seed 3", "--dimensions 0 1", "--data.limit 3", "", "-h"):
        assert peek(line.split(), EXPLORE).positional == ""
    assert peek(["--model.num-hidden", "3", "--output", "rbm"], TRAIN).positional == ""


def test_the_flags_that_name_classes_are_found_in_every_spelling():
    line = "run --data=digits --data_y fashion --sampler gibbs --metrics fid knn --revision v2"
    found = peek(line.split(), EVALUATE)
    wanted = {"data": "digits", "data-y": "fashion", "sampler": "gibbs", "revision": "v2"}
    assert found.flags == wanted
    assert found.metrics == ("fid", "knn")
