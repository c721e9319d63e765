"""One thread: on busy cores more of them are slower, and sums keep their order."""

import sys
from pathlib import Path

import pytest
import torch

import installs
from genzoo import groups, registry

# Looked through for doctests, what registers models would be imported a second time.
collect_ignore = [
    path.name for path in Path(__file__).parent.glob("*.py") if not path.name.startswith("test_")
]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def forgetting():
    """Forget afterwards what a test has installed, registered or imported."""
    modules, local, opened = set(sys.modules), dict(registry._local), dict(groups._opened)
    yield
    for name in set(sys.modules) - modules:
        if name.startswith("fake_"):
            del sys.modules[name]
    registry._local.clear()
    registry._local.update(local)
    groups._opened.clear()
    groups._opened.update(opened)
    registry.refresh()


@pytest.fixture
def install(tmp_path, monkeypatch, forgetting):
    """Put a distribution onto sys.path, before all others."""

    def put(name, points, modules=None, metadata=installs.METADATA):
        folder = tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}"
        installs.write(folder, name, points, modules, metadata)
        monkeypatch.syspath_prepend(str(folder))
        registry.refresh()
        return folder

    yield put
    monkeypatch.undo()
