"""A command that is printed can be pasted into a shell: it gets the argument that was meant."""

import logging
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

from genzoo.cli import main
from genzoo.cli.texts import command_line

HARD = 'a  b$HOME\'s `x` "q";* &(ö)'
"""Two spaces, quotes of each kind, and what a shell expands."""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)


def said(args, capsys, code=0):
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(args)
    found = capsys.readouterr()
    assert left.value.code == code, found
    return found.out + found.err


def as_bash_reads(line):
    """Return the arguments that bash gives to a command."""
    script = f"show() {{ printf '%s\\0' \"$@\"; }}\nshow {line}"
    subprocess.run(["bash", "-n", "-c", script], check=True)
    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    return done.stdout.split("\0")[:-1]


def test_each_next_step_names_the_folder_as_it_is(capsys):
    np.savez("bits.npz", x=np.eye(6, dtype=np.uint8))
    line = "train rbm --data bits.npz --trainer.max-steps 1 --trainer.threads 1 --output"
    lines = said([*line.split(), HARD], capsys).splitlines()
    steps = [as_bash_reads(line) for line in lines if line.startswith("  genzoo ")]
    assert [step[1] for step in steps] == ["sample", "evaluate", "report"]
    assert [step[2] for step in steps] == [HARD] * 3
    assert steps[0][3:] == ["--num", "64", "--output", "samples.png"]
    # The error's command, and the step itself, run as they are printed.
    error = said(["evaluate", HARD, "--verify"], capsys, code=2)
    command = re.search(r"genzoo evaluate .*", error)[0]
    assert as_bash_reads(command)[1:] == ["evaluate", HARD, "--card"]
    said([*steps[0][1:3], "--num", "2", "--output", "x.npz"], capsys)
    assert Path("x.npz").exists()


def test_the_steps_of_a_new_plugin_name_its_folder(capsys):
    out = said(["new-plugin", "mine", "--folder", HARD], capsys)
    steps = [as_bash_reads(line) for line in out.splitlines()[1:]]
    assert steps[0] == ["pip", "install", "-e", f"{HARD}[test]"]
    assert steps[-1] == ["python", "-m", "pytest", HARD]


@pytest.mark.parametrize("name", [HARD, "-x", "~", "", "a\nb", "#", "!1"])
def test_bash_and_shlex_read_one_argument(name):
    line = command_line("show", Path(name) if name == "-x" else name)
    wanted = "./-x" if name == "-x" else name
    assert as_bash_reads(line) == shlex.split(line) == ["show", wanted]
