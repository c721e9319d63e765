"""What to install is told by our own list alone."""

import json
import tomllib
from pathlib import Path

import pytest

import genzoo
from genzoo import plugin_hints
from genzoo.errors import ConfigFileError, UnknownNameError
from genzoo.plugin import Space

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/pyproject.toml"))
ANGLE = {"name": "angle", "config": {"shape": [1]}}
INSTALL = "It is part of genzoo-angle: pip install ./examples/genzoo-angle, in a checkout"


@pytest.mark.parametrize("group", ["models", "spaces"])
def test_our_own_are_all_on_the_list(group):
    ours = PROJECT["project"]["entry-points"][f"genzoo.{group}"]
    assert set(plugin_hints._known()["genzoo"][group]) == set(ours)


def test_the_examples_are_on_the_list_with_all_that_they_have_and_where_they_are():
    assert len(EXAMPLES) == 2
    assert set(plugin_hints._known()) == {"genzoo", *(folder.name for folder in EXAMPLES)}
    for folder in EXAMPLES:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
        entry = plugin_hints._known()[project["name"]]
        assert entry["install"] == f"pip install ./examples/{folder.name}, in a checkout of genzoo"
        for group in ("models", "spaces"):
            named = project["entry-points"].get(f"genzoo.{group}", {})
            assert set(entry.get(group, ())) == set(named)


def test_a_model_on_the_list_has_its_line_and_one_that_is_not_has_none():
    assert "pip install --upgrade genzoo" in plugin_hints.advice_for("rbm")
    assert "pip install" not in plugin_hints.advice_for("nowhere")
    for name in ("rbm", "nowhere"):
        assert "package runs its code" in plugin_hints.advice_for(name)


def test_models_and_spaces_are_listed_apart():
    assert "part of genzoo:" in plugin_hints.advice_for("unit", "spaces")
    assert "genzoo-angle" in plugin_hints.advice_for("angle", "spaces")
    assert "pip install" not in plugin_hints.advice_for("angle")
    assert "pip install" not in plugin_hints.advice_for("von-mises", "spaces")


def test_a_space_that_is_not_installed_says_what_to_install():
    with pytest.raises(UnknownNameError, match=rf"Unknown space 'angle'\. .* {INSTALL}"):
        Space.from_dict(ANGLE)
    with pytest.raises(
        UnknownNameError, match=r"'mood'.*No plugin that genzoo knows of"
    ) as caught:
        Space.from_dict({"name": "mood"})
    assert "pip install" not in str(caught.value)
    with pytest.raises(UnknownNameError, match=rf"Unknown space 'angle'\. .* {INSTALL}"):
        genzoo.load_dataset("ring", space="angle")


def test_a_model_folder_of_such_a_space_says_so_with_its_path(tmp_path):
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(4,)), num_hidden=2)
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["config"]["event"] = ANGLE
    path.write_text(json.dumps(config), "utf-8")
    said = rf"config\.json: Unknown space 'angle'.*{INSTALL}.*if you trust its authors\."
    with pytest.raises(ConfigFileError, match=said):
        genzoo.GenModel.from_pretrained(tmp_path)
