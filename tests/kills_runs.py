"""Runs that are killed: what they train, what they tell meanwhile, what must be left of them."""

import contextlib
import functools
import hashlib
import json
import mmap
import os
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

import families
import genzoo
from genzoo import GenModel, GenzooError, cli, saving
from genzoo.training import checkpoint, session

STEPS = 100
Make = Callable[..., genzoo.Trainer]


def game(folder: Path | None, steps: int, every: int) -> genzoo.Trainer:
    """Two players with batch statistics, a schedule and an average."""
    torch.manual_seed(0)
    model = genzoo.create_model("toy-gan", event=genzoo.Real(shape=(4,)))
    config = genzoo.TrainerConfig(
        lr_scheduler="linear", warmup_steps=3, ema_decay=0.8, **_common(steps, every, 4)
    )
    return genzoo.Trainer(model, families.GAN.example()[1]["x"], config=config, output_dir=folder)


def chains(folder: Path | None, steps: int, every: int) -> genzoo.Trainer:
    """A machine with persistent chains, on rows that are drawn at each presentation."""
    torch.manual_seed(0)
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=6)
    config = genzoo.TrainerConfig(
        optimizers={"model": {"config": {"momentum": 0.5}}}, **_common(steps, every, 10)
    )
    data = genzoo.load_dataset("digits", binarize="dynamic")
    return genzoo.Trainer(model, data, config=config, output_dir=folder)


def _common(steps: int, every: int, batch_size: int) -> dict:
    return {
        "max_steps": steps,
        "batch_size": batch_size,
        "save_steps": every,
        "logging_steps": 1,
        "threads": 1,  # Another number would sum in another order.
        "progress": False,
    }


RUNS: dict[str, Make] = {"game": game, "chains": chains}


# What is compared.


def digest_of(tensors: dict[str, Tensor]) -> str:
    """Return what tells tensors from any others, bit for bit."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def contents(made: checkpoint.Checkpoint) -> dict[str, str]:
    """Return a digest of each part of a checkpoint.

    The length of the log is left out: what it says of speed has as many digits as it happens.
    """
    parts = {name: digest_of(dict(tensors)) for name, tensors in made.tensors.items()}
    values = {k: v for k, v in made.values.items() if k != "metrics_offset"}
    text = json.dumps(values, sort_keys=True)
    return {**parts, "values": hashlib.sha256(text.encode()).hexdigest()}


@dataclass
class Reference:
    """What an uninterrupted run comes to.

    Arguments:
        steps: The contents of its checkpoint after each step.
        final: The digest of what it publishes.
    """

    steps: dict[int, dict[str, str]] = field(default_factory=dict)
    final: str = ""


@functools.cache
def reference_of(make: Make) -> Reference:
    """Train without an interruption, keeping what a checkpoint after each step would hold."""
    found, original = Reference(), checkpoint.save

    def note(made: checkpoint.Checkpoint, root: Path, *, keep: int) -> Path:
        found.steps[made.step] = contents(made)
        return checkpoint.path_of(made.stage, made.step, root)

    checkpoint.save = note
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = make(Path(folder, "run"), STEPS, 1).fit()
        found.final = digest_of(model.state_dict())
    finally:
        checkpoint.save = original
    return found


# What runs in a process of its own.


class Board:
    """Whole numbers that a process writes, and that are still there once it is killed."""

    FIELDS = ("phase", "saving", "saved", "publishing", "published")

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, 8 * len(self.FIELDS))
        self.clear()

    def clear(self) -> None:
        """Say that nothing has been done: −1 is not a step."""
        for name in self.FIELDS:
            self[name] = 0 if name == "phase" else -1

    def __setitem__(self, name: str, value: int) -> None:
        struct.pack_into("q", self._map, 8 * self.FIELDS.index(name), value)

    def __getitem__(self, name: str) -> int:
        return struct.unpack_from("q", self._map, 8 * self.FIELDS.index(name))[0]


TRAINING, CHECKPOINT, MODEL = range(3)


def started(body: Callable[[Callable[[], None]], int], errors: Path) -> int:
    """Fork a process that runs ``body``; return its number once it calls what it is given.

    What ``body`` returns is the process's exit code.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        return child
    code = 70
    try:
        os.close(reader)
        with errors.open("w", buffering=1) as file:
            sys.stderr = file
            code = body(lambda: os.write(writer, b"."))
    except KeyboardInterrupt:
        code = 130  # As Python itself ends then.
    except BaseException:  # noqa: BLE001 - it is looked at from outside
        import traceback

        errors.write_text(traceback.format_exc())
    finally:
        os._exit(code)


def save_often(make: Make, folder: Path, board: Board, ready: Callable[[], None]) -> int:
    """Go on with a run that writes a checkpoint and a model after each step.

    The model is in one file after even steps, and in several after odd ones.
    """
    run, original = make(folder, STEPS, 1), checkpoint.save

    def save(made: checkpoint.Checkpoint, root: Path, *, keep: int) -> Path:
        board["saving"], board["phase"] = made.step, CHECKPOINT
        path = original(made, root, keep=keep)
        board["saved"], board["publishing"], board["phase"] = made.step, made.step, MODEL
        saving.MAX_SHARD_SIZE = "1KB" if made.step % 2 else "5GB"
        run.model.save_pretrained(folder / "published")
        board["published"], board["phase"] = made.step, TRAINING
        return path

    checkpoint.save = save
    with _telling(ready):
        run.fit(resume=(folder / "recipe.toml").exists())
    return 0


def as_a_command(make: Make, folder: Path, ready: Callable[[], None]) -> int:
    """Train as the command does, with its exit codes."""
    cli._run = lambda arguments: _fitted(make, folder, ready)
    try:
        cli.main(["train"])
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def _fitted(make: Make, folder: Path, ready: Callable[[], None]) -> int:
    with _telling(ready):
        make(folder, STEPS, 10).fit()
    return 0


@contextlib.contextmanager
def _telling(ready: Callable[[], None]) -> Iterator[None]:
    """Call ``ready`` as soon as `Trainer.fit` listens to signals."""
    original = session.listening

    @contextlib.contextmanager
    def listening() -> Iterator[object]:
        with original() as interrupts:
            ready()
            yield interrupts

    session.listening = listening
    try:
        yield
    finally:
        session.listening = original


# What must be left.


@dataclass
class Left:
    """What stood in a run's folder before a kill, and what is wrong with it after one.

    Arguments:
        folder: The run's folder.
        reference: The same run, uninterrupted.
        step: The newest good checkpoint; −1 for none.
        published: Of which step the published model is; −1 for none.
        passed: How many checkpoints were found incomplete, and taken for no checkpoint.
    """

    folder: Path
    reference: Reference
    step: int = -1
    published: int = -1
    passed: int = 0

    def check(self, board: Board) -> list[str]:
        """Return what is wrong after a kill, and note where the run stands now."""
        return [*self._check_checkpoints(board), *self._check_published(board)]

    def _check_checkpoints(self, board: Board) -> list[str]:
        root, faults = self.folder / "checkpoints", []
        for path in checkpoint.list_checkpoints(root):
            if checkpoint.problem_of(path):
                self.passed += 1
            elif contents(made := checkpoint.read(path)) != self.reference.steps.get(made.step):
                faults.append(f"{path.name} is taken for whole, and is not what was trained")
        allowed = {board["saved"] if board["saved"] >= 0 else self.step}
        if board["phase"] == CHECKPOINT:
            allowed.add(board["saving"])
        found = checkpoint.load_newest(root)
        self.step = -1 if found is None else found[1].step
        if self.step not in allowed:
            faults.append(f"the newest checkpoint is of step {self.step}, not of {allowed}")
        if left := [path.name for path in root.glob(".*")]:
            faults.append(f"{left[0]} stays")
        return faults

    def _check_published(self, board: Board) -> list[str]:
        allowed = {board["published"] if board["published"] >= 0 else self.published}
        if board["phase"] == MODEL:
            allowed |= {board["publishing"], -1}
        try:
            model = GenModel.from_pretrained(self.folder / "published")
        except GenzooError:
            self.published = -1
            return [] if -1 in allowed else [f"no published model, not of {allowed}"]
        found = digest_of(model.state_dict())
        of = [step for step in allowed if step >= 0 and self._weights(step) == found]
        self.published = of[0] if of else -1
        return [] if of else [f"the published model is that of no step of {allowed}"]

    def _weights(self, step: int) -> str:
        return self.reference.steps[step]["model"]


def check_signalled(make: Make, folder: Path, code: int, signum: int, twice: bool) -> list[str]:
    """Return what is wrong after a signal: exit code, checkpoint, and what going on comes to."""
    reference, found = reference_of(make), checkpoint.load_newest(folder / "checkpoints")
    whole = (folder / "config.json").exists()
    at_once = twice and signum == 2  # A second Ctrl-C: nothing more is written.
    faults = []
    # A second signal may come when the run has left and no longer listens.
    ends = {128 + signum, *([0] if whole else []), *([-signum] if twice else [])}
    if code not in ends:
        faults.append(f"it ended with {code}, not with {ends}")
    if found is None and not at_once:
        faults.append("there is no checkpoint")
    # That of step 0 is written by who leaves before the first step, and nobody else.
    step = 0 if found is None else found[1].step
    if found is not None and step and contents(found[1]) != reference.steps.get(step):
        faults.append(f"the checkpoint of step {step} is not what was trained")
    resume = (folder / "recipe.toml").exists()
    model = make(folder, STEPS, 10).fit(resume=resume)
    if digest_of(model.state_dict()) != reference.final:
        faults.append("resumed, it is not the uninterrupted run")
    return faults
