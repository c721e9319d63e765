"""Tests in forks of one process that has imported what is heavy, and nothing that is mutated."""

import contextlib
import gc
import json
import os
import select
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mutation.mutants import Mutant

HEAVY = (
    *("numpy", "torch", "pytest", "hypothesis", "huggingface_hub", "accelerate", "PIL.Image"),
    *("safetensors.torch", "tyro", "jinja2", "scipy.stats", "sklearn.datasets", "datasets"),
    *("sklearn.linear_model", "sklearn.neighbors", "matplotlib.pyplot", "torchmetrics"),
    *("transformers", "diffusers", "zuko"),
)


def prepare(root: Path) -> None:
    """Go to the tree, let its packages be found first, and import what is heavy.

    The tests' Hub has its address before anything imports the client, as in the root conftest.
    """
    paths = [str(root), *map(str, sorted(root.glob("plugins/*")))]
    os.chdir(root)
    sys.path[:0] = paths
    sys.dont_write_bytecode = True
    os.environ.update(PYTHONPATH=os.pathsep.join(paths), PYTHONDONTWRITEBYTECODE="1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # A fork ends without cleaning up, so it must not fill the folder in memory of the conftest.
    os.environ.setdefault("TMPDIR", tempfile.gettempdir())
    _name_hub(root / "tests")
    for name in HEAVY:
        with contextlib.suppress(ImportError):
            __import__(name)
    if ours := sorted(name for name in sys.modules if name.partition("_")[0] == "genzoo"):
        raise RuntimeError(f"{ours[0]} is imported already, so a mutant of it would not be seen.")
    gc.collect()
    gc.freeze()  # Each fork would go through all that was imported, and so copy it.


def _name_hub(tests: Path) -> None:
    """Bind the Hub that the first conftest of a fork takes, and name it to the client."""
    if not (tests / "hub_server").is_dir():
        return
    sys.path.insert(0, str(tests))
    import hub_server

    make, first = hub_server.HubServer, hub_server.HubServer()
    os.environ.update(HF_ENDPOINT=first.url, HF_HUB_DISABLE_PROGRESS_BARS="1")
    os.environ.update(HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_UPDATE_CHECK="1")
    left = [first]
    hub_server.HubServer = lambda: left.pop() if left else make()


def forked(work: Callable[[], Any], timeout: float) -> Any:
    """Return what ``work`` gives in a fork, as JSON can hold it; None where it dies or is late."""
    ends = time.monotonic() + timeout
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _answer(work, write)
    os.close(write)
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    try:
        told = b"".join(_parts(read, ends))
    finally:  # Where this process is interrupted too, the fork goes, with all that it has started.
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read)
    with contextlib.suppress(ValueError):
        return json.loads(told)
    return None


def _parts(read: int, ends: float) -> Iterator[bytes]:
    """Yield what comes through a pipe, up to its end or a moment."""
    while (left := ends - time.monotonic()) > 0 and select.select([read], [], [], left)[0]:
        part = os.read(read, 2**20)
        if not part:
            return
        yield part


def _answer(work: Callable[[], Any], write: int) -> None:
    """Do the work in silence, write what it gives, and end this process."""
    os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    try:
        found = json.dumps(work()).encode()
        with os.fdopen(write, "wb") as pipe:
            pipe.write(found)
    finally:
        os._exit(0)


class _Late(Exception):
    """A test took too long."""


class _Watch:
    """A pytest plugin that chooses, orders and times tests, and tells coverage which one runs."""

    def __init__(self, order: list[str] | None, seconds: float, tracer: Any = None) -> None:
        self.places = None if order is None else {name: i for i, name in enumerate(order)}
        self.seconds, self.tracer = seconds, tracer
        self.tests: dict[str, list[Any]] = {}
        self.failed: list[str] = []
        self.current = ""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        if self.places is not None:
            items[:] = [item for item in items if item.nodeid in self.places]
            items.sort(key=lambda item: self.places[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.current = nodeid
        if self.tracer is not None:
            self.tracer.switch_context(nodeid)
        signal.signal(signal.SIGALRM, self._late)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Any:
        """Put down what a fixture of several tests runs to their whole file."""
        if self.tracer is None or fixturedef.scope == "function":
            return (yield)
        self.tracer.switch_context(f"{self.current.split('::')[0]}::")
        try:
            return (yield)
        finally:
            self.tracer.switch_context(self.current)

    def pytest_runtest_logfinish(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _late(self, *_: object) -> None:
        raise _Late

    def pytest_runtest_logreport(self, report: Any) -> None:
        entry = self.tests.setdefault(report.nodeid, [0.0, "passed"])
        entry[0] = round(entry[0] + report.duration, 3)
        if report.outcome != "passed":
            entry[1] = report.outcome
        if report.outcome == "failed":
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        if report.outcome == "failed":
            self.failed.append(f"collecting {report.nodeid}")


def _pytest(files: list[str], watch: _Watch, *options: str) -> int:
    import torch

    torch.set_num_threads(1)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # To look for plugins takes a second.
    return int(pytest.main([*options, "-p", "no:cacheprovider", *files], [watch]))


def run_tests(order: list[str], seconds: float) -> dict[str, Any]:
    """Run tests up to the first that fails; for a fork.

    Returns:
        Which failed, and pytest's exit code.
    """
    watch = _Watch(order, seconds)
    files = list(dict.fromkeys(name.split("::")[0] for name in order))
    code = _pytest(files, watch, "-x")
    return {"failed": watch.failed, "code": code}


def cover(file: str, root: Path, sources: list[str], seconds: float) -> dict[str, Any]:
    """Run the tests of a file with coverage; for a fork.

    Returns:
        Each test's seconds and outcome, and for each source the tests of each line.
    """
    import coverage

    tracer = coverage.Coverage(data_file=None, include=[str(root / name) for name in sources])
    watch = _Watch(None, seconds, tracer)
    tracer.start()
    _pytest([file], watch)
    tracer.stop()
    data = tracer.get_data()
    lines: dict[str, dict[int, list[str]]] = defaultdict(dict)
    for path in data.measured_files():
        for line, tests in data.contexts_by_lineno(path).items():
            lines[str(Path(path).relative_to(root))][line] = sorted({*tests} - {""})
    return {"tests": watch.tests, "lines": lines}


@contextlib.contextmanager
def inside(root: Path, mutant: Mutant) -> Iterator[None]:
    """Put a mutant into the tree for a while.

    Its time is its own, so that no compiled file of the sound one passes for it.
    """
    path = root / mutant.file
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(mutant.applied(content))
    os.utime(path, (before.st_atime + 1000, before.st_mtime + 1000))
    try:
        yield
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
