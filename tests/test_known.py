"""What to install is told by our own list alone."""

import tomllib
from pathlib import Path

from genzoo import known

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))


def test_our_own_models_are_all_on_the_list():
    ours = PROJECT["project"]["entry-points"]["genzoo.models"]
    assert set(known._known()["genzoo"]["models"]) == set(ours)


def test_a_model_on_the_list_has_its_line_and_one_that_is_not_has_none():
    assert "pip install --upgrade genzoo" in known.advice_for("rbm")
    assert "pip install" not in known.advice_for("nowhere")
    for name in ("rbm", "nowhere"):
        assert "package runs its code" in known.advice_for(name)
