"""Kill streamed trainings at random moments, resume them, and compare what they read and learned.

    python tests/streamed_kills.py --kills 50

For 1, 2 and 4 processes, each with 0 and 2 worker processes, and once more with another number of
processes after each kill: every update must have read the same rows as a run that nobody killed,
each row once per epoch, and the weights must be equal, bit for bit where the number of processes
stays the same. This process has everything imported, and forks the ones that it kills.
"""

import argparse
import collections
import contextlib
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # A pool of threads does not survive a fork.

import torch

import genzoo
import shards
from genzoo.training.accelerating import leave_group
from genzoo.training.loop import StageLoop

SLOTS, BATCH, STEPS, SIZES = 4, 8, 60, (40, 25, 33, 30, 12, 20)
WINDOW = 2**10
"""Half of it is a window: 36 rows, of nine chunks."""
PATIENCE = 120.0


def trainer(data, folder, num_processes, num_workers, steps=STEPS):
    """Return a trainer with the same slots for every number of processes."""
    torch.manual_seed(0)
    model = genzoo.create_model("vae", event=data.info["x"], latent_dim=2, hidden_dims=(8,))
    config = genzoo.TrainerConfig(
        max_steps=steps,
        batch_size=BATCH,
        num_micro_batches=SLOTS // num_processes,
        dataloader_num_workers=num_workers,
        lr_scheduler="constant",
        save_steps=3,
        logging_steps=10,
        threads=1,
        progress=False,
    )
    # A run that was killed before its first checkpoint begins anew.
    whole = folder is not None and not any((folder / "checkpoints").glob("stage-*"))
    return genzoo.Trainer(model, data, config=config, output_dir=folder, overwrite=whole)


def load(shard_folder):
    return genzoo.load_dataset(shard_folder, streaming=True, window_bytes=WINDOW)


def noting(path):
    """Let each update note the rows of its slots in a file."""
    plain = StageLoop._update

    def update(self, micro_batches, index):
        lines = [
            f"{index} {slot} {shards.numbers_in(batch['x']).tolist()}\n"
            for slot, batch in zip(self.slots, micro_batches, strict=True)
        ]
        with path.open("a") as file:
            file.write("".join(lines))
        return plain(self, micro_batches, index)

    StageLoop._update = update


def start(shard_folder, folder, num_processes, num_workers):
    """Fork the processes of a run, which resumes if it can; return their ids."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(num_processes):
        child = os.fork()
        if child:
            children.append(child)
            continue
        os.setpgid(0, 0)
        code = 1
        try:
            with (folder.parent / f"errors-{rank}.txt").open("w") as errors:
                os.dup2(errors.fileno(), 2)
                os.dup2(errors.fileno(), 1)
            if num_processes > 1:
                os.environ |= {
                    "ACCELERATE_USE_CPU": "true",
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": str(port),
                    "WORLD_SIZE": str(num_processes),
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                }
            noting(folder.parent / "rows.txt")
            run = trainer(load(shard_folder), folder, num_processes, num_workers)
            run.fit(resume=any((folder / "checkpoints").glob("stage-*")))
            leave_group()
            code = 0
        except BaseException:  # noqa: BLE001 - the child has no caller that could tell
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    return children


def end(children, kill_after=None):
    """Wait until all processes end, or kill them after some seconds; return whether all ended."""
    begun, left, codes = time.monotonic(), set(children), []
    while left:
        spent = time.monotonic() - begun
        if spent > (PATIENCE if kill_after is None else kill_after):
            for child in left:
                for target in (os.kill, os.killpg):  # Its worker processes too.
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        target(child, signal.SIGKILL)
            for child in left:
                os.waitpid(child, 0)
            if kill_after is None:
                raise SystemExit(f"it did not end within {PATIENCE:g} s")
            return False
        for child in list(left):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                left.discard(child)
                codes.append(os.waitstatus_to_exitcode(status))
        time.sleep(0.002)
    return not any(codes)


def rows_of(path, order):
    """Check the rows of all updates against the order; return the number of notes."""
    seen = collections.defaultdict(set)
    lines = path.read_text().splitlines()
    for line in lines:
        update, slot, rows = line.split(" ", 2)
        seen[int(update), int(slot)].add(rows)
    size = BATCH // SLOTS
    assert seen.keys() == {(update, slot) for update in range(STEPS) for slot in range(SLOTS)}
    for (update, slot), found in seen.items():
        first = update * BATCH + slot * size
        right = order.indices(range(first, first + size)).tolist()
        assert found == {str(right)}, (update, slot, found, right)
    return len(lines)


def finished(shard_folder, folder, numbers, num_workers):
    """Run a training to its end without a kill; return its seconds and weights."""
    begun = time.monotonic()
    if not end(start(shard_folder, folder, numbers, num_workers)):
        raise SystemExit((folder.parent / "errors-0.txt").read_text()[-2000:])
    return time.monotonic() - begun, genzoo.GenModel.from_pretrained(folder).state_dict()


def check(shard_folder, scratch, num_processes, num_workers, kills, chance):
    """Kill runs until so many kills have come; return the number of runs."""
    order = load(shard_folder).order(genzoo.seeds.derive_seed(0, 0))
    reference = scratch / "reference" / "run"
    reference.parent.mkdir()
    first = num_processes or 1
    seconds, right = finished(shard_folder, reference, first, num_workers)
    rows_of(reference.parent / "rows.txt", order)
    done = runs = 0
    while done < kills:
        folder = scratch / f"{runs}" / "run"
        folder.parent.mkdir()
        while True:
            number = num_processes or chance.choice((1, 2, 4))
            children = start(shard_folder, folder, number, num_workers)
            whole = done >= kills
            if end(children, None if whole else chance.uniform(0, 1.2 * seconds)):
                break
            if whole:
                raise SystemExit((folder.parent / "errors-0.txt").read_text()[-2000:])
            done += 1
        rows_of(folder.parent / "rows.txt", order)
        found = genzoo.GenModel.from_pretrained(folder).state_dict()
        for name, value in right.items():
            if num_processes:
                assert torch.equal(found[name], value), name
            else:
                torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)
        runs += 1
    return runs


def main():
    """Check all numbers of processes and of workers, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4, 0])
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        shard_folder = shards.folder_of(scratch / "shards", SIZES)
        for processes in options.processes:
            for workers in options.workers:
                folder = scratch / f"{processes}-{workers}"
                folder.mkdir()
                chance = random.Random(f"{processes} {workers}")
                runs = check(shard_folder, folder, processes, workers, options.kills, chance)
                shutil.rmtree(folder)
                title = f"{processes} processes" if processes else "1, 2 or 4 processes in turn"
                print(
                    f"{title}, {workers} workers: {options.kills} kills in {runs} runs, with the "
                    "same rows and weights",
                    flush=True,
                )


if __name__ == "__main__":
    main()
