"""A plugin of strangers through the Hub; without it, what to install comes from our own list."""

import sys
from pathlib import Path

import pytest
import torch

import genzoo
from genzoo import installed, known, registry
from genzoo.errors import PluginError, UnknownNameError
from hubs import same
from test_scaffold import points

EXAMPLE = Path(__file__).parents[1] / "examples" / "genzoo-zuko"
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
            "flow", event_shape=data.spec.event_shape, hidden_dims=(8,), transform="maf"
        )
    config = genzoo.TrainerConfig(steps=3, batch_size=20, threads=1, progress=False)
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


def test_without_it_nothing_of_the_repository_is_told_to_be_installed(uninstalled):
    with pytest.raises(UnknownNameError, match="No plugin that genzoo knows of has it") as caught:
        genzoo.GenModel.from_pretrained(REPOSITORY)
    assert "zuko" not in str(caught.value)
    assert "pip install" not in str(caught.value)


def test_without_it_our_own_list_says_what_to_install(uninstalled, monkeypatch):
    listed = {"genzoo-zuko": {"install": "pip install genzoo-zuko", "models": ["flow"]}}
    monkeypatch.setattr(known, "_known", lambda: listed)
    with pytest.raises(UnknownNameError, match="part of genzoo-zuko: pip install genzoo-zuko"):
        genzoo.GenModel.from_pretrained(REPOSITORY)


def test_a_plugin_that_is_left_out_is_told_so(pushed, monkeypatch):
    monkeypatch.setenv(installed.DISABLE, "genzoo-zuko")
    registry.refresh()
    with pytest.raises(PluginError, match="disabled by GENZOO_DISABLE_PLUGINS"):
        genzoo.GenModel.from_pretrained(REPOSITORY)
