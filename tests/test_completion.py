"""Tab completion: what the shells are told, in a real bash, and without importing torch."""

import shutil
import subprocess
import sys

import pytest

from genzoo import registry
from genzoo.cli import main
from genzoo.cli.command_table import COMMANDS
from genzoo.cli.completion import complete
from genzoo.cli.flag_table import flags_of
from genzoo.cli.static_fields import fields_of
from genzoo.config import field_types

SCRIPT = """
import sys
from genzoo.cli.completion import complete
for before in (["train", "vae"], ["sample", "x", "--sampler"], ["check"]):
    assert complete(before, "--" if len(before) == 2 else "").texts, before
heavy = {"torch", "numpy", "matplotlib", "accelerate"} & sys.modules.keys()
plugins = [name for name in sys.modules if name.startswith("genzoo_")]
sys.exit(f"{heavy} {plugins}" if heavy or plugins else 0)
"""


def texts(line, current=""):
    return [text for text, _ in complete(line.split(), current).texts]


def test_nothing_heavy_and_no_plugin_is_imported():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_commands_and_their_flags_are_offered():
    assert set(COMMANDS) <= set(texts(""))
    assert texts("", "tr") == ["train", "translate"]
    for name, arguments in COMMANDS.items():
        flags = {flag.name for flag in flags_of(arguments) if not flag.positional}
        assert flags <= set(texts(name, "-"))
    assert texts("nowhere", "--") == []


@pytest.mark.parametrize(
    ("line", "group"),
    [
        ("train", "models"),
        ("check", "models"),
        ("train vae --data", "datasets"),
        ("train vae --objective", "objectives"),
        ("train vae --trainer.optimizers.model", "optimizers"),
        ("train vae --trainer.lr-scheduler", "lr_schedulers"),
        ("sample runs/x --sampler", "samplers"),
        ("evaluate runs/x --metrics", "metrics"),
        ("evaluate runs/x --metrics log-likelihood", "metrics"),
        ("list --for", "datasets"),
    ],
)
def test_names_come_from_the_registry(line, group):
    assert sorted(texts(line)) == registry.names(group)


def test_choices_and_paths_are_offered():
    assert texts("explore runs/x --view", "c") == ["codes"]
    assert texts("train vae --model.network") == ["flat", "image"]
    assert texts("completion") == ["bash", "zsh", "fish"]
    paths = {"sample": "folders", "train vae --recipe": "files", "train vae --data": "files"}
    assert {line: complete(line.split(), "").paths for line in paths} == paths
    # After a switch comes an argument, and after the values of a flag a flag.
    assert texts("sample x --num") == texts("sample x --num 3") == []
    assert texts("train --resume", "va") == ["vae"]
    assert texts("train vae --trainer.progress", "--dat")[0] == "--data"


def test_flags_of_the_named_classes_are_read_from_their_source():
    found = texts("train vae --objective iwae --data mnist", "--")
    assert {"--model.latent-dim", "--trainer.max-steps", "--data.limit"} <= set(found)
    assert "--model.event" not in found
    assert "--sampler.num-steps" in texts("sample x --sampler gibbs", "--sampler.")


@pytest.mark.parametrize("group", ["samplers", "datasets"])
def test_what_the_source_says_is_what_the_class_has(group):
    for entry in registry.entries(group):
        if entry.distribution == "genzoo":
            found = fields_of(entry.target)
            wanted = field_types(registry.load(group, entry.name).Config)
            assert set(found) == set(wanted), entry.name


HARNESS = """
compopt() { :; }
show() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _genzoo_complete
    printf '%s\\n' "${COMPREPLY[@]}" | sort | tr '\\n' '|'; echo
}
"""


@pytest.fixture
def program(tmp_path):
    """The command genzoo of this environment, and a folder to complete in."""
    path = tmp_path / "bin dir" / "genzoo"
    path.parent.mkdir()
    path.write_text(f"#!{sys.executable}\nfrom genzoo.cli import main\nmain()\n")
    path.chmod(0o755)
    return path


def script_of(shell, capsys):
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["completion", shell])
    assert left.value.code == 0
    return capsys.readouterr().out


def test_bash_completes_what_it_is_told(program, tmp_path, capsys):
    for name in ("my runs", "digits-folder"):
        (tmp_path / name).mkdir()
    (tmp_path / "digits.csv").touch()
    lines = [
        "show PROGRAM tra",
        "show PROGRAM sample my",
        "show PROGRAM train vae --data = digits",
        "show PROGRAM train vae --model.lat",
    ]
    text = script_of("bash", capsys) + HARNESS
    text += "\n".join(lines).replace("PROGRAM", f"'{program}'")
    done = subprocess.run(
        ["bash", "--norc", "-c", text], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "train|translate|",
        "my runs|",
        "digits|digits-folder|digits.csv|",
        "--model.latent|--model.latent-dim|",
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_a_script_of_it(shell, program, tmp_path, capsys):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "script"
    path.write_text(script_of(shell, capsys))
    subprocess.run([shell, "-n", str(path)], check=True)
