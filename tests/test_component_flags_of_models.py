"""Flags for fields of configs that hold a component: of models, samplers, metrics and data."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

import holders
from genzoo import Component, Stage
from genzoo.cli import arguments, peeking
from holders import MADE, QUICK, Holder, MedianConfig, helped, refused, run, trained


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, forgetting):
    """A folder with data, and the toys registered."""
    holders.settle(tmp_path, monkeypatch)


def test_a_flag_chooses_the_model_inside_a_model():
    config = trained("", "toy-flag-holder", "")["model"]["config"]
    assert "decoder" not in config
    assert config["critic"] == {"name": "toy-linear", "config": {"width": 7}}
    flags = "--model.decoder toy-linear --model.decoder.width 5 --model.critic.width 9"
    config = trained(flags, "toy-flag-holder", "")["model"]["config"]
    assert config["decoder"] == {"name": "toy-linear", "config": {"width": 5}}
    assert config["critic"] == {"name": "toy-linear", "config": {"width": 9}}
    config = trained("--model.critic toy-vae", "toy-flag-holder", "")["model"]["config"]
    assert config["critic"] == {"name": "toy-vae", "config": {}}


def test_the_trainers_defaults_are_those_of_the_stages_for_the_chosen_model(monkeypatch):
    late = {"name": "constant-then-linear", "config": {"constant_share": 0.25}}

    def stages(config):
        schedule = {"lr_scheduler": late} if config.decoder else {}
        return (Stage(objective=Component(name="toy-least-squares"), trainer=schedule),)

    monkeypatch.setattr(Holder, "default_stages", stages)
    flags = "--model.decoder toy-linear --trainer.lr-scheduler.constant-share 0.5"
    found = trained(flags, "toy-flag-holder", "")["trainer"]["lr_scheduler"]
    assert found == {"name": "constant-then-linear", "config": {"constant_share": 0.5}}


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--model.decoder.width 5", "Give --model.decoder NAME too: its fields are flags then."),
        ("--model.decoder toy-lineer", "Unknown model 'toy-lineer'. Did you mean 'toy-linear'"),
        ("--model.critic.depth 5", "There is no flag --model.critic.depth."),
        ("--model.critic.event 5", "There is no flag --model.critic.event."),
    ],
)
def test_what_is_wrong_with_a_model_inside_a_model_is_one_sentence(flags, says, capsys):
    line = "train toy-flag-holder --data rows.npz --output run"
    assert says in refused(f"{line} {flags}", capsys)


def test_the_help_names_the_values_that_hold_and_no_missing_ones(capsys):
    text = helped("train toy-flag-holder --data rows.npz", capsys)
    assert "MISSING" not in text
    assert "--model.inner.needed whole number; default: 41 What it needs." in text
    assert "--model.critic name; default: toy-linear The critic. See genzoo list models." in text
    assert "--model.critic.width whole number from 1 to 4096; default: 7" in text
    hidden = ("event", "conditions")
    assert not any(
        f"--model.{name}.{one} " in text for name in ("critic", "again") for one in hidden
    )
    # The defaults of defaults end.
    assert "--model.again.again name; default: toy-flag-holder" in text
    assert "--model.again.again.again.again" not in text


def test_an_autoencoder_is_chosen_and_trained_by_its_own_stages(capsys):
    np.savez("rows.npz", x=np.random.default_rng(0).random((16, 1, 4, 4)).astype(np.float32))
    flags = "--model.autoencoder vae --model.autoencoder.latent-dim 2 --objective.kl-weight 0.5"
    recipe = trained(flags, "latent-ddpm", "")
    inner = recipe["model"]["config"]["autoencoder"]
    assert (inner["name"], inner["config"]["latent_dim"]) == ("vae", 2)
    assert inner["config"]["event"]["config"]["shape"] == [1, 4, 4]
    found = [(s.get("model"), s["objective"]["name"]) for s in recipe["stages"]]
    assert found == [("autoencoder", "elbo"), (None, "denoising")]
    assert recipe["stages"][0]["objective"]["config"] == {"kl_weight": 0.5}
    text = helped("train latent-ddpm --data rows.npz", capsys)
    assert "--model.autoencoder name; default: autoencoder-kl The autoencoder: any" in text
    assert "--model.autoencoder.latent-channels whole number" in text
    assert "MISSING" not in text
    assert "--model.autoencoder.name" not in text
    text = helped("train latent-ddpm --data rows.npz --model.autoencoder vae", capsys)
    assert "--model.autoencoder.latent-channels" not in text
    assert "--objective.kl-warmup" in text


@pytest.mark.parametrize(
    "line",
    [
        "--model.autoencoder vae latent-ddpm",
        "--model.autoencoder.latent-channels 3 latent-ddpm",
        "--model.autoencoder vae --model.autoencoder.hidden-dims 3 4 --output x latent-ddpm",
        "--objective toy-estimating --objective.estimator mean latent-ddpm",
        "--objective toy-estimating --objective.estimator.pair 1 2 --output x latent-ddpm",
        "--objective toy-estimating --objective.estimator.num 1 latent-ddpm",
        "--trainer.lr-scheduler.constant-share 1 latent-ddpm",
    ],
)
def test_the_model_is_found_behind_flags_of_components(line):
    found = peeking.peek(line.split(), arguments.TrainArguments)
    assert found.positional == "latent-ddpm"


# Samplers, metrics and data


def test_the_components_of_a_sampler_a_metric_and_data_have_flags(capsys):
    trained("", objective="")
    MADE.clear()
    flags = "--sampler toy-drawn --sampler.estimator median --sampler.estimator.share 0.25"
    run(f"sample run --num 2 --output x.npz {flags}")
    assert {str(one) for one in MADE} == {str(MedianConfig(share=0.25))}
    MADE.clear()
    flags = "--metrics toy-judged --toy-judged.estimator median --no-store"
    run(f"evaluate run --data rows.npz {flags} --toy-judged.estimator.share 0.75")
    assert MADE[-1] == MedianConfig(share=0.75)
    flags = "--data toy-estimated --data.estimator median --data.estimator.share 0.125"
    run(f"train toy-linear --output other {QUICK} {flags}")
    assert MADE[-1] == MedianConfig(share=0.125)
    recipe = tomllib.loads(Path("other", "recipe.toml").read_text("utf-8"))
    median = {"name": "median", "config": {"share": 0.125}}
    assert recipe["data"] == {"name": "toy-estimated", "config": {"estimator": median}}
    MADE.clear()
    run("evaluate other --metrics toy-judged --data.estimator.no-robust --no-store")
    assert MedianConfig(share=0.125, robust=False) in MADE
    capsys.readouterr()
    run("sample run --num 2 --output y.npz --sampler toy-drawn --sampler.estimator x", code=2)
    assert "Unknown flags_test.estimator 'x'" in capsys.readouterr().err
