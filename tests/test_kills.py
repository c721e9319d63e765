"""A few kills of processes that save, and signals at random moments; `make kills` does many."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.full
def test_what_is_left_of_a_few_kills_and_signals_is_whole_and_goes_on_identically(tmp_path):
    """The script's control, which saves in place, must be seen to fail."""
    command = [sys.executable, Path(__file__).with_name("kills.py"), "--state", tmp_path]
    command += ["--saves", "20", "--signals", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SIGKILL while saving: 20 (" in done.stdout
    assert "SIGTERM: 2 (" in done.stdout
    assert "0 left something wrong" in done.stdout
