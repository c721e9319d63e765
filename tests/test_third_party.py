"""A plugin of strangers through the Hub; without it, what to install comes from our own list."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
import torch

import genzoo
from genzoo import entry_points, plugin_hints, registry
from genzoo.errors import PluginError, UnknownNameError
from hubs import same
from test_scaffold import points

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "genzoo-zuko"
REPOSITORY = "ada/flow"


@pytest.fixture
def pushed(install, hub, monkeypatch):
    """A flow on the Hub, with its plugin installed."""
    pytest.importorskip("zuko")
    monkeypatch.syspath_prepend(str(EXAMPLE))
    install("genzoo-zuko", points(EXAMPLE))
    data = genzoo.load_dataset("digits")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = genzoo.create_model(
            "flow", event=data.info["x"], hidden_dims=(8,), transform="maf"
        )
    config = genzoo.TrainerConfig(max_steps=3, batch_size=20, threads=1, progress=False)
    genzoo.Trainer(model, data, config=config).fit()
    model.push_to_hub(REPOSITORY, license="apache-2.0")
    yield model
    for name in [name for name in sys.modules if name.startswith("genzoo_zuko")]:
        del sys.modules[name]


@pytest.fixture
def uninstalled(pushed, monkeypatch):
    """The plugin is gone."""
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "zuko" not in p])
    registry.refresh()


def test_it_goes_through_the_hub(pushed):
    loaded = genzoo.GenModel.from_pretrained(REPOSITORY)
    assert same(loaded, pushed)
    assert registry.distribution_of("models", "flow") == ("genzoo-zuko", "1.0")


def test_without_it_our_own_list_says_what_to_install(uninstalled):
    with pytest.raises(UnknownNameError, match="part of genzoo-zuko: pip install ") as caught:
        genzoo.GenModel.from_pretrained(REPOSITORY)
    (path,) = re.findall(r"pip install \./(\S+), in a checkout", str(caught.value))
    project = tomllib.loads((ROOT / path / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "genzoo-zuko"
    assert "flow" in project["entry-points"]["genzoo.models"]


def test_where_our_list_says_nothing_the_repository_is_not_believed(uninstalled, monkeypatch):
    monkeypatch.setattr(plugin_hints, "_known", dict)
    with pytest.raises(UnknownNameError, match="No plugin that genzoo knows of has it") as caught:
        genzoo.GenModel.from_pretrained(REPOSITORY)
    assert "zuko" not in str(caught.value)
    assert "pip install" not in str(caught.value)


def test_a_plugin_that_is_left_out_is_told_so(pushed, monkeypatch):
    monkeypatch.setenv(entry_points.DISABLE, "genzoo-zuko")
    registry.refresh()
    with pytest.raises(PluginError, match="disabled by GENZOO_DISABLE_PLUGINS"):
        genzoo.GenModel.from_pretrained(REPOSITORY)
