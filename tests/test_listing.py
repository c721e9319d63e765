"""What `genzoo list` shows: what each entry is, by patterns, and by what models can do."""

import json
import re
import subprocess
import sys

import pytest

import genzoo
import installs
from genzoo import entry_points, registry
from genzoo.cli import main
from genzoo.entry_points import Entry
from genzoo.summaries import summary_of
from test_broken_packages import GOOD

MODULE = '''
"""A module."""

class Mine:
    """Draws \\x1b[2Jboxes.

    More of it.
    """

class Bare: ...

made = type("Made", (), {"__doc__": "Made."})

class Empty:
    """   """
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name, points, modules):
        installs.write(tmp_path, name, points, modules)
        entry_points.forget()

    yield put
    entry_points.forget()


def listed(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main(["list", *words])
    assert not left.value.code
    return capsys.readouterr().out


def names(capsys, *words):
    return [row["name"] for row in json.loads(listed(capsys, *words, "--json"))]


@pytest.mark.parametrize("group", registry.GROUPS)
def test_each_entry_of_ours_says_what_it_is_in_one_sentence(group):
    for entry in registry.entries(group):
        if entry.distribution == entry_points.OURS:
            assert re.fullmatch(r".{12,100}[.”]", summary_of(entry)), entry.name


def test_a_summary_is_read_and_not_run(install):
    code = "import genzoo_never_there\nprint('ran')\n"
    install("fake-sums", "", {"fake_sums": code + MODULE})

    def says(target):
        return summary_of(Entry("models", "x", f"fake_sums:{target}", "fake-sums", "1"))

    assert says("Mine") == "Draws \x1b[2Jboxes."
    assert [says(name) for name in ("Bare", "Made", "Empty", "Lost")] == [""] * 4
    assert "fake_sums" not in sys.modules


@pytest.mark.parametrize(
    "target", ["fake_lost:Mine", "fake_bad:Mine", "fake_nul:Mine", "os.path:Mine", "sys:Mine"]
)
def test_what_cannot_be_read_has_no_summary(target, install):
    deep = "x = " + "(" * 500 + ")" * 500
    install("fake-bads", "", {"fake_bad": deep, "fake_nul": "\0"})
    assert summary_of(Entry("models", "x", target, "fake-bads", "1")) == ""


def test_a_strangers_summary_is_shown_with_nothing_hidden_and_as_a_strangers(install, capsys):
    install("fake-sums", "[genzoo.models]\nfake-sum = fake_sums:Mine\n", {"fake_sums": MODULE})
    (line,) = [line for line in listed(capsys, "models").splitlines() if "fake-sum" in line]
    assert line.split(maxsplit=1)[1] == "[fake-sums 1.0] Draws ␛[2Jboxes."


def test_names_may_have_wildcards(capsys):
    assert names(capsys, "models", "*gan*") == genzoo.list_models("*gan*")
    assert set(genzoo.list_models("*gan*")) > {"gan", "cyclegan", "bigan"}
    assert names(capsys, "ddpm") == ["ddpm", "ddpm"]  # A model and a sampler.
    assert names(capsys, "samplers", "dd*", "heun") == ["ddim", "ddpm", "heun"]
    out = listed(capsys, "h*")
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        "objectives",
        "samplers",
        "datasets",
    ]


def test_models_are_chosen_by_what_they_can_do(capsys):
    found = names(capsys, "--can", "log-prob")
    assert set(found) >= {"rbm", "vae", "ddpm"}
    assert not set(found) & {"gan", "cyclegan", "classifier"}
    assert names(capsys, "models", "rb*", "--can", "inpainting") == ["rbm"]


def test_models_are_chosen_by_the_data_that_they_can_model(capsys):
    found = names(capsys, "--for", "bars-and-stripes", "--can", "log-prob")
    assert {"rbm", "vae"} <= set(found)
    assert not set(found) & {"ddpm", "bigan", "cyclegan", "classifier"}
    assert {"rbm", "vae"} & set(names(capsys, "--for", "ring")) == {"vae"}


def test_that_no_model_fits_is_said(capsys):
    assert listed(capsys, "models", "rbm", "--can", "translate").startswith("No model fits.")


def test_a_plugin_that_fails_is_a_row_whatever_is_asked(install, capsys):
    modules = {"fake_good": GOOD["fake_good"], "fake_exit": "import os; os._exit(3)"}
    points = "[genzoo.models]\nfake-exit = fake_exit:Mine\nfake-good = fake_good:Mine\n"
    install("fake-asked", points, modules)
    rows = json.loads(listed(capsys, "models", "fake-*", "--can", "encode", "--json"))
    assert [row["name"] for row in rows] == ["fake-exit"]
    assert "exit code 3" in rows[0]["problem"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["modles"], "Unknown entry 'modles'"),
        (["models", "zzz", "*"], "Unknown entry 'zzz'"),
        (["models", "rbmm"], "Did you mean 'rbm'"),
        (["--can", "log-likelihood"], "Unknown capability 'log-likelihood'"),
        (["--for", "digitts"], "Did you mean 'digits'"),
        (["samplers", "--can", "encode"], "--for and --can choose models, not samplers"),
    ],
)
def test_what_is_not_there_is_one_line(words, says, capsys):
    with pytest.raises(SystemExit) as left:
        main(["list", *words])
    said = capsys.readouterr()
    assert left.value.code == 2
    assert says in said.err
    assert said.err.count("\n") == 1


def test_nothing_is_imported_to_say_what_is_there():
    code = (
        "import sys; from genzoo.cli import main\n"
        "try: main(['list'])\nexcept SystemExit: pass\n"
        "print([n for n in sys.modules if n.split('.')[0] in ('torch', 'genzoo_vae')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    assert "restricted Boltzmann machine" in done.stdout
