"""What registers in a group of a package is listed and completed without an import."""

import json
import sys

import pytest

import holders
from genzoo import registry
from genzoo.cli import main
from genzoo.cli.completion import complete
from genzoo.errors import UnknownNameError
from holders import GROUP, TRAIN, Estimator, refused

LINE = f"{TRAIN} --objective toy-estimating"

OWNER = """\
from dataclasses import dataclass
from typing import Annotated
from genzoo.plugin import Component, Config, Group, Objective, register_group

GROUP = "fake_owner.estimators"

class Estimator: pass

@dataclass(frozen=True, kw_only=True)
class OwnConfig(Config):
    estimator: Annotated[Component, Group(GROUP)] | None = None
    \"\"\"The estimator.\"\"\"

class Own(Objective):
    Config = OwnConfig

register_group(GROUP, Estimator)
"""
MEAN = """\
from fake_owner import Estimator, OwnConfig

class Mean(Estimator):
    \"\"\"A mean of draws.\"\"\"
    Config = OwnConfig
"""
POINTS = "[genzoo.objectives]\nfake-own = fake_owner:Own\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, forgetting):
    """A folder with data, and the toys registered."""
    holders.settle(tmp_path, monkeypatch)


@pytest.fixture
def owner(install):
    """A package that opens a group, and classes of others in it; nothing is imported."""
    install("fake-owner", POINTS, {"fake_owner": OWNER})
    points = "[fake_owner.estimators]\nmean = fake_mean:Mean\nlost = fake_lost:X\n"
    points += "also = fake_mean:Mean\n"
    install("fake-mean", points, {"fake_mean": MEAN, "fake_lost": "import fake_nothing"})


def listed(capsys, *words):
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["list", *words])
    assert left.value.code == 0
    return capsys.readouterr().out


def test_a_group_of_a_package_is_listed_without_an_import(owner, capsys):
    out = listed(capsys, "fake_owner.estimators")
    assert out.splitlines()[0] == "fake_owner.estimators"
    assert [line.split()[0] for line in out.splitlines()[1:4]] == ["also", "lost", "mean"]
    assert "mean  [fake-mean 1.0] A mean of draws." in out
    rows = json.loads(listed(capsys, "fake_owner.estimators", "m*", "--json"))
    assert [row["name"] for row in rows] == ["mean"]
    assert not {"fake_owner", "fake_mean"} & set(sys.modules)
    out = listed(capsys, "fake_owner.estimators", "--check")
    assert "lost  [fake-mean 1.0] error: 'lost' needs the module 'fake_nothing'" in out
    assert "mean  [fake-mean 1.0] A mean of draws." in out
    assert listed(capsys, GROUP).split()[:2] == [GROUP, "bare"]
    registry.register_group("flags_test.nothing", Estimator)
    assert listed(capsys, "flags_test.nothing") == "flags_test.nothing\n"
    assert "Unknown entry 'fake_owner.estimatorz'" in refused("list fake_owner.estimatorz", capsys)


def test_a_group_that_is_not_open_has_no_base():
    from genzoo.groups import base_of

    with pytest.raises(UnknownNameError, match="Import the package that opens it first"):
        base_of("fake_owner.estimators")


def texts(line, current=""):
    return [text for text, _ in complete(line.split(), current).texts]


def test_names_and_fields_of_components_are_offered_without_an_import(owner):
    line = "train toy-linear --objective fake-own"
    assert texts(line, "--objective.") == ["--objective.estimator"]
    assert texts(f"{line} --objective.estimator") == ["also", "lost", "mean"]
    assert texts(line, "--objective.estimator=m") == ["--objective.estimator=mean"]
    found = texts(f"{line} --objective.estimator mean", "--objective.estimator.")
    assert found == ["--objective.estimator.estimator"]
    assert not {"fake_owner", "fake_mean"} & set(sys.modules)
    line = "train latent-ddpm --model.autoencoder"
    assert "vae" in texts(line)
    found = texts(f"{line} vae", "--model.autoencoder")
    assert {"--model.autoencoder", "--model.autoencoder.latent-dim"} <= set(found)
    assert not {"--model.autoencoder.event", "--model.autoencoder.conditions"} & set(found)
    assert texts(f"{line} vae --model.autoencoder.network") == ["flat", "image"]
    assert texts("train vae --trainer.lr-scheduler=constant-then-linear", "--trainer.lr") == [
        "--trainer.lr-scheduler",
        "--trainer.lr-scheduler.constant-share",
    ]
    assert texts(f"{LINE} --objective.other") == registry.names(GROUP)
