"""Samples in a folder, and an evaluation, by two processes compared with one.

`genzoo sample` draws 100,000 samples of a model into a folder, by one process and by two, and
`genzoo evaluate` judges it. Printed are whether files and figures are equal bit for bit, the time
of one process over that of two, of which each has one thread, and the peak memory of a process
for a tenth of the samples and for all. Times begin where the command does, after Python's start
and the imports. With fewer free cores than processes the ratio of the clock's times says nothing.
That of the processor's times, of which two processes count the longer one, is for free cores.

Usage: python benchmarks/shared_sampling.py [MODEL] [--num 100000] [--processes 2]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from timing import circumstances, say

CARD = Path(__file__).parent.parent / "model_cards" / "vae-fashion-mnist"
SECONDS = 3600
BLOCK = 128


@dataclass(frozen=True)
class Done:
    """A command that ended.

    Arguments:
        seconds: The time of its main process, without the start.
        cpu_seconds: The longest time of the processor in a process, without the start.
        megabytes: The largest peak memory of a process.
    """

    seconds: float
    cpu_seconds: float
    megabytes: float


def run(arguments: Sequence[object], num_processes: int, notes: Path) -> Done:
    """Run a command of genzoo by so many processes of one thread.

    Arguments:
        arguments: The arguments of ``genzoo``.
        num_processes: The number of processes.
        notes: A new folder for what each process measures.

    Raises:
        RuntimeError: A process failed.
    """
    notes.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    group = {
        "WORLD_SIZE": str(num_processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    ours = {name: value for name, value in os.environ.items() if name not in (*group, "RANK")}
    environment = {**ours, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    started = []
    for rank in map(str, range(num_processes)):
        own = {**group, "RANK": rank, "LOCAL_RANK": rank} if num_processes > 1 else {}
        command = [sys.executable, __file__, "--child", notes / rank, "--", *arguments]
        words = list(map(str, command))
        started.append(
            subprocess.Popen(words, env=environment | own, stdout=-1, stderr=-1, text=True)
        )
    try:
        said = [process.communicate(timeout=SECONDS)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    if any(process.returncode for process in started):
        raise RuntimeError("\n".join(said))
    found = [json.loads((notes / str(rank)).read_text()) for rank in range(num_processes)]
    cpu, megabytes = (max(each[key] for each in found) for key in ("cpu", "megabytes"))
    return Done(found[0]["seconds"], cpu, megabytes)


def child(notes: Path, arguments: Sequence[str]) -> None:
    """Run a command in this process, and note its time and the peak of the memory."""
    import torch

    import genzoo.cli.commands
    import genzoo.cli.evaluate
    import genzoo.cli.sample

    torch.set_num_threads(1)
    began, cpu = time.perf_counter(), time.process_time()
    genzoo.cli.commands.run(arguments[0], arguments[1:])
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    notes.write_text(json.dumps({"seconds": seconds, "cpu": cpu, "megabytes": peak}))


def digest(folder: Path) -> str:
    """Return the SHA-256 of the files of a folder and their names."""
    found = hashlib.sha256()
    for path in sorted(folder.glob("[!.]*")):
        found.update(path.name.encode())
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def sampled(
    model: Path, num: int, processes: int, home: Path, batch_size: int = BLOCK
) -> tuple[Done, str]:
    """Draw samples into a new folder; return the measurements, and the digest of the files."""
    output = home / f"samples-{num}-{processes}"
    given = ("--num", num, "--seed", 0, "--batch-size", batch_size, "--output", output)
    done = run(("sample", model, *given), processes, home / f"notes-{num}-{processes}")
    return done, digest(output)


def evaluated(model: Path, processes: int, home: Path, *flags: object) -> tuple[Done, str]:
    """Evaluate a model; return the measurements, and the JSON of the figures."""
    path = home / f"figures-{processes}.json"
    given = ("--no-store", "--json", path, *flags)
    done = run(("evaluate", model, *given), processes, home / f"notes-evaluate-{processes}")
    return done, path.read_text("utf-8")


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=CARD)
    parser.add_argument("--num", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    say(circumstances(1))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        few = {p: sampled(asked.model, asked.num // 10, p, home) for p in (1, asked.processes)}
        many = {p: sampled(asked.model, asked.num, p, home) for p in (1, asked.processes)}
        judged = {p: evaluated(asked.model, p, home) for p in (1, asked.processes)}
    for what, found in (
        (f"{asked.num // 10:,} samples", few),
        (f"{asked.num:,} samples", many),
        ("evaluation", judged),
    ):
        (one, of_one), (more, of_more) = found.values()
        say(
            f"{what}: {'equal' if of_one == of_more else 'DIFFERENT'}, {one.seconds:.1f} s by one "
            f"process, {one.seconds / more.seconds:.2f} times as fast by {asked.processes} "
            f"(by the processor's time {one.cpu_seconds / more.cpu_seconds:.2f} times); peak "
            f"memory {one.megabytes:.0f} MB, {more.megabytes:.0f} MB of a process"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), sys.argv[4:])
    else:
        main()
