"""Packages broken on purpose: each is told apart, and none is another one's trouble."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import families
import installs
from genzoo import Binary, create_model, entry_points, evaluate, registry
from genzoo.cli import main
from genzoo.errors import GenzooError, PluginError, UnknownNameError
from genzoo.testing import Case, CheckFailed, check_model, side_effects

HERE = Path(__file__).parent
MODEL = """
import families
from genzoo import registry

class Mine(families.Linear):
    pass
"""
GOOD = {"fake_good": MODEL}


def points(name="fake-bad", target="fake_bad:Mine", group="models"):
    return f"[genzoo.{group}]\n{name} = {target}\n"


def needs(text):
    return f"{installs.METADATA}Requires-Dist: {text}\n"


CODE = {
    "import-error": ("raise ImportError('mine')", "ImportError: mine"),
    "missing-dependency": ("import fake_absent", "pip install 'fake-bad'"),
    "exit": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "syntax-error": ("def", "SyntaxError"),
    "wrong-base-class": ("class Mine: pass", "must be a subclass of GenerativeModel"),
    "lost-class": ("Yours = 1", "does not exist"),
}
"""What a package's module holds, and what `genzoo list --check` says of it."""

METADATA = {
    "outdated": (points(), needs("genzoo>=99"), "needs genzoo>=99.*install --upgrade genzoo"),
    "overtaken": (points(), needs("genzoo<0.0.1"), "install --upgrade fake-bad"),
    "lost-module": (points(target="fake_lost:Mine"), installs.METADATA, "cannot be found"),
    "bad-target": (points(target="fake_bad"), installs.METADATA, "not MODULE:CLASS"),
    "bad-name": (points(name="Fake Bad"), installs.METADATA, "not a valid name"),
    "name-clash": (points(name="vae"), installs.METADATA, "claimed by fake-bad and genzoo"),
}
"""What its metadata say, and what `genzoo list` says of it, without an import."""

MANNERS = {
    "print": ("print('hello')", "prints 'hello"),
    "global-seed": ("import torch; torch.manual_seed(0)", "changes: torch generator"),
    "threads": ("import torch; torch.set_num_threads(3)", "changes: threads"),
    "default-dtype": ("import torch; torch.set_default_dtype(torch.float64)", "default dtype"),
    "a-thread": (
        "import threading as t; t.Thread(target=t.Event().wait, name='mine', daemon=True).start()",
        "running threads",
    ),
    "environment": ("import os; os.environ['MINE'] = '1'", "changes: environment"),
    "patched-torch": ("import torch; torch.relu = lambda x: x", "replaces: torch.relu"),
    "patched-genzoo": (
        "import genzoo.weights; genzoo.weights.check_finite = lambda *_: None",
        "replaces: genzoo.weights.check_finite",
    ),
    "silenced-warnings": ("import warnings; warnings.simplefilter('ignore')", "warning filters"),
}
"""What a module does when it is imported, and what the suite says of it."""


def printed(line, capsys):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    said = capsys.readouterr()
    assert not left.value.code, said.err
    return said.out


def row(name, capsys, *flags):
    rows = json.loads(printed(" ".join(["list models --json", *flags]), capsys))
    return next(row for row in rows if row["name"] == name and row["distribution"] != "genzoo")


def demand_others_undisturbed():
    """What is installed next to it is listed, and loads."""
    assert {"rbm", "fake-good"} <= set(registry.names("models"))
    assert registry.load("models", "rbm").__name__ == "RBM"
    assert registry.load("models", "fake-good").__name__ == "Mine"


def test_there_are_twelve_and_more():
    assert len(CODE) + len(METADATA) + len(MANNERS) >= 12


FEW = ("missing-dependency", "lost-class")
"""Faults for which `make test` starts processes; test_isolation.py has one process for many."""


@pytest.mark.parametrize(
    "fault", [pytest.param(f, marks=() if f in FEW else pytest.mark.full) for f in CODE]
)
def test_a_package_whose_code_is_broken_is_a_row_with_its_error(fault, install, capsys):
    code, says = CODE[fault]
    install("fake-good", points("fake-good", "fake_good:Mine"), GOOD)
    install("fake-bad", points(), {"fake_bad": code})
    assert row("fake-bad", capsys)["problem"] == ""
    assert says in row("fake-bad", capsys, "--check")["problem"]
    with pytest.raises(GenzooError, match=re.escape(says)):
        check_model("fake-bad")
    demand_others_undisturbed()


@pytest.mark.parametrize("fault", METADATA)
def test_a_package_whose_metadata_are_wrong_is_a_row_with_its_remedy(fault, install, capsys):
    text, metadata, says = METADATA[fault]
    name = text.partition("\n")[2].partition(" = ")[0]
    install("fake-good", points("fake-good", "fake_good:Mine"), GOOD)
    install("fake-bad", text, {"fake_bad": "raise SystemError"}, metadata)
    with pytest.raises(GenzooError, match=says):
        registry.load("models", name)
    problem = row(name, capsys)["problem"]
    assert problem
    assert "fake_bad" not in sys.modules
    demand_others_undisturbed()


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """What is found of each module without manners, and of a sound one, in one fresh process."""
    folder = tmp_path_factory.mktemp("manners")
    faults = {**{fault: code for fault, (code, _) in MANNERS.items()}, "none": ""}
    for fault, code in faults.items():
        (folder / f"{module_of(fault)}.py").write_text(MODEL + code)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        found, error = side_effects._imported(list(map(module_of, faults)))
    assert error == ""
    return found


def module_of(fault):
    return f"fake_{fault.replace('-', '_')}"


@pytest.mark.parametrize("fault", MANNERS)
def test_a_package_without_manners_is_named_by_the_suite(fault, imported):
    module, (_, says) = module_of(fault), MANNERS[fault]
    with pytest.raises(CheckFailed, match=says):
        side_effects._demand_quiet(module, imported[module])
    assert module not in sys.modules


def test_a_package_with_manners_passes_beside_them(imported):
    side_effects._demand_quiet("fake_none", imported["fake_none"])


def test_whatever_else_a_package_registers_is_looked_at_too(install):
    text = points() + points("fake-bad", "fake_loss:Mine", "objectives")
    text += points("fake-more", "fake_more:Mine [more]", "objectives")
    modules = {"fake_bad": MODEL, "fake_loss": "print('hello')", "fake_more": "import fake_absent"}
    install(
        "fake-bad",
        text.replace(" fake_", " fake_bad.fake_"),
        {f"fake_bad.{name}": code for name, code in modules.items()},
    )
    cls = type("Mine", (families.Linear,), {"__module__": "fake_bad.fake_bad"})
    with pytest.raises(CheckFailed, match=r"fake_bad\.fake_loss prints 'hello"):
        side_effects.check_import(Case("fake-bad", cls))


def test_importing_genzoo_and_listing_import_none_of_them(install, tmp_path):
    for text, metadata, _ in METADATA.values():
        install(f"fake-{len(sys.path)}", text, {"fake_bad": "raise SystemError"}, metadata)
    for i, (code, _) in enumerate([*CODE.values(), *MANNERS.values()]):
        install(f"fake-bad-{i}", points(f"fake-bad-{i}", f"fake_bad_{i}:Mine"))
        (tmp_path / f"fake_bad_{i}.py").write_text(code)
    code = (
        f"import sys; sys.path[:0] = {[p for p in sys.path if str(tmp_path) in p]!r}\n"
        "import genzoo; from genzoo import registry\n"
        "for group in registry.GROUPS: registry.entries(group)\n"
        "print(len([n for n in registry.names('models') if n.startswith('fake-bad-')]))\n"
        "print([m for m in sys.modules if m.startswith(('fake', 'torch'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(len(CODE) + len(MANNERS)), "[]"]
    assert done.stderr == ""


def test_another_plugins_broken_objective_or_metric_disturbs_no_suite_and_no_evaluation(install):
    text = points("fake-bad", "fake_bad:Mine", "objectives")
    text += points("fake-bad", "fake_bad:Mine", "metrics")
    install("fake-bad", text, {"fake_bad": "import sys; sys.exit(3)"})
    assert Case("rbm", registry.load("models", "rbm")).stages()
    model = create_model("rbm", event=Binary(shape=(2,)), num_hidden=2)
    assert "log-likelihood" in evaluate(model, families.rows(9, 2, binary=True)).figures


# Disabling, origins


def test_plugins_can_be_left_out_to_find_a_fault(install, capsys, monkeypatch):
    install("fake-good", points("fake-good", "fake_good:Mine"), GOOD)
    install("fake_bad", points(name="vae"), {"fake_bad": MODEL})
    monkeypatch.setenv(entry_points.DISABLE, "Fake.Bad")
    registry.refresh()
    assert registry.load("models", "vae").__module__ == "genzoo_vae.vae"
    assert "fake-good" in registry.names("models")
    shown = printed("list models", capsys)
    assert "vae" in shown
    assert "disabled by GENZOO_DISABLE_PLUGINS: unset it to use fake_bad" in shown
    assert "error" not in shown


def test_all_leaves_genzoo_alone(install, capsys, monkeypatch):
    install("fake-good", points("fake-good", "fake_good:Mine"), GOOD)
    monkeypatch.setenv(entry_points.DISABLE, "all")
    registry.refresh()
    assert "rbm" in registry.names("models")
    assert "fake-good" not in registry.names("models")
    with pytest.raises(PluginError, match="disabled by GENZOO_DISABLE_PLUGINS"):
        registry.load("models", "fake-good")


def test_a_misspelt_name_of_a_plugin_to_leave_out_is_told(capsys, monkeypatch):
    monkeypatch.setenv(entry_points.DISABLE, "fake-godo")
    assert "names unknown distributions: fake-godo" in printed("list models", capsys)


def test_the_origin_of_a_name_is_its_distribution_version_and_folder(install, capsys):
    folder = install("fake-good", points("fake-good", "fake_good:Mine"), GOOD)
    lines = printed("list models --origin", capsys).splitlines()
    (line,) = [line for line in lines if "fake-good" in line.split()[:1]]
    assert line.split() == ["fake-good", "fake-good", "1.0", str(folder)]
    assert row("fake-good", capsys)["location"] == str(folder)


def test_whatever_can_be_registered_is_listed(install, capsys):
    text = "".join(points("fake-bad", "fake_lost:Mine", group) for group in registry.GROUPS)
    install("fake-bad", text)
    problems = {
        row["group"]: row["problem"]
        for row in json.loads(printed("list --json", capsys))
        if row["name"] == "fake-bad"
    }
    assert set(problems) == set(registry.GROUPS)
    (problem,) = set(problems.values())
    assert problem.startswith("its module fake_lost cannot be found; fake-bad = fake_lost:Mine is")
    assert problem.endswith("correct it there and reinstall fake-bad")


@pytest.mark.parametrize("how", ["wheel", "editable"])
def test_a_missing_module_is_said_with_the_file_that_names_it(how, install, tmp_path, capsys):
    folder = install("fake-bad", points("fake-bad", "fake_lost:Mine"))
    info = folder / "fake-bad-1.0.dist-info"
    wanted = info / "entry_points.txt"
    (info / "RECORD").write_text("fake-bad-1.0.dist-info/entry_points.txt,,\n")
    if how == "editable":
        project = tmp_path / "my project"
        project.mkdir()
        wanted = project / "pyproject.toml"
        wanted.touch()
        url = {"url": project.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(url))
    registry.refresh()
    assert f"is written in {wanted}: correct it there" in row("fake-bad", capsys)["problem"]


def test_an_editable_installation_is_where_its_project_is(install, capsys):
    folder = install("fake-good", points("fake-good", "fake_good:Mine"), GOOD)
    (info,) = folder.glob("*.dist-info")
    url = {"url": "file:///home/ada/flows", "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(url))
    registry.refresh()
    assert row("fake-good", capsys)["location"] == "/home/ada/flows"


def test_of_one_distribution_twice_on_the_path_the_first_one_counts(install):
    install("fake-good", points("fake-gone", "fake_good:Mine"), GOOD)
    install("fake-good", points("fake-good", "fake_good:Mine"), GOOD)
    assert "fake-good" in registry.names("models")
    with pytest.raises(UnknownNameError):
        registry.load("models", "fake-gone")


def test_a_plugin_made_for_this_genzoo_or_for_an_extra_of_it_is_sound(install):
    for text in (
        "genzoo>=0.1",
        "genzoo[data] (>=0.0.1)",
        "genzoo>=9; extra == 'new'",
        "genzoology>9",
    ):
        install("fake-good", points("fake-good", "fake_good:Mine"), GOOD, needs(text))
        assert registry.load("models", "fake-good").__name__ == "Mine"
