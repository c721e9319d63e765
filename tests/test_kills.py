"""A few kills of processes that save, and signals at random moments; `make kills` does many.

Of two processes that train together, one is disturbed in each way once.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

KINDS = ["SIGKILL", "SIGTERM", "NaN", "slow"]
PAIRS_ONLY = ("--saves", "0", "--signals", "0", "--control", "0")


def kills(state, *numbers):
    """Run the script."""
    command = [sys.executable, Path(__file__).with_name("kills.py"), "--state", state, *numbers]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def nothing_wrong(done):
    """Return what the script has printed, which must have found nothing wrong."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 left something wrong" in done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """One disturbance of each kind, by kind, as the script has noted them."""
    state = tmp_path_factory.mktemp("kills")
    done = kills(state, *PAIRS_ONLY, "--pairs", "1")
    assert "left something wrong" in done.stdout, done.stderr
    rows = map(json.loads, (state / "kills.jsonl").open())
    return {row["kind"].removeprefix("pair "): row for row in rows}


@pytest.mark.parametrize("kind", KINDS)
def test_both_of_two_processes_end_and_go_on_identically(kind, pairs):
    """Both say why, and the newest checkpoint is good; the script has looked at it."""
    assert pairs[kind]["faults"] == []
    assert not pairs[kind]["late"]
    assert pairs[kind]["saved"] > 0


@pytest.mark.full
def test_two_processes_go_on_identically_if_they_are_launched_or_sharded(tmp_path):
    found = nothing_wrong(kills(tmp_path, *PAIRS_ONLY, "--pairs", "4"))
    for kind in KINDS:
        assert f"two processes, {kind}: 4 (1 under torchrun, " in found


@pytest.mark.full
def test_what_is_left_of_a_few_kills_and_signals_is_whole_and_goes_on_identically(tmp_path):
    """The script's control, which saves in place, must be seen to fail."""
    found = nothing_wrong(kills(tmp_path, "--saves", "20", "--signals", "2", "--pairs", "0"))
    assert "SIGKILL while saving: 20 (" in found
    assert "SIGTERM: 2 (" in found
