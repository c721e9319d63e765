"""Kill, signal, spoil and hold up one of two processes that train together; judge what is left."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import kills_pair_runs as pairs
import kills_runs as runs
from genzoo.storage import FolderSource, open_model
from genzoo.training import checkpoint
from kills_pair_runs import Plan

SEED = 20_261_130
KINDS = ("SIGKILL", "SIGTERM", "NaN", "slow")
LIMIT = 2.0
"""The group's time limit, in seconds, where a process is slower than it."""
_PATIENCE = 120.0
_LOST = "has lost the others"
_SLOW = "has not answered within the time limit"


@dataclass
class Pair:
    """Two processes that train together.

    Arguments:
        plan: What they do.
        launched: Whether torchrun starts them.
    """

    plan: Plan
    launched: bool = False
    children: list[int] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The folder of what they say."""
        return Path(self.plan.root)

    @contextlib.contextmanager
    def running(self) -> Iterator[socket.socket]:
        """Start them; provide the socket on which they say that they have stopped."""
        self.root.mkdir(parents=True, exist_ok=True)
        for name in ("pid", "code", "said", "kept"):
            for path in self.root.glob(f"{name}-*"):
                path.unlink()
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.plan = replace(self.plan, port=server.getsockname()[1])
            self._launch() if self.launched else self._fork()
            try:
                yield server
            finally:
                self.kill()

    def _fork(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        for rank in range(pairs.NUM):
            child = os.fork()
            if not child:
                names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": pairs.NUM}
                os.environ |= {name: str(value) for name, value in names.items()}
                os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
                _run(self.plan)
            self.children.append(child)

    def _launch(self) -> None:
        plan = self.root / "plan.json"
        plan.write_text(json.dumps(asdict(self.plan)))
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        with (self.root / "launcher").open("w") as file:
            started = subprocess.Popen(
                [sys.executable, *command, pairs.__file__, str(plan)], stdout=file, stderr=file
            )
        self.children.append(started.pid)

    def pid(self, rank: int) -> int:
        """Return the process of a rank."""
        if not self.launched:
            return self.children[rank]
        return int((self.root / f"pid-{rank}").read_text())

    def ended(self) -> bool:
        """Whether all processes have ended, the launcher included."""
        for child in self.children:
            if child not in self.codes:
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid:
                    self.codes[child] = os.waitstatus_to_exitcode(status)
        return len(self.codes) == len(self.children)

    def has_ended(self, rank: int) -> bool:
        """Whether a process has ended."""
        self.ended()
        if not self.launched:
            return self.children[rank] in self.codes
        try:
            text = Path(f"/proc/{self.pid(rank)}/stat").read_text()
        except FileNotFoundError:
            return True
        return text.rpartition(")")[2].split()[0] == "Z"

    def wait(self, holds: Callable[[], bool]) -> bool:
        """Wait until something holds; False if the patience is over before."""
        deadline = time.monotonic() + _PATIENCE
        while not (held := holds()) and time.monotonic() < deadline:
            pause(0.005)
        return held

    def kill(self) -> None:
        """End what is left; only a fault leaves anything."""
        left = [child for child in self.children if child not in self.codes and not self.ended()]
        for rank in range(pairs.NUM) if self.launched and left else ():
            with contextlib.suppress(OSError, ValueError):
                os.kill(self.pid(rank), signal.SIGKILL)
        for child in left:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)

    def code(self, rank: int) -> int | None:
        """Return the exit code of a process; None where a launcher's was killed."""
        if not self.launched:
            return self.codes.get(self.children[rank])
        path = self.root / f"code-{rank}"
        return int(path.read_text()) if path.exists() else None

    def said(self, rank: int) -> str:
        """Return what a process said on standard error."""
        path = self.root / f"said-{rank}"
        return path.read_text() if path.exists() else ""


def _run(plan: Plan) -> None:
    """Run a forked process, and end it."""
    code = 70
    try:
        code = pairs.body(plan)
    except BaseException:  # noqa: BLE001 - it is looked at from outside
        import traceback

        sys.stderr.write(traceback.format_exc())
    finally:
        os._exit(code)


def pause(seconds: float) -> None:
    """Wait, without an alarm."""
    select.select([], [], [], max(seconds, 1e-5))


# References.


@dataclass
class Reference:
    """What two processes come to that nobody disturbs.

    Arguments:
        steps: The contents of the checkpoint after each step.
        final: The digest of what they publish.
    """

    steps: dict[int, dict[str, str]]
    final: str


def reference_of(run: str, scratch: Path) -> Reference:
    """Train undisturbed, with a checkpoint after each step."""
    root = Path(tempfile.mkdtemp(prefix=f"{run}-", dir=scratch))
    straight(Pair(Plan(run, str(root), every=1)))
    folder = root / "run"
    made = [checkpoint.read(path) for path in checkpoint.list_checkpoints(folder / "checkpoints")]
    return Reference({one.step: runs.contents(one) for one in made}, published(folder))


def straight(pair: Pair) -> None:
    """Let two processes come to their end."""
    with pair.running():
        pair.wait(pair.ended)
    codes = [pair.code(rank) for rank in range(pairs.NUM)]
    if codes != [0, 0]:
        raise RuntimeError(f"{codes}: {pair.said(0)[-1500:]}\n{pair.said(1)[-1500:]}")


def published(folder: Path) -> str:
    """Return the digest of the model that a run has published."""
    return runs.digest_of(dict(open_model(FolderSource(folder)).weights.read()))


# One disturbance.


@dataclass
class Outcome:
    """What came of a disturbance.

    Arguments:
        faults: What is wrong.
        seconds: How long it took until all processes had ended.
        saved: The step of the newest checkpoint; -1 for none.
        late: Whether it came too late to change anything.
    """

    faults: list[str]
    seconds: float
    saved: int = -1
    late: bool = False


def disturb(kind: str, pair: Pair, reference: Reference, victim: int, delay: float) -> Outcome:
    """Run two processes, disturb one of them, and go on with what is left.

    Arguments:
        kind: One of `KINDS`.
        pair: The processes.
        reference: The same run, undisturbed.
        victim: The process that is disturbed.
        delay: Seconds from the moment of the plan to a signal.
    """
    with pair.running() as server:
        began = _do(kind, pair, server, victim, delay)
        there = pair.wait(pair.ended)
        seconds = time.monotonic() - began
    if not there:
        states = [pair.has_ended(rank) for rank in range(pairs.NUM)]
        return Outcome([f"not all ended in {_PATIENCE:.0f} s: {states}"], seconds)
    outcome = Outcome([], seconds)
    _check_ends(kind, pair, outcome, victim)
    _check_left(pair, reference, outcome)
    return outcome


def _do(kind: str, pair: Pair, server: socket.socket, victim: int, delay: float) -> float:
    """Wait for the moment of the plan, and disturb; return when."""
    if kind == "NaN":
        # The processes may take as long as they like to come there.
        pair.wait(lambda: any(pair.root.glob("kept-*")) or pair.ended())
        return time.monotonic()
    server.setblocking(False)
    found: list[socket.socket] = []

    def came() -> bool:
        with contextlib.suppress(BlockingIOError):
            found.append(server.accept()[0])
        return bool(found) or pair.ended()

    pair.wait(came)
    began = time.monotonic()
    if not found:
        return began
    with found[0]:
        if kind == "slow":
            _hold_up(pair, 1 - pair.plan.rank, delay)
            return time.monotonic()
        if delay:
            found[0].send(b".")
            pause(delay)
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pair.pid(victim), signal.Signals[kind])
        if kind == "SIGKILL":
            pair.wait(lambda: pair.has_ended(victim))
    return began  # The process that waits goes on: its connection is closed.


def _hold_up(pair: Pair, other: int, delay: float) -> None:
    """Let a process wait while the other waits for it: for so long, or beyond the limit."""
    if delay:
        pause(delay)
    else:
        pair.wait(lambda: pair.has_ended(other))


# What is judged.


def _check_ends(kind: str, pair: Pair, outcome: Outcome, victim: int) -> None:
    """Check exit codes and messages."""
    ranks = range(pairs.NUM)
    codes, said = [pair.code(rank) for rank in ranks], [pair.said(rank) for rank in ranks]
    whole = (pair.root / "run" / "config.json").exists()
    wrong = outcome.faults
    wrong += [f"{r} ended with a traceback: {said[r][-900:]}" for r in ranks if _is_raw(said[r])]
    if codes == [0, 0] and whole:
        outcome.late = kind in ("SIGKILL", "SIGTERM")
        if kind == "NaN" or (kind == "slow" and pair.plan.limit == LIMIT):
            wrong.append("it came to its end")
        return
    if kind == "SIGKILL":
        other = 1 - victim
        outcome.late = codes[other] == 0 and whole
        expected = {2, None} if pair.launched else {2}
        if not outcome.late and (codes[other] not in expected or _LOST not in said[other]):
            wrong.append(f"{other} ended with {codes[other]}: {said[other][-600:]}")
        return
    wanted = {"SIGTERM": 143, "NaN": 2, "slow": 2 if pair.plan.limit == LIMIT else 0}[kind]
    # Once one has failed, torchrun signals the other, which may no longer listen.
    expected = {wanted, None} if pair.launched else {wanted}
    word = {"SIGTERM": "Training was stopped by a signal after", "NaN": "is not finite at step"}
    wrong += [
        f"{r} ended with {codes[r]}, not {wanted}: {said[r][-600:]}"
        for r in ranks
        if codes[r] not in expected or word.get(kind, _LOST) not in said[r]
    ]
    if kind != "slow" and said[0].splitlines()[-1:] != said[1].splitlines()[-1:]:
        wrong.append(f"they say different things: {said[0][-300:]} {said[1][-300:]}")
    if kind == "NaN":
        _check_not_finite(pair, wrong, said[0])
    if kind == "slow" and _SLOW not in said[waits := 1 - pair.plan.rank]:
        wrong.append(f"{waits} does not say that it has waited: {said[waits][-400:]}")


def _is_raw(said: str) -> bool:
    """Whether a process ended in the words of a library."""
    return any(word in said for word in ("Traceback", "terminate called", "Aborted"))


def _check_not_finite(pair: Pair, wrong: list[str], said: str) -> None:
    """Check that no process has updated, and that the last checkpoint is named."""
    kept = [(pair.root / f"kept-{rank}").read_text() for rank in range(pairs.NUM)]
    if kept != ["True", "True"]:
        wrong.append(f"parameters are kept: {kept}")
    there = checkpoint.list_checkpoints(pair.root / "run" / "checkpoints")
    if there and f"The last good checkpoint is {there[-1]}." not in said:
        wrong.append(f"it does not name {there[-1].name}: {said[-400:]}")


def _check_left(pair: Pair, reference: Reference, outcome: Outcome) -> None:
    """Check the newest checkpoint, go on with the run, and compare it with the reference."""
    folder, wrong = pair.root / "run", outcome.faults
    found = checkpoint.list_checkpoints(folder / "checkpoints")
    for path in found:
        if problem := checkpoint.problem_of(path):
            wrong.append(f"{path.name}: {problem}")
        elif runs.contents(made := checkpoint.read(path)) != reference.steps.get(made.step):
            wrong.append(f"{path.name} is not what was trained")
    if found and not wrong:
        outcome.saved = checkpoint.read(found[-1]).step
    resume = (folder / "recipe.toml").exists()
    plan = replace(pair.plan, resume=resume, moment="", fault="", limit=120.0)
    try:
        straight(Pair(plan))
    except RuntimeError as error:
        wrong.append(f"it does not go on: {error}")
        return
    last = checkpoint.read(checkpoint.list_checkpoints(folder / "checkpoints")[-1])
    if published(folder) != reference.final or runs.contents(last) != reference.steps[pairs.STEPS]:
        wrong.append("resumed, it is not the undisturbed run")
