"""How long a thousand installed plugins take to be listed, compared with importing torch.

Usage: python benchmarks/many_plugins.py [--plugins 1000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from timing import circumstances, in_turn, ratio, say

NAMES = "from genzoo import registry; print(len(registry.names('models')), 'torch' in sys.modules)"
ROWS = NAMES.replace("names", "entries")
CODE = "raise SystemError('A plugin was imported.')\n"


def install(folder: Path, number: int) -> None:
    """Write one plugin, as an installer would; to import it is an error."""
    name = f"plugin-{number:04d}"
    info = folder / f"plugin_{number:04d}-1.0.dist-info"
    info.mkdir()
    requires = "Requires-Dist: genzoo>=0.1\nRequires-Dist: torch>=2.7\n"
    head = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{requires}"
    (info / "METADATA").write_text(f"{head}\n{'A description. ' * 200}\n", "utf-8")
    lines = [f"[genzoo.models]\n{name} = plugin_{number:04d}:Model"]
    lines += [f"[genzoo.samplers]\n{name} = plugin_{number:04d}:Sampler"]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / f"plugin_{number:04d}.py").write_text(CODE, "utf-8")


def starting(code: str, folder: Path) -> Callable[[], str]:
    """Return a function that runs code in a fresh Python where the plugins are installed."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", f"import sys; {code}"]

    def run() -> str:
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    return run


def main() -> None:
    """Print milliseconds, and ratios within one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plugins", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for number in range(given.plugins):
            install(Path(name), number)
        functions = {
            "import torch": starting("import torch", Path(name)),
            "Python alone": starting("pass", Path(name)),
            "names": starting(NAMES, Path(name)),
            "rows": starting(ROWS, Path(name)),
        }
        say(circumstances(1), f"{given.plugins} plugins: {functions['names']().strip()}")
        seconds = in_turn(functions, given.rounds)
    for what, values in seconds.items():
        share = ratio(seconds, what, "import torch")
        say(f"  {what:<14} {1e3 * statistics.median(values):6.0f} ms   {share} of import torch")


if __name__ == "__main__":
    main()
