"""Commands in several processes: ``--num-processes``, and groups that a launcher has started."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

from genzoo import launching
from genzoo.cli import ends, texts
from genzoo.errors import ConfigError, TrainingError, counted

_MOST_ON_CPU = 4
"""So many processes are started on the CPU, also with fewer cores."""
_EVERY = 0.1
"""Seconds between two looks whether the processes are there."""


@contextlib.contextmanager
def entered(arguments: Any, words: Sequence[str]) -> Iterator[None]:
    """Run a command in as many processes as its arguments say; the first one prints.

    If ``--num-processes`` asks for more than one, and no launcher has started them, they are
    started, and the exit code is theirs.

    Arguments:
        arguments: The parsed arguments, with ``num_processes``.
        words: The command and its arguments as they were given.

    Raises:
        ConfigError: Another number of processes was started, or so many cannot be.
        SystemExit: Processes were started, and have ended.
    """
    ends.listen()
    launching.join()
    size, num = launching.size_of(), arguments.num_processes
    if num is not None and size > 1 and num != size:
        raise ConfigError(
            f"--num-processes is {num}, and this is one of {size} processes that a launcher has "
            "started already. Leave --num-processes out."
        )
    if num is not None and num > size:
        _check(arguments, num)
        sys.exit(_launch(words, num))
    with contextlib.ExitStack() as quiet:
        if not launching.is_main():
            quiet.enter_context(_quiet())
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Print nothing, and log errors only: the first process says what the others would."""
    logger = logging.getLogger("genzoo")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            open(os.devnull, "w", encoding="utf-8") as nothing,
            contextlib.redirect_stdout(nothing),
        ):
            yield
    finally:
        logger.setLevel(level)


def _check(arguments: Any, num: int) -> None:
    """Raise ConfigError if the machine or the batch has too few parts for the processes."""
    import torch

    from genzoo.training.batches import BatchPartition

    cores = os.cpu_count() or 1
    device = torch.accelerator.current_accelerator(check_available=True)
    on_cpu = device is None or device.type == "mps" or getattr(arguments, "device", "") == "cpu"
    if on_cpu and num > max(cores, _MOST_ON_CPU):
        raise ConfigError(
            f"--num-processes is {num}, and this machine has {counted(cores, 'core')}. Use at "
            f"most {max(cores, _MOST_ON_CPU)} processes."
        )
    if not on_cpu and num > (found := torch.accelerator.device_count()):
        raise ConfigError(
            f"--num-processes is {num}, and this machine has {counted(found, 'accelerator')}. Use "
            "at most one process for each, or hide them to use the CPU: CUDA_VISIBLE_DEVICES=."
        )
    trainer = getattr(arguments, "trainer", None)
    if trainer is not None and trainer.batch_size:
        BatchPartition(trainer.batch_size, trainer.num_micro_batches, num, 0)


def _launch(words: Sequence[str], num: int) -> int:
    """Run a command in new processes, say how they ended, and return the exit code."""
    texts.flush()  # Before what the processes write.
    with tempfile.TemporaryDirectory(prefix="genzoo-") as folder:
        with _passing_signals_on(num), _without_logs():
            codes = _started(words, num, Path(folder))
        code, text = ends.verdict(ends.read(Path(folder)), codes)
    sys.stderr.write(text)
    return code


def _started(words: Sequence[str], num: int, folder: Path) -> Mapping[int, int]:
    """Run Accelerate's launcher, and return the exit codes of processes that failed.

    Raises:
        TrainingError: They could not be started.
    """
    from accelerate.commands.launch import multi_gpu_launcher
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    given = _launcher_arguments(words, num)
    given.log_dir = str(folder)
    try:
        # Not `launch_command`, which would read the user's `accelerate config`.
        with mock.patch.dict(os.environ, {ends.FOLDER: str(folder)}):
            multi_gpu_launcher(given)
    except ChildFailedError as failed:
        return {rank: failure.exitcode for rank, failure in failed.failures.items()}
    except SignalException as ended:  # Of a signal that is not passed on, such as SIGHUP.
        return {0: -ended.sigval}
    except (RuntimeError, OSError) as error:
        raise TrainingError(f"The processes cannot be started: {error}") from error
    return {}


def _launcher_arguments(words: Sequence[str], num: int) -> Any:
    """Return the arguments of `accelerate launch` for a command of genzoo."""
    from accelerate.commands.launch import launch_command_parser

    # A command does not have the current folder in its path; `python -m` would add it.
    alone = [] if sys.path[0] in ("", os.getcwd()) else ["-P"]
    command = [sys.executable, *alone, "-m", "genzoo", *words]
    threads = os.environ.get("OMP_NUM_THREADS") or max(1, (os.cpu_count() or 1) // num)
    flags = {
        "--num_processes": num,
        "--num_machines": 1,
        "--main_process_port": 0,  # Any that is free.
        "--mixed_precision": "no",
        "--dynamo_backend": "no",
        "--num_cpu_threads_per_process": threads,
    }
    pairs = [str(word) for pair in flags.items() for word in pair]
    # The launcher replaces ${local_rank} in arguments, and $$ by $.
    escaped = [word.replace("$", "$$") for word in command]
    return launch_command_parser().parse_args(["--multi_gpu", *pairs, "--no_python", *escaped])


@contextlib.contextmanager
def _without_logs() -> Iterator[None]:
    """Drop the launcher's logs: a table of exit codes, and lines on signals."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _passing_signals_on(num: int) -> Iterator[None]:
    """Pass Ctrl-C and SIGTERM on to the processes, and wait for them as long as they need.

    The launcher's own handlers would kill them after 30 seconds, and a second Ctrl-C would leave
    them alone; it cannot set them here.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
    set_handler = signal.signal

    def note(signum: int, frame: FrameType | None) -> None:
        arrived.put(signum)

    def set_other(signum: int, handler: Any) -> Any:
        return note if signum in ends.PASSED_ON else set_handler(signum, handler)

    before = {signum: signal.signal(signum, note) for signum in ends.PASSED_ON}
    thread = threading.Thread(target=_pass_on, args=(num, arrived), daemon=True)
    try:
        with mock.patch.object(signal, "signal", set_other), _blocked():
            thread.start()
            yield
    finally:
        arrived.put(0)
        thread.join()
        for signum, handler in before.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)


@contextlib.contextmanager
def _blocked() -> Iterator[None]:
    """Block both signals in this thread, and so in the processes that it starts.

    Otherwise they would end with a traceback while Python starts; see `ends.listen`. This process
    receives the signals in the thread that passes them on.
    """
    if not hasattr(signal, "pthread_sigmask"):  # It does not exist on Windows.
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ends.PASSED_ON)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pass_on(num: int, arrived: queue.SimpleQueue[int]) -> None:
    """Send each signal that arrives to all processes, once they are there; 0 ends this."""
    import psutil  # It comes with Accelerate.

    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends.PASSED_ON)
    this = psutil.Process()
    while signum := arrived.get():
        while len(this.children()) < num and arrived.empty():
            time.sleep(_EVERY)
        for child in this.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(signum)
