"""How long the command line takes to say what there is, compared with importing torch.

Usage: python benchmarks/startup.py [--rounds 10]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from timing import circumstances, in_turn, ratio, say

GENZOO = str(Path(sys.executable).with_name("genzoo"))
COMMANDS = {
    "import torch": [sys.executable, "-c", "import torch"],
    "genzoo list": [GENZOO, "list"],
    "genzoo --help": [GENZOO, "--help"],
}


def starting(command: list[str]) -> Callable[[], object]:
    """Return a function that runs a command to its end."""
    return lambda: subprocess.run(command, check=True, capture_output=True)


def imports_torch(command: list[str]) -> bool:
    """Whether a run of a Python script imports torch."""
    traced = [sys.executable, "-X", "importtime", *command]
    said = subprocess.run(traced, check=True, capture_output=True, text=True).stderr
    return any(line.rpartition("|")[2].strip() == "torch" for line in said.splitlines())


def main() -> None:
    """Print milliseconds, and ratios within one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    functions = {name: starting(command) for name, command in COMMANDS.items()}
    seconds = in_turn(functions, given.rounds)
    say(circumstances(1))
    for name, values in seconds.items():
        share = ratio(seconds, name, "import torch")
        say(f"  {name:<14} {1e3 * statistics.median(values):6.0f} ms   {share} of import torch")
    for name in ("genzoo list", "genzoo --help"):
        say(f"  {name} imports torch: {imports_torch(COMMANDS[name])}")


if __name__ == "__main__":
    main()
