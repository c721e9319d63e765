"""The Hub of the tests. It has its address before anything imports huggingface_hub.

The client reads its settings once, when it is imported. So this file, which pytest reads first,
binds the Hub's address and names it; nothing listens there until a test asks for the `hub`, and
no test can reach another Hub, nor the user's cache and token.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub_server import HubServer

MEMORY = Path("/dev/shm")
# In memory, small files take a thirtieth of their time. 4 GiB are several times what tests leave.
# Set TMPDIR to keep what a failed test has left.
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2**32:
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="genzoo-", dir=MEMORY)
    atexit.register(shutil.rmtree, tempfile.tempdir, ignore_errors=True)
HOME = tempfile.mkdtemp(prefix="hub-home-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
SERVER = HubServer()
SETTINGS = {
    "HF_ENDPOINT": SERVER.url,
    "HF_HOME": HOME,
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
}
"""What the client is told of this Hub; the tests' own processes are told the same."""
SLOW_FILES = (
    "test_processes.py",
    "test_hostile.py",
    "test_packaging.py",
    "test_docs.py",
    "test_readme.py",
    "test_scaffold.py",
    "test_isolation.py",
    "test_ppca.py",
    "test_conformance.py",
)
"""Files of tests that take half a minute or more; they start first, so that none is left alone at
the end while the other processor waits."""
os.environ.update(SETTINGS)
# The suite starts more than a hundred processes: without compiled files each would compile the
# package again, which takes as long as a test.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Nothing here outlives the machine, and thousands of files would wait for the disk.
# test_durability.py records what is synced, and in which order.
os.fsync = lambda handle: None
for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_XET_CACHE", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_XET"):
    os.environ.pop(name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow files first; otherwise the order stays."""
    items.sort(key=lambda item: item.path.name not in SLOW_FILES)


@pytest.fixture(autouse=True)
def logger_as_before() -> Iterator[None]:
    """Undo what a command of the test sets: a handler of its stderr, and the level."""
    logger = logging.getLogger("genzoo")
    before = list(logger.handlers), logger.level
    yield
    logger.handlers[:], logger.level = before
    logger.manager._clear_cache()


@pytest.fixture(scope="session")
def listening_hub() -> Iterator[HubServer]:
    """The Hub, which listens from its first use to the end."""
    SERVER.start()
    yield SERVER
    SERVER.stop()


@pytest.fixture
def client_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds for which the client waited between its tries, which it does not here."""
    waits: list[float] = []
    clock: Any = types.ModuleType("time")
    vars(clock).update(vars(time))
    clock.sleep = waits.append
    for module in ("utils._http", "file_download"):
        monkeypatch.setattr(f"huggingface_hub.{module}.time", clock)
    return waits


@pytest.fixture
def hub(
    listening_hub: HubServer,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    client_waits: list[float],
) -> Iterator[HubServer]:
    """An empty Hub without Xet, for a client with an empty cache, who is signed in as ada."""
    _told_of(listening_hub)
    listening_hub.reset()
    cache = tmp_path_factory.mktemp("hub-cache")
    _settings(monkeypatch, HF_HUB_CACHE=str(cache / "hub"), HF_XET_CACHE=str(cache / "xet"))
    _settings(monkeypatch, HF_HUB_DISABLE_XET=True)
    monkeypatch.setenv("HF_TOKEN", "hf_ada")
    yield listening_hub
    errors = list(listening_hub.errors)
    listening_hub.reset()
    assert not errors, "\n".join(errors)


@pytest.fixture
def xet_hub(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The same with Xet, which hf_xet keeps in a folder."""
    if reason := _why_no_xet(hub):
        pytest.skip(reason)
    hub.xet = True
    _settings(monkeypatch, HF_HUB_DISABLE_XET=False)
    monkeypatch.setattr("huggingface_hub.utils._xet.XET_CONNECTION_INFO_CACHE", {})
    return hub


@pytest.fixture
def hub_environment(hub: HubServer, tmp_path: Path) -> dict[str, str]:
    """The environment of a user's process: this Hub, an empty home, and no other setting."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    home = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_ada"}
    return {**kept, **home, "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(params=["lfs", "xet"])
def either_hub(request: pytest.FixtureRequest, hub: HubServer) -> Iterator[HubServer]:
    """The Hub without Xet and with it; to be asked for nothing that it does not know of."""
    if request.param == "xet":
        request.getfixturevalue("xet_hub")
    yield hub
    assert {asked.path for asked in hub.unknown} <= {"/api/agent-harnesses"}


@pytest.fixture
def client_environment(either_hub: HubServer, hub_environment: dict[str, str]) -> dict[str, str]:
    """The environment of another client, to which that Hub's way with large files is known."""
    return hub_environment | ({} if either_hub.xet else {"HF_HUB_DISABLE_XET": "1"})


def _told_of(hub: HubServer) -> None:
    """Fail where the client was imported too early to be told of the Hub."""
    from huggingface_hub import constants

    if hub.url != constants.ENDPOINT:
        pytest.fail(
            "huggingface_hub was imported before the root conftest.py: its Hub is "
            f"{constants.ENDPOINT}. Run pytest from the repository's root."
        )


def _settings(monkeypatch: pytest.MonkeyPatch, **values: str | bool) -> None:
    """Change the client's settings, here and for processes that the test starts."""
    for name, value in values.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        monkeypatch.setenv(name, str(value))


_XET: dict[str, str] = {}


def _why_no_xet(hub: HubServer) -> str:
    """Return why hf_xet cannot keep its chunks in a folder; empty where it can."""
    if "reason" not in _XET:
        from hub_server import Blob

        try:
            hub.cas.hash_of(Blob(b"does it work?", large=True))
            _XET["reason"] = ""
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            _XET["reason"] = f"hf_xet takes no folder for a storage: {error!r}"
    return _XET["reason"]
