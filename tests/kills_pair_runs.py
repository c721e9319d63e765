"""Runs of two processes: what each process does, and where it tells the harness that it has come.

    torchrun --nproc-per-node 2 tests/kills_pair_runs.py PLAN

PLAN is a file of what `Plan` says. `tests/kills_pairs.py` forks the processes, or starts torchrun.
"""

import dataclasses
import datetime
import functools
import gc
import importlib
import json
import math
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import families
import genzoo
from genzoo import cli
from genzoo.objective import Loss
from genzoo.training import accelerating, checkpoint, session, state, trainer
from genzoo.training.held_out import HeldOut
from genzoo.training.sharding import gathering, units
from genzoo.training.sharding.tensors import part_of
from genzoo.training.updater import Updater
from kills_runs import digest_of

STEPS = 12
NUM = 2


@dataclass(frozen=True)
class Plan:
    """What two processes do, and what happens to them.

    Arguments:
        run: The name of the run.
        root: The folder of the run, in "run", and of what the processes say.
        every: Updates between checkpoints.
        resume: Whether to go on with the run.
        moment: Where a process stops, and tells the harness; empty for nowhere.
        rank: Which process stops.
        nth: The number of times that it comes there.
        fault: "loss" or "gradient": what is not finite there.
        limit: The time limit of the group, in seconds.
        port: Where the harness listens.
    """

    run: str
    root: str
    every: int = 3
    resume: bool = False
    moment: str = ""
    rank: int = 0
    nth: int = 1
    fault: str = ""
    limit: float = 120.0
    port: int = 0


def game(folder: Path, every: int, shard: str = "none") -> genzoo.Trainer:
    """Two players with batch statistics, a schedule, an average, and the best weights."""
    torch.manual_seed(rank())  # The first process's weights are trained.
    model = genzoo.create_model("toy-gan", event=genzoo.Real(shape=(4,)))
    rows = families.GAN.example()[1]["x"]
    config = genzoo.TrainerConfig(
        lr_scheduler="linear",
        warmup_steps=3,
        ema_decay=0.8,
        metric_for_best_model="generator/loss",
        shard=shard,
        **_common(every, 4),
    )
    return genzoo.Trainer(model, rows, config=config, eval_data=rows, output_dir=folder)


def chains(folder: Path, every: int) -> genzoo.Trainer:
    """A machine of which each process has its own chains."""
    torch.manual_seed(rank())
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=6)
    config = genzoo.TrainerConfig(
        optimizers={"model": {"config": {"momentum": 0.5}}}, **_common(every, 10)
    )
    data = genzoo.load_dataset("digits", binarize="dynamic")
    held_out = torch.ones(20, 1, 8, 8)
    return genzoo.Trainer(model, data, config=config, eval_data=held_out, output_dir=folder)


def _common(every: int, batch_size: int) -> dict[str, Any]:
    return {
        "max_steps": STEPS,
        "batch_size": batch_size,
        "save_steps": every,
        "save_total_limit": 99 if every == 1 else 2,
        "eval_steps": 4,
        "logging_steps": 5,
        "threads": 1,
        "progress": False,
    }


RUNS: dict[str, Callable[[Path, int], genzoo.Trainer]] = {
    "game": game,
    "chains": chains,
    "sharded": functools.partial(game, shard="auto"),
}


def rank() -> int:
    """Return the number of this process."""
    return int(os.environ.get("RANK", "0"))


def warm_up(scratch: Path) -> None:
    """Import, before processes are forked, what a training imports meanwhile."""
    for module in ("torch.distributed.nn.functional", "torch.distributed.fsdp"):
        importlib.import_module(module)
    for name in ("game", "chains"):
        RUNS[name](scratch / f"warm-{name}", STEPS).fit()
    gc.freeze()  # A collection in a forked process would copy all of this.


# One process.


def body(plan: Plan) -> int:
    """Train as the command does; return the exit code, which is also written down."""
    root = Path(plan.root)
    with (root / f"said-{rank()}").open("w", buffering=1) as file:
        os.dup2(file.fileno(), 2)  # What libraries written in C++ say, too.
        sys.stderr = file
    sys.stderr = os.fdopen(2, "w", buffering=1)
    _write(root / f"pid-{rank()}", str(os.getpid()))
    _prepare(plan)
    cli._run = lambda arguments: _fitted(plan)
    try:
        cli.main(["train"])
        code = 0
    except SystemExit as left:
        code = int(left.code or 0)
    accelerating.leave_group()
    _write(root / f"code-{rank()}", str(code))
    return code


def _fitted(plan: Plan) -> int:
    RUNS[plan.run](Path(plan.root, "run"), plan.every).fit(resume=plan.resume)
    return 0


def _write(path: Path, text: str) -> None:
    """Write a file that is whole or not there."""
    partial = path.with_suffix(".part")
    partial.write_text(text)
    partial.replace(path)


def _prepare(plan: Plan) -> None:
    """Let everything be sharded, limit the group's time, and stop where the plan says."""
    torch.set_num_threads(1)
    units.AUTO = 1
    start = torch.distributed.init_process_group
    limit = datetime.timedelta(seconds=plan.limit)
    torch.distributed.init_process_group = lambda *given, **named: start(
        *given, **{**named, "timeout": limit}
    )
    moments = Moments(plan)
    if plan.fault:
        _put_fault(plan, moments)
    elif plan.moment and plan.rank == rank():
        owner, attribute = PLACES[plan.moment]
        setattr(owner, attribute, moments.before(getattr(owner, attribute)))


PLACES: dict[str, tuple[Any, str]] = {
    "start": (trainer, "train"),
    "forward": (Updater, "_advance"),
    "update": (Updater, "_move"),
    "evaluation": (HeldOut, "_losses"),
    "states": (state, "gather_object"),
    "gather": (gathering, "gathered"),
    "saving": (checkpoint, "write_text"),
    "publishing": (session, "save_model"),
}
"""The functions before which a process may stop."""


class Moments:
    """Counts how often this process comes to a place, and stops there once."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.count = plan, 0

    def come(self) -> bool:
        """Whether this is the time that the plan means."""
        self.count += 1
        return self.count == self.plan.nth

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, with a stop before it."""

        @functools.wraps(function)
        def stopping(*arguments: Any, **named: Any) -> Any:
            if self.come():
                stop(self.plan.port)
            return function(*arguments, **named)

        return stopping


def stop(port: int) -> None:
    """Tell the harness that this process has come, and wait until it says to go on."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.recv(1)


# What is not finite.


def _put_fault(plan: Plan, moments: Moments) -> None:
    """Let a loss or a gradient be not finite on one process, in one move."""
    original = Updater._advance

    def advance(self: Updater, games: Any, index: int, move: int, leaving: bool) -> list[Loss]:
        if moments.come():
            if plan.rank == rank():
                games = {slot: _spoiled(game, plan.fault) for slot, game in games.items()}
            _watch(self, Path(plan.root))
        return original(self, games, index, move, leaving)

    Updater._advance = advance


def _spoiled(game: Iterator[Loss], fault: str) -> Iterator[Loss]:
    """Yield the losses of a game, with values or gradients that are not finite."""
    for loss in game:
        if fault == "loss":
            yield dataclasses.replace(loss, value=loss.value * math.nan)
        else:
            yield _with_gradient(loss)


def _with_gradient(loss: Loss) -> Loss:
    given = {p: gradient * math.nan for p, gradient in (loss.gradients or {}).items()}
    value = loss.value
    if value.requires_grad:
        value = value.clone()
        value.register_hook(lambda gradient: gradient * math.nan)
    return dataclasses.replace(loss, value=value, gradients=given or loss.gradients)


def _watch(updater: Updater, root: Path) -> None:
    """Write down whether the parameters are still the same when the update has failed."""
    before, move = _parameters(updater), updater._move

    def watched(*arguments: Any, **named: Any) -> Any:
        try:
            return move(*arguments, **named)
        finally:
            _write(root / f"kept-{rank()}", str(_parameters(updater) == before))

    updater._move = watched


def _parameters(updater: Updater) -> str:
    found: dict[str, Tensor] = {
        f"{name} {number}": part_of(parameter)
        for name, player in updater.players.items()
        for number, parameter in enumerate(player.parameters)
    }
    return digest_of(found)


if __name__ == "__main__":
    sys.exit(body(Plan(**json.loads(Path(sys.argv[1]).read_text()))))
