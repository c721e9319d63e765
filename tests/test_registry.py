"""Names come from metadata alone, and a broken plugin is nobody else's trouble."""

import subprocess
import sys

import pytest

import families
import genzoo
from genzoo import registry
from genzoo.errors import (
    MissingDependencyError,
    NameConflictError,
    PluginError,
    UnknownNameError,
)
from installs import METADATA, SAMPLER


@pytest.fixture(autouse=True)
def as_before(forgetting):
    """Forget what a test has installed, registered or imported."""


def sampler(name, target):
    return f"[genzoo.samplers]\n{name} = {target}\n"


def entry(name):
    (found,) = [entry for entry in registry.entries("samplers") if entry.name == name]
    return found


# Listing


def test_names_are_listed_and_plugins_imported_only_when_asked_for(install, tmp_path):
    install("fake-one", sampler("fake-one", "fake_one:One"), {"fake_one": "raise SystemError"})
    code = (
        "import sys; from genzoo import registry\n"
        "for group in registry.GROUPS: registry.entries(group); registry.names(group)\n"
        "print(*sys.modules, *registry.names('samplers'))\n"
    )
    (folder,) = tmp_path.iterdir()
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = done.stdout.split()
    assert {"genzoo.registry", "fake-one", "gibbs"} <= set(found)
    plugins = ("torch", "numpy", "fake_one", "genzoo_boltzmann", "genzoo.data", "genzoo.model")
    assert not set(plugins) & set(found)


def test_an_entry_tells_who_registered_it_and_what_it_needs(install):
    install("fake-one", sampler("fake-one", "fake_one.a:One.Two [big, small]"), {"fake_one.a": ""})
    assert entry("fake-one") == registry.Entry(
        "samplers", "fake-one", "fake_one.a:One.Two", "fake-one", "1.0", ("big", "small")
    )
    assert registry.distribution_of("samplers", "fake-one") == ("fake-one", "1.0")
    assert registry.distribution_of("samplers", "toy-fixed") == ("", "")


def test_names_are_sorted_and_each_stands_once():
    names = registry.names("models")
    assert names == sorted(set(names))
    assert {"rbm", "toy-linear"} <= set(names)


def test_one_distribution_found_twice_on_the_path_is_one(install):
    for width in (1, 2):
        text = SAMPLER.format(name="One") + f"WIDTH = {width}"
        install("fake-one", sampler("fake-one", "fake_one:One"), {"fake_one": text})
    assert entry("fake-one").problem == ""
    assert registry.load("samplers", "fake-one").__name__ == "One"


# Loading


def test_an_unknown_name_lists_the_near_ones():
    with pytest.raises(UnknownNameError, match=r"Unknown model 'rmb'.*Did you mean 'rbm'"):
        registry.load("models", "rmb")
    with pytest.raises(UnknownNameError, match=r"Unknown group 'model'.*'models'"):
        registry.names("model")


@pytest.mark.parametrize("name", ["os:system", "fake_one", "fake_one:One", "../rbm", "RBM", ""])
def test_nothing_but_a_registered_name_loads(name, install):
    install("fake-one", "", {"fake_one": SAMPLER.format(name="One")})
    with pytest.raises(UnknownNameError):
        registry.load("samplers", name)
    assert "fake_one" not in sys.modules


def test_two_distributions_that_claim_one_name_are_both_named_for_that_name_only(install):
    for name in ("fake-one", "fake-two"):
        module = name.replace("-", "_")
        points = sampler("fake-same", f"{module}:One") + f"{name} = {module}:One\n"
        install(name, points, {module: SAMPLER.format(name="One")})
    with pytest.raises(NameConflictError, match="claimed by fake-one and fake-two: uninstall"):
        registry.load("samplers", "fake-same")
    assert not {"fake_one", "fake_two"} & set(sys.modules)
    assert registry.names("samplers").count("fake-same") == 1
    rows = [entry for entry in registry.entries("samplers") if entry.name == "fake-same"]
    assert [row.distribution for row in rows] == ["fake-one", "fake-two"]
    assert all("fake-one and fake-two" in row.problem for row in rows)
    for name in ("fake-one", "fake-two"):
        assert registry.load("samplers", name).__module__ == name.replace("-", "_")
        assert entry(name).problem == ""


def test_a_missing_dependency_is_named_with_the_line_that_installs_it(install):
    target = "fake_one.deep:One [big]"
    code = {"fake_one.__init__": "", "fake_one.deep": "import fake_absent.part"}
    install("fake-one", sampler("fake-one", target), code)
    with pytest.raises(MissingDependencyError) as caught:
        registry.load("samplers", "fake-one")
    assert "'fake_absent'" in str(caught.value)
    assert "pip install 'fake-one[big]'" in str(caught.value)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_plugin_that_lacks_a_module_of_its_own_is_not_told_to_install_one(install):
    code = {"fake_one.__init__": "import fake_one.lost"}
    install("fake-one", sampler("fake-one", "fake_one:One"), code)
    with pytest.raises(ModuleNotFoundError, match=r"fake_one\.lost"):
        registry.load("samplers", "fake-one")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("raise ZeroDivisionError('mine')", ZeroDivisionError),
        ("raise AttributeError('mine')", AttributeError),
        ("raise ImportError('mine')", ImportError),
        ("class Mine(BaseException): pass\nraise Mine('mine')", BaseException),
    ],
)
def test_exceptions_from_inside_a_plugin_pass_through_untouched(text, kind, install):
    install("fake-one", sampler("fake-one", "fake_one:One"), {"fake_one": text})
    with pytest.raises(kind, match=r"^mine$") as caught:
        registry.load("samplers", "fake-one")
    assert not isinstance(caught.value, genzoo.GenzooError)


def test_what_an_entry_point_names_must_be_there_and_of_the_groups_kind(install):
    points = sampler("fake-lost", "fake_one:Lost") + "fake-odd = fake_one:Odd\nfake-int = sys:path"
    install("fake-one", points, {"fake_one": "class Odd: pass"})
    with pytest.raises(
        PluginError, match=r"fake_one:Lost, registered by fake-one, does not exist"
    ):
        registry.load("samplers", "fake-lost")
    for name in ("fake-odd", "fake-int"):
        with pytest.raises(PluginError, match=f"'{name}' in samplers must be a subclass of Samp"):
            registry.load("samplers", name)


# Broken plugins


@pytest.mark.parametrize(
    ("name", "target", "problem"),
    [
        ("Fake", "fake_one:One", "not a valid name"),
        ("9fake", "fake_one:One", "not a valid name"),
        ("f" * 65, "fake_one:One", "not a valid name"),
        ("fake", "fake_one", "not MODULE:CLASS"),
        ("fake", ":One", "not MODULE:CLASS"),
        ("fake", "fake_one:One; import os", "not MODULE:CLASS"),
        ("fake", "fake_one:One [big", "not MODULE:CLASS"),
        ("fake", ".fake_one:One", "cannot be found"),
        ("fake", "fake_absent:One", "cannot be found"),
        ("fake", "fake_one.absent:One", "cannot be found"),
    ],
)
def test_a_malformed_entry_is_a_row_with_its_problem(name, target, problem, install):
    install("fake-one", sampler(name, target), {"fake_one.__init__": "raise SystemError"})
    assert problem in entry(name).problem
    assert "fake_one" not in sys.modules
    with pytest.raises(PluginError, match=problem):
        registry.load("samplers", name)


POINTS = sampler("fake-bad", "fake_bad:One")


@pytest.mark.parametrize(
    ("points", "metadata"),
    [
        (POINTS, None),
        (POINTS, ""),
        (POINTS, "Version: 1.0\n"),
        (POINTS, "Name: {name}\n"),
        (POINTS, "\xff\xfe"),
        ("\xff\xfe", METADATA),
        ("[genzoo.samplers\nfake-bad = a:B", METADATA),
        ("[genzoo.samplers]\nfake-bad", METADATA),
        ("fake-bad = a:B", METADATA),
    ],
)
def test_malformed_metadata_leave_every_other_plugin_as_it_was(points, metadata, install):
    before = {group: registry.entries(group) for group in registry.GROUPS}
    claim = POINTS.replace("fake-bad", "gibbs") if points == POINTS else points
    install("fake-bad", claim, metadata=metadata)
    assert {group: registry.entries(group) for group in registry.GROUPS} == before
    assert registry.load("samplers", "gibbs").__name__ == "Gibbs"


def test_a_plugin_that_fails_on_import_breaks_no_other_one(install):
    install("fake-bad", POINTS, {"fake_bad": "raise ZeroDivisionError"})
    install(
        "fake-good",
        sampler("fake-good", "fake_good:One"),
        {"fake_good": SAMPLER.format(name="One")},
    )
    with pytest.raises(ZeroDivisionError):
        registry.load("samplers", "fake-bad")
    assert registry.load("samplers", "fake-good").__name__ == "One"
    assert registry.load("models", "rbm").__name__ == "RBM"


# Registering and naming


def test_the_decorator_registers_and_returns_the_class():
    class Mine(families.Fixed):
        pass

    assert genzoo.register("samplers", "fake-mine")(Mine) is Mine
    assert registry.load("samplers", "fake-mine") is Mine
    assert entry("fake-mine").distribution == ""
    assert registry.name_of("samplers", Mine) == "fake-mine"


def test_a_session_may_replace_its_own_class_and_never_an_installed_one():
    first, second = (type("Mine", (families.Fixed,), {}) for _ in range(2))
    for cls in (first, second):
        genzoo.register("samplers", "fake-mine")(cls)
    assert registry.load("samplers", "fake-mine") is second
    with pytest.raises(NameConflictError, match="'gibbs' in samplers is taken"):
        genzoo.register("samplers", "gibbs")(first)
    assert registry.load("samplers", "gibbs").__name__ == "Gibbs"


@pytest.mark.parametrize("name", ["Mine", "", "1st", "a b", "a.b", "a/b", "x" * 65, "mine\n"])
def test_a_malformed_name_is_not_registered(name):
    with pytest.raises(PluginError, match="not a valid name"):
        genzoo.register("samplers", name)(families.Fixed)


def test_a_name_may_hold_a_plus():
    mine = type("Mine", (families.Fixed,), {})
    assert genzoo.register("samplers", "fake-mine++")(mine) is mine
    assert registry.load("samplers", "fake-mine++") is mine
    with pytest.raises(PluginError, match="not a valid name"):
        genzoo.register("samplers", "+fake")(mine)


def test_a_class_of_another_kind_is_not_registered():
    for found in (families.Linear, families.Fixed(), None):
        with pytest.raises(PluginError, match="must be a subclass of Sampler"):
            genzoo.register("samplers", "fake-mine")(found)
    with pytest.raises(UnknownNameError):
        genzoo.register("sampler", "fake-mine")


def test_an_installed_class_is_named_whether_it_was_loaded_by_name_or_not(install):
    install(
        "fake-one", sampler("fake-one", "fake_one:One"), {"fake_one": SAMPLER.format(name="One")}
    )
    import fake_one

    assert registry.name_of("samplers", fake_one.One) == "fake-one"
    registry.load("samplers", "fake-one")
    assert registry.name_of("samplers", fake_one.One) == "fake-one"


def test_a_class_is_named_in_spite_of_a_broken_neighbour(install):
    code = {
        "fake_one.__init__": "from fake_one.good import One",
        "fake_one.good": SAMPLER.format(name="One"),
        "fake_one.bad": "import fake_absent",
    }
    points = sampler("a-bad", "fake_one.bad:One") + "a-lost = fake_one:Lost\nb-good = fake_one:One"
    install("fake-one", points, code)
    import fake_one

    assert registry.name_of("samplers", fake_one.One) == "b-good"


def test_a_class_that_is_not_registered_is_told_how_to_be():
    class Mine(families.Fixed):
        pass

    with pytest.raises(PluginError, match=r"Mine is not registered.*genzoo\.samplers.*@genzoo"):
        registry.name_of("samplers", Mine)
    with pytest.raises(PluginError):
        registry.name_of("models", families.Fixed)
