"""What the commands do, called as a shell calls them."""

import dataclasses
import json
import logging
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import families  # noqa: F401 - registers the toy families
import genzoo
from genzoo import registry
from genzoo.cli import main, trajectory
from genzoo.plotting import grid
from likelihoods import mean_log_prob

BITS = (np.random.default_rng(0).random((40, 6)) < 0.5).astype(np.uint8)
BLANK = torch.zeros(1, 1, 1, 1)
QUICK = "--trainer.max-steps 6 --trainer.batch-size 8 --trainer.threads 1 --model.num-hidden 4"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty folder with one file of data, and no handler bound to an earlier test's stderr."""
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    np.savez("bits.npz", train=BITS, test=BITS[:10])
    return tmp_path


def genzoo_(line, code=0):
    """Run a command, and check how it leaves."""
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert left.value.code == code


def printed(line, capsys, code=0):
    capsys.readouterr()
    genzoo_(line, code)
    return capsys.readouterr().out


def recipe(folder):
    return tomllib.loads(Path(folder, "recipe.toml").read_text("utf-8"))


def weights(folder):
    return load_file(Path(folder, "model.safetensors"))


def same(a, b):
    a, b = weights(a), weights(b)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_zeros_and_ones_in_a_file_need_no_more_flags(capsys, monkeypatch):
    rbm = registry.load("models", "rbm")
    stages = rbm.default_stages(rbm.example()[0])
    short = dataclasses.replace(stages[0], trainer={**stages[0].trainer, "max_steps": 3})
    monkeypatch.setattr(rbm, "default_stages", lambda config: (short,))
    out = printed("train rbm --data bits.npz --output run", capsys)
    assert "genzoo sample run --num 64" in out
    assert genzoo.GenModel.from_pretrained("run").event_shape == (6,)


def test_round_trip_of_train_sample_evaluate_inspect(capsys):
    genzoo_(f"train rbm --data bits.npz --output run {QUICK}")
    model = genzoo.GenModel.from_pretrained("run")

    genzoo_("sample run --num 5 --output x.npz --seed 3")
    x = np.load("x.npz")["x"]
    assert x.dtype == np.uint8  # Zeros and ones.
    assert torch.equal(torch.from_numpy(x).float(), model.sample(5, seed=3))
    genzoo_("sample run --num 5 --output x.png")
    assert Image.open("x.png").format == "PNG"

    out = printed("evaluate run --metrics log-likelihood --json figures.json", capsys)
    figures = json.loads(Path("figures.json").read_text("utf-8"))
    exact = mean_log_prob(model, torch.from_numpy(BITS[:10]).float()).value
    assert figures["figures"].keys() == {"log-likelihood", "bits-per-dimension"}
    assert figures["figures"]["log-likelihood"]["value"] == pytest.approx(exact, rel=1e-6)
    assert figures["provenance"]["examples"] == 10
    assert f"{exact:.2f}" in out

    out = printed("inspect run", capsys)
    assert re.search(r"^model +rbm$", out, re.MULTILINE)
    num = sum(t.numel() for t in weights("run").values())
    assert f"{num:,} values in {len(weights('run'))} tensors" in out
    assert "W (6, 4) float32" in out
    assert '"num_hidden": 4' in out


def test_a_sampler_and_its_fields_are_used():
    genzoo_(f"train rbm --data bits.npz --output run {QUICK}")
    genzoo_("sample run --num 5 --output x.npz --seed 3 --sampler gibbs --sampler.num-steps 2")
    sampler = registry.load("samplers", "gibbs")
    sampler = sampler(sampler.Config(num_steps=2))
    model = genzoo.GenModel.from_pretrained("run")
    assert np.array_equal(np.load("x.npz")["x"], model.sample(5, seed=3, sampler=sampler))
    assert not np.array_equal(np.load("x.npz")["x"], model.sample(5, seed=3))


def test_samples_without_a_named_file_replace_none(capsys):
    genzoo_(f"train rbm --data bits.npz --output run {QUICK}")
    assert "2 samples are in samples.png" in printed("sample run --num 2 --seed 1", capsys)
    before = Path("samples.png").read_bytes()
    genzoo_("sample run --num 2 --seed 2", 2)
    assert "samples.png exists. Name the file, with --output." in capsys.readouterr().err
    assert Path("samples.png").read_bytes() == before


@pytest.mark.parametrize(("num", "steps", "shown"), [(3, 19, range(0, 19, 2)), (9, 3, range(3))])
def test_the_way_to_the_samples_is_drawn_row_by_row(num, steps, shown, monkeypatch):
    genzoo_(f"train rbm --data bits.npz --output run {QUICK}")
    drawn = []
    monkeypatch.setattr(
        trajectory, "trajectories", lambda states: drawn.append(states) or grid(BLANK)
    )
    sampler = f"--sampler gibbs --sampler.num-steps {steps}"
    genzoo_(f"sample run --num {num} --output x.npz --seed 3 --trajectory way.png {sampler}")
    gibbs = registry.load("samplers", "gibbs")
    model = genzoo.GenModel.from_pretrained("run")
    generator = torch.Generator().manual_seed(3)
    every = list(gibbs(gibbs.Config(num_steps=steps)).trajectory(model, num, generator=generator))
    assert len(drawn[0]) == len(shown)
    for state, i in zip(drawn[0], shown, strict=True):
        assert torch.equal(state, model.to_data(every[i][:8]))
    assert np.array_equal(drawn[0][-1], np.load("x.npz")["x"][:8])
    assert Image.open("way.png").format == "PNG"


def test_data_of_the_training_are_judged_with_their_values(capsys):
    genzoo_(
        f"train rbm --data digits --data.binarize threshold --data.limit 50 --output r {QUICK}"
    )
    out = printed("evaluate r --metrics log-likelihood", capsys)
    assert "data digits/test (threshold binarisation), " in out
    assert "examples 297, " in out
    out = printed("evaluate r --data.binarize static --split train --max-examples 7", capsys)
    assert "data digits/train (static binarisation), " in out
    assert "examples 7 of 1500 (random draw, stratified by label), " in out


FLAGS = (
    "--objective cd --objective.num-steps 2 --data.limit 30 --trainer.seed 7 "
    "--trainer.lr-scheduler cosine --trainer.optimizers.model.momentum 0.5 --trainer.ema-decay 0.9"
)


def test_a_recipe_makes_what_its_flags_made():
    genzoo_(f"train rbm --data bits.npz --output first {QUICK} {FLAGS}")
    genzoo_("train --recipe first/recipe.toml --output again")
    assert same("first", "again")
    assert recipe("first") == recipe("again")


@pytest.mark.parametrize(
    "flag", ["--trainer.seed 8", "--data.limit 20", "--objective.num-steps 3"]
)
def test_a_recipe_with_another_value_makes_another_model(flag):
    """The negative control: the flags of the test above do matter."""
    genzoo_(f"train rbm --data bits.npz --output first {QUICK} {FLAGS}")
    genzoo_(f"train rbm --data bits.npz --output other {QUICK} {FLAGS} {flag}")
    assert not same("first", "other")


def test_a_recipe_holds_what_was_given_and_no_more():
    genzoo_(f"train rbm --data bits.npz --output run {QUICK} {FLAGS}")
    found = recipe("run")
    assert found["data"] == {"name": "bits.npz", "config": {"limit": 30}}
    assert found["stages"][0]["objective"] == {"name": "cd", "config": {"num_steps": 2}}
    assert found["trainer"]["optimizers"] == {"model": {"config": {"momentum": 0.5}}}
    event = {"name": "binary", "config": {"shape": [6]}}
    assert found["model"]["config"] == {"event": event, "num_hidden": 4}
    assert "warmup_steps" not in found["trainer"]


def test_each_player_has_an_optimiser_of_its_own():
    np.savez("real.npz", x=np.random.default_rng(0).normal(size=(16, 4)))
    line = (
        "train toy-gan --data real.npz --output run --trainer.max-steps 2 --trainer.batch-size 4"
    )
    genzoo_(f"{line} --trainer.optimizers.critic.lr 0.25 --trainer.threads 1")
    assert recipe("run")["trainer"]["optimizers"] == {"critic": {"config": {"lr": 0.25}}}
    row = json.loads(Path("run", "metrics.jsonl").read_text("utf-8").splitlines()[-1])
    assert row["critic/lr"] == 0.25
    assert row["generator/lr"] != 0.25


def test_a_run_is_gone_on_with_and_replaced():
    line = f"train rbm --data bits.npz --output run {QUICK} --trainer.save-steps 3"
    genzoo_(f"{line} --trainer.seed 1")
    first = weights("run")
    Path("run", "model.safetensors").unlink()
    genzoo_(f"{line} --trainer.seed 1 --resume")
    assert all(torch.equal(first[name], t) for name, t in weights("run").items())
    genzoo_(f"{line} --trainer.seed 2 --overwrite")
    assert not torch.equal(first["W"], weights("run")["W"])


def test_list_names_everything_in_its_group(capsys):
    out = printed("list", capsys)
    for group in ("models", "objectives", "samplers", "datasets", "metrics"):
        section = out.partition(f"{group}\n")[2]
        section = re.split(r"^\w", section, flags=re.MULTILINE)[0]
        assert [line.split()[0] for line in section.splitlines()] == registry.names(group)


def test_list_json_has_one_object_an_entry(capsys):
    rows = json.loads(printed("list --json", capsys))
    keys = {"summary", *(field.name for field in dataclasses.fields(registry.Entry))}
    assert all(row.keys() == keys for row in rows)
    assert {row["group"] for row in rows} >= {"models", "objectives", "samplers", "datasets"}
    (rbm,) = [r for r in json.loads(printed("list models --json", capsys)) if r["name"] == "rbm"]
    assert rbm["target"] == "genzoo_boltzmann.rbm:RBM"
    assert rbm["distribution"] == "genzoo"
    assert rbm["problem"] == ""


def test_list_check_shows_no_error_of_ours(capsys):
    rows = json.loads(printed("list models --json --check", capsys))
    assert {row["name"]: row["problem"] for row in rows}["rbm"] == ""


def test_version_and_help_leave_with_zero(capsys):
    assert printed("--version", capsys) == f"genzoo {genzoo.__version__}\n"
    assert "quickstart" in printed("", capsys)


def test_a_flag_chooses_an_optimiser_or_a_schedule_and_its_fields_are_flags():
    line = f"train rbm --data bits.npz --output run {QUICK} --trainer.optimizers.model adam"
    half = "--trainer.lr-scheduler constant-then-linear --trainer.lr-scheduler.constant-share 0.25"
    genzoo_(f"{line} --trainer.optimizers.model.betas 0.5 0.9 {half}")
    found = recipe("run")["trainer"]
    adam = {"name": "adam", "config": {"betas": [0.5, 0.9]}}
    assert found["optimizers"] == {"model": adam}
    share = {"name": "constant-then-linear", "config": {"constant_share": 0.25}}
    assert found["lr_scheduler"] == share
    genzoo_("train --recipe run/recipe.toml --output again")
    assert same("run", "again")


def test_values_of_the_schedule_that_is_prescribed_need_no_name(monkeypatch):
    rbm = registry.load("models", "rbm")
    half = {"name": "constant-then-linear", "config": {"constant_share": 0.75}}
    stages = (genzoo.Stage(objective={"name": "cd"}, trainer={"lr_scheduler": half}),)
    monkeypatch.setattr(rbm, "default_stages", lambda config: stages)
    genzoo_(f"train rbm --data bits.npz --output run {QUICK}")
    assert "lr_scheduler" not in recipe("run")["trainer"]
    half = "--trainer.lr-scheduler.constant-share 0.5"
    genzoo_(f"train rbm --data bits.npz --output other {QUICK} {half}")
    assert recipe("other")["trainer"]["lr_scheduler"]["config"] == {"constant_share": 0.5}


def test_inspect_tells_what_it_can_where_only_the_package_of_a_space_is_missing(capsys):
    genzoo_(f"train rbm --data bits.npz --output run {QUICK}")
    path = Path("run", "config.json")
    config = json.loads(path.read_text("utf-8"))
    config["config"]["event"]["name"] = "sphere"
    path.write_text(json.dumps(config), "utf-8")
    out = printed("inspect run", capsys)
    assert re.search(r"^remedy +Unknown space 'sphere'", out, re.MULTILINE)
    assert re.search(r"^plugin +genzoo .*; installed: genzoo", out, re.MULTILINE)
    assert "W (6, 4) float32" in out
    config["config"]["num_hidden"] = "four"
    config["config"]["event"]["name"] = "binary"
    path.write_text(json.dumps(config), "utf-8")
    assert printed("inspect run", capsys, code=2) == ""


def test_a_default_that_is_typed_is_not_exchanged_for_one_that_fits(tmp_path, capsys):
    """500 is the class's default, and fitted to six values it would be 24."""
    np.savez(tmp_path / "bits.npz", x=np.eye(6, dtype=np.float32))
    line = f"train rbm --data {tmp_path / 'bits.npz'} --output {tmp_path / 'run'}"
    with pytest.raises(SystemExit):
        main(
            [
                *line.split(),
                "--trainer.max-steps",
                "2",
                "--model.num-hidden",
                "500",
                "--objective.lr=0.05",
            ]
        )
    recipe = genzoo.Recipe.read(str(tmp_path / "run" / "recipe.toml"))
    assert recipe.model.config["num_hidden"] == 500
    assert recipe.stages[0].objective.config["lr"] == 0.05
