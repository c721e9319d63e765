"""Plugins that would end, hang or disturb the importing process: each is a row, and no more."""

import json
import os
import threading

import pytest

import installs
from genzoo import entry_points, registry
from genzoo.cli import main
from genzoo.errors import ConfigError
from genzoo.isolation import look
from test_broken_packages import GOOD, points

UNSAYABLE = """
class Odd({base}):
    def __str__(self): raise {base}
    __repr__ = __str__
raise Odd
"""
KINDS = {
    "exit": ("import os; os._exit(0)", "ended the process, with exit code 0"),
    "exit-3": ("import os; os._exit(3)", "ended the process, with exit code 3"),
    "kill": ("import os; os.kill(os.getpid(), 9)", "ended the process, by signal 9"),
    "abort": ("import os; os.abort()", "ended the process, by signal 6"),
    "system-exit": ("raise SystemExit('mine')", "SystemExit: mine"),
    "keyboard-interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "generator-exit": ("raise GeneratorExit", "GeneratorExit"),
    "base-exception": ("class B(BaseException): pass\nraise B('mine')", "B: mine"),
    "unsayable-exception": (UNSAYABLE.format(base="Exception"), "Odd: its text cannot be read"),
    "unsayable-base": (UNSAYABLE.format(base="BaseException"), "Odd: its text cannot be read"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "memory": ("raise MemoryError", "MemoryError"),
    "exec": (
        "import os, sys; os.execv(sys.executable, ['python', '-c', ''])",
        "ended the process",
    ),
    "asks": ("input()", "EOFError"),
    "long-error": ("raise ValueError('x' * 10**6)", "ValueError: xxx"),
}
DISTURBING = {
    "prints": "print('{\"a\": 1}\\n' * 9)\nimport sys; sys.stderr.write('hello')",
    "prints-below-python": "import os; os.write(1, b'hello\\n'); os.write(2, b'hello')",
    "closes-output": "import os; os.close(1); os.close(2)",
    "leaves-a-thread": "import threading as t; t.Thread(target=t.Event().wait).start()",
    "leaves-an-exit-function": "import atexit, threading as t; atexit.register(t.Event().wait)",
    "forks": "import os; os.fork() or os._exit(0)",
    "ignores-signals": "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "leaves-the-folder": "import os; os.chdir('/')",
    "changes-the-path": "import sys; sys.path.clear()",
}
HANGS = {
    "waits": "import threading; threading.Event().wait()",
    "computes": "while True: pass",
    "waits-for-input": "import os\nr, w = os.pipe()\nos.read(r, 1)",
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a distribution of models, one for each module's text."""

    def write(name, texts):
        lines = "".join(f"{name}-{i} = {name}_{i}:Mine\n" for i in range(len(texts)))
        modules = {f"{name}_{i}": text for i, text in enumerate(texts)}
        installs.write(tmp_path, name, f"[genzoo.models]\n{lines}", modules)
        entry_points.forget()

    monkeypatch.syspath_prepend(str(tmp_path))
    yield write
    entry_points.forget()


def rows(*names, **options):
    entries = [e for e in registry.entries("models") if e.distribution in names]
    return {entry.name: entry.problem for entry in look(entries, **options)}


def test_each_kind_of_fault_is_a_row_and_what_comes_after_it_is_looked_at(install):
    good = GOOD["fake_good"]
    texts = [text for fault, _ in KINDS.values() for text in (fault, good)]
    install("fake", texts)
    found = rows("fake")
    assert [found[f"fake-{i}"] for i in range(1, len(texts), 2)] == [""] * len(KINDS)
    for i, (kind, (_, says)) in enumerate(KINDS.items()):
        assert says in found[f"fake-{2 * i}"], kind
        assert len(found[f"fake-{2 * i}"]) <= 2000


def test_what_disturbs_is_a_good_row_of_its_own_process(install):
    install("fake", [f"{text}\n{GOOD['fake_good']}" for text in DISTURBING.values()])
    before = (os.getcwd(), threading.active_count())
    assert list(rows("fake").values()) == [""] * len(DISTURBING)
    assert (os.getcwd(), threading.active_count()) == before


def test_what_hangs_is_a_row_after_its_time(install):
    for name, text in HANGS.items():
        install(f"fake{name.replace('-', '')}", [text])
    names = [f"fake{name.replace('-', '')}" for name in HANGS]
    found = rows(*names, seconds=3.0)
    assert list(found.values()) == ["importing it takes over 3 seconds"] * len(HANGS)


def test_the_command_prints_json_whatever_a_plugin_prints(install, capfd):
    install("fake", [DISTURBING["prints"], DISTURBING["prints-below-python"], KINDS["exit"][0]])
    with pytest.raises(SystemExit) as left:
        main(["list", "models", "--json", "--check"])
    assert not left.value.code
    said = capfd.readouterr()
    found = {row["name"]: row["problem"] for row in json.loads(said.out)}
    assert found["rbm"] == ""
    assert "does not exist" in found["fake-0"]
    assert "ended the process" in found["fake-2"]
    assert "hello" not in said.err


def test_what_is_known_without_an_import_is_not_imported(install, tmp_path):
    installs.write(tmp_path, "fake-bad", points(target="fake_bad"), {"fake_bad": KINDS["exit"][0]})
    entry_points.forget()
    assert "not MODULE:CLASS" in rows("fake-bad")["fake-bad"]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_time_that_is_none_is_refused(seconds):
    with pytest.raises(ConfigError, match="must be above 0 seconds"):
        look([], seconds=seconds)
