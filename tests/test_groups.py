"""Groups that packages open: from entry points and in a session, with the registry's errors."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated

import pytest

import genzoo
from genzoo import Component, ConfigError, entry_points, registry
from genzoo.errors import (
    MissingDependencyError,
    NameConflictError,
    PluginError,
    UnknownNameError,
)
from genzoo.plugin import Bounds, Config, Group

GROUP = "fake_owner.estimators"
MEAN = """\
from dataclasses import dataclass
from fake_owner import Estimator
from genzoo.plugin import Config

@dataclass(frozen=True, kw_only=True)
class MeanConfig(Config):
    num: int = 3

class Mean(Estimator):
    Config = MeanConfig
"""
OWNER = """\
import abc
from genzoo.registry import register_group

class Estimator(abc.ABC):
    def __init__(self, config=None):
        self.config = config or self.Config()

register_group("fake_owner.estimators", Estimator)
"""


class Estimator:
    """What makes an estimate; of this session."""

    def __init__(self, scale, config=None):
        self.scale, self.config = scale, config or self.Config()


@dataclass(frozen=True, kw_only=True)
class MedianConfig(Config):
    share: Annotated[float, Bounds(0.0, 1.0)] = 0.5


class Median(Estimator):
    Config = MedianConfig


@pytest.fixture(autouse=True)
def as_before(forgetting):
    """Forget what a test has opened, installed or imported."""


@pytest.fixture
def opened():
    registry.register_group(GROUP, Estimator)


@pytest.fixture
def owner(install):
    """A package that opens a group, and a stranger's class in it."""
    points = f"[{GROUP}]\nmean = fake_mean:Mean\n"
    install("fake-owner", "[console_scripts]\nx = fake_owner:x\n", {"fake_owner": OWNER})
    install("fake-mean", points, {"fake_mean": MEAN})
    __import__("fake_owner")


def entry(name):
    (found,) = [entry for entry in registry.entries(GROUP) if entry.name == name]
    return found


def test_names_come_from_metadata_and_a_class_is_imported_when_it_is_asked_for(owner):
    assert registry.names(GROUP) == ["mean"]
    assert (entry("mean").group, entry("mean").distribution) == (GROUP, "fake-mean")
    assert registry.distribution_of(GROUP, "mean") == ("fake-mean", "1.0")
    assert "fake_mean" not in sys.modules
    mean = registry.make(GROUP, Component(name="mean", config={"num": 7}))
    assert mean.config.num == 7
    assert type(mean) is registry.load(GROUP, "mean")
    assert registry.describe(mean) == Component(name="mean", config={"num": 7})


def test_genzoos_own_groups_do_not_see_it(owner):
    assert "mean" not in {name for group in registry.GROUPS for name in registry.names(group)}
    assert "fake-mean" not in {package.name for package in entry_points.packages()}


def test_a_class_of_the_session_is_registered_made_and_described(opened):
    genzoo.register(GROUP, "median")(Median)
    assert registry.names(GROUP) == ["median"]
    median = registry.make(GROUP, Component(name="median", config={"share": 0.25}), 2)
    assert (median.scale, median.config.share) == (2, 0.25)
    assert registry.describe(median) == Component(name="median", config={"share": 0.25})
    with pytest.raises(ConfigError, match=r"share must be in \[0.0, 1.0\], got 2"):
        registry.make(GROUP, Component(name="median", config={"share": 2}), 2)


def test_a_configs_field_holds_a_component_of_it(opened):
    @dataclass(frozen=True, kw_only=True)
    class Holder(Config):
        estimator: Annotated[Component, Group(GROUP)]

    genzoo.register(GROUP, "median")(Median)
    assert Holder.from_dict({"estimator": "median"}).estimator == Component(name="median")
    with pytest.raises(ConfigError, match="Did you mean 'median'"):
        Holder.from_dict({"estimator": "medain"})
    with pytest.raises(ConfigError, match="'gibbs' is one of the samplers: name it there"):
        Holder.from_dict({"estimator": "gibbs"})


def test_the_errors_are_those_of_the_registry(opened, install):
    points = f"[{GROUP}]\nlost = nowhere_at_all:X\nneedy = fake_e:X [big]\nodd = fake_f:X\n"
    modules = {"fake_e": "import module_that_is_not_there", "fake_f": "class X: pass"}
    install("fake-one", points, modules)
    install("fake-two", f"[{GROUP}]\nodd = fake_f:X\nBad = fake_f:X\n")
    with pytest.raises(UnknownNameError, match=r"Unknown fake_owner\.estimator 'ood'"):
        registry.load(GROUP, "ood")
    with pytest.raises(NameConflictError, match="claimed by fake-one and fake-two"):
        registry.load(GROUP, "odd")
    with pytest.raises(MissingDependencyError, match=r"pip install 'fake-one\[big\]'"):
        registry.load(GROUP, "needy")
    with pytest.raises(PluginError, match="its module nowhere_at_all cannot be found"):
        registry.load(GROUP, "lost")
    assert "is not a valid name" in entry("Bad").problem
    with pytest.raises(NameConflictError, match="is taken"):
        genzoo.register(GROUP, "lost")(Median)
    with pytest.raises(PluginError, match="must be a subclass of Estimator"):
        genzoo.register(GROUP, "mine")(dict)


def test_a_class_of_another_kind_is_refused(opened, install):
    install("fake-one", f"[{GROUP}]\nodd = fake_f:X\n", {"fake_f": "class X: pass"})
    with pytest.raises(PluginError, match=r"'odd' in fake_owner\.estimators must be a subclass"):
        registry.load(GROUP, "odd")


def test_a_distribution_that_is_left_out_registers_nothing(opened, install, monkeypatch):
    install("fakeone", f"[{GROUP}]\nmine = fake_f:X\n", {"fake_f": "class X: pass"})
    monkeypatch.setenv(entry_points.DISABLE, "fakeone")
    registry.refresh()
    assert registry.names(GROUP) == []
    assert "disabled by" in entry("mine").problem
    assert entry_points.unknown_disabled() == []


def test_a_class_without_a_config_is_loaded_but_not_made(opened):
    class Plain(Estimator):
        pass

    genzoo.register(GROUP, "plain")(Plain)
    assert registry.load(GROUP, "plain") is Plain
    with pytest.raises(PluginError, match="has no Config"):
        registry.make(GROUP, Component(name="plain"), 1)
    with pytest.raises(PluginError, match=r"'model_index\.json' in formats has no Config"):
        registry.make("formats", Component(name="model_index.json"))


def test_a_group_that_nobody_has_opened_is_unknown():
    for ask in (registry.names, registry.entries, lambda group: registry.load(group, "x")):
        with pytest.raises(UnknownNameError, match="Import the package that opens it first"):
            ask("fake_owner.nothing")
    with pytest.raises(UnknownNameError, match="Did you mean 'models'"):
        registry.names("model")


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("estimators", "not a valid name of a group"),
        ("models", "not a valid name of a group"),
        ("", "not a valid name of a group"),
        ("my.", "not a valid name of a group"),
        (".my", "not a valid name of a group"),
        ("my package.x", "not a valid name of a group"),
        ("my.päckage", "not a valid name of a group"),
        ("my.x\n", "not a valid name of a group"),
        ("my." + "x" * 65, "not a valid name of a group"),
        (3, "not a valid name of a group"),
        ("genzoo.estimators", "is a name of genzoo"),
        ("genzoo.models", "is a name of genzoo"),
    ],
)
def test_malformed_names_of_groups_are_refused(group, message):
    with pytest.raises(PluginError, match=message):
        registry.register_group(group, Estimator)


@pytest.mark.parametrize("base", [3, "Estimator", None, Median(1)])
def test_a_base_is_a_class(base):
    with pytest.raises(PluginError, match="must be a class, got"):
        registry.register_group(GROUP, base)


def test_a_group_is_opened_once_by_one_class(opened):
    registry.register_group(GROUP, Estimator)
    again = type("Estimator", (), {"__module__": __name__})  # As of a module that is run again.
    registry.register_group(GROUP, again)
    with pytest.raises(NameConflictError, match=r"is open, for subclasses of .*Estimator, not of"):
        registry.register_group(GROUP, Median)


def test_opening_a_group_imports_no_plugin_and_no_torch():
    code = (
        "import sys; from genzoo import registry\n"
        "registry.register_group('my_package.things', dict)\n"
        "registry.names('my_package.things'); print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    found = set(done.stdout.split())
    assert not found & {"torch", "numpy", "genzoo.model", "genzoo_boltzmann"}
