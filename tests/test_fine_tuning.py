"""Training that starts from a stored model."""

import logging
import tomllib

import numpy as np
import pytest
import torch

import genzoo
from genzoo.cli import main
from genzoo.errors import ConfigError
from genzoo.recipes import make_trainer

FLAGS = "--trainer.max-steps 3 --trainer.threads 1"


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """The folder of a trained VAE of digits."""
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    model = genzoo.create_model("vae", data=genzoo.load_dataset("digits"), latent_dim=3)
    model.save_pretrained("stored")
    return model


def run(line, code=0):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert (left.value.code or 0) == code


def loaded(folder):
    return genzoo.GenModel.from_pretrained(folder).state_dict()


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_training_starts_from_the_stored_weights(stored):
    run(f"train --from stored --data digits --output fine {FLAGS}")
    data = genzoo.load_dataset("digits")
    config = genzoo.TrainerConfig(max_steps=3, threads=1)
    by_hand = genzoo.Trainer(genzoo.GenModel.from_pretrained("stored"), data, config=config)
    assert equal(loaded("fine"), by_hand.fit().state_dict())
    assert not equal(loaded("fine"), loaded("stored"))
    assert genzoo.GenModel.from_pretrained("fine").config.latent_dim == 3


def test_its_recipe_starts_from_it_again(stored, tmp_path):
    run(f"train vae --from stored --data digits --output fine {FLAGS}")
    assert tomllib.loads((tmp_path / "fine/recipe.toml").read_text())["pretrained"] == "stored"
    run("train --recipe fine/recipe.toml --output again")
    assert equal(loaded("fine"), loaded("again"))


def test_it_is_resumed(stored, tmp_path):
    run(f"train --from stored --data digits --output fine {FLAGS}")
    run(f"train --from stored --data digits --output fine --resume {FLAGS}")
    run("train --from stored --data digits --output fine --resume --trainer.max-steps 5")
    assert tomllib.loads((tmp_path / "fine/recipe.toml").read_text())["trainer"]["max_steps"] == 5


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--from stored --data other.npy", "do not fit"),
        ("gan --from stored --data digits", "'stored' is a vae, not a gan"),
        ("--from stored --data digits --model.latent-dim 2", "The model of --from has its config"),
        ("--from nothing --data digits", "nothing"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(arguments, text, stored, tmp_path, capsys):
    np.save("other.npy", np.random.default_rng(0).random((9, 5)).astype(np.float32))
    run(f"train {arguments} --output fine", code=2)
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert text in said[0]
    assert not (tmp_path / "fine").exists()


def test_a_recipe_cannot_change_the_stored_config(stored):
    recipe = genzoo.Recipe(
        model=genzoo.Component(name="vae", config={"latent_dim": 2}),
        data=genzoo.Component(name="digits"),
        pretrained="stored",
    )
    with pytest.raises(ConfigError, match="another latent_dim"):
        make_trainer(recipe)
