"""Mutation testing itself: what it changes, which tests it runs, and what it counts."""

import ast
import dataclasses
import os
import random
import signal

import pytest

import mutate
from mutation import forks, scores
from mutation.choosing import TOGETHER, Cover, read_list
from mutation.finding import find
from mutation.mutants import mutants_of
from mutation.scores import Equivalent, Score

SOURCE = '''"""Text: 1 < 2."""
import torch


def clip(x: int = 3, low: int = 0) -> int:
    """At least ``low``."""
    if x < low and x is not None:
        x = low
        note(x)
        x += 2
    with torch.no_grad():
        y = max(x, -low)
    if y:
        raise ValueError(f"{x + 1} of {low}")
    return y * 2
'''


@pytest.fixture
def project(tmp_path):
    """A small project: a file, and the tests behind it."""
    (tmp_path / "code.py").write_text("def twice(x):\n    y = x * 2\n    return y\n")
    (tmp_path / "test_code.py").write_text("")
    return tmp_path


# What is changed.


def test_each_operator_finds_its_faults_and_messages_are_left_alone():
    found = {(one.operator, ast.unparse(one.node), one.new) for one in find(SOURCE)}
    assert found == {
        ("constant", "3", "4"),
        ("constant", "3", "2"),
        ("constant", "0", "1"),
        ("constant", "0", "-1"),
        ("negate", "x < low and x is not None", "not (x < low and x is not None)"),
        ("and-or", "x < low and x is not None", "(x < low or x is not None)"),
        ("compare", "x < low", "(x <= low)"),
        ("compare", "x is not None", "(x is None)"),
        ("drop", "x = low", "pass"),
        ("drop", "note(x)", "pass"),
        ("drop", "x += 2", "pass"),
        ("arithmetic", "x += 2", "x -= 2"),
        ("constant", "2", "3"),
        ("constant", "2", "1"),
        ("grad", "torch.no_grad()", "__import__('contextlib').nullcontext()"),
        ("extreme", "max(x, -low)", "min(x, -low)"),
        ("arithmetic", "-low", "(low)"),
        ("negate", "y", "not (y)"),
        ("return", "return y * 2", "return None"),
        ("return", "return y * 2", "return 0"),
        ("arithmetic", "y * 2", "(y / 2)"),
    }


def test_a_sample_is_the_same_each_time_and_changes_a_place_once(tmp_path):
    (tmp_path / "code.py").write_text(SOURCE)
    one, two = (mutants_of(tmp_path, "code.py", count=9, seed=0) for _ in range(2))
    assert one == two
    assert len(one) == len({mutant.begin for mutant in one} | {mutant.key for mutant in one}) - 9
    other = mutants_of(tmp_path, "code.py", count=9, seed=1)
    assert {mutant.key for mutant in other} != {mutant.key for mutant in one}
    for mutant in one:
        changed = mutant.applied(SOURCE.encode())
        assert changed != SOURCE.encode()
        ast.parse(changed)
        with pytest.raises(ValueError, match="is not the file"):
            mutant.applied(b" " + SOURCE.encode())


def test_a_mutant_is_in_the_file_for_a_while_and_its_time_is_another(project):
    path = project / "code.py"
    content, before = path.read_bytes(), path.stat().st_mtime_ns
    (mutant, *_) = mutants_of(project, "code.py", count=1, seed=0)

    def interrupted():
        with forks.inside(project, mutant):
            assert path.read_bytes() == mutant.applied(content)
            assert path.stat().st_mtime_ns != before
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == content
    assert path.stat().st_mtime_ns == before


# Which tests are run.


def covered():
    lines = {"a.py": {"2": ["test_b.py::one", "test_a.py::two"], "9": ["test_c.py::"]}}
    tests = {"test_b.py::one": 1.0, "test_a.py::two": 2.0, "test_a.py::slow": 99.0}
    tests |= {"test_c.py::three": 0.5, "test_c.py::four": 0.5, "test_c.py::bad": 0.1}
    found = Cover()
    outcomes = {name: (seconds, "passed") for name, seconds in tests.items()}
    found.add({"tests": outcomes | {"test_c.py::bad": (0.1, "failed")}, "lines": lines})
    return found


@pytest.fixture
def somewhere(project):
    (mutant, *_) = mutants_of(project, "code.py", count=1, seed=0)
    return dataclasses.replace(mutant, file="a.py", spans=((2, 2), (1, 3)), is_inside=True)


def test_tests_of_the_line_run_the_files_own_first(somewhere):
    assert covered().tests_of(somewhere) == ["test_a.py::two", "test_b.py::one"]
    first = covered().tests_of(somewhere, ["test_b.py::one", "gone"])
    assert first == ["test_b.py::one", "test_a.py::two"]


def test_a_shared_fixture_stands_for_its_file_and_failed_tests_for_nothing(somewhere):
    shared = dataclasses.replace(somewhere, spans=((5, 5), (9, 9)))
    assert covered().tests_of(shared) == ["test_c.py::three", "test_c.py::four"]


def test_what_runs_at_import_is_run_by_all(somewhere):
    outside = dataclasses.replace(somewhere, is_inside=False)
    assert len(covered().tests_of(outside)) == 4
    none = dataclasses.replace(somewhere, file="b.py")
    assert covered().tests_of(none) == []


def test_tests_together_stay_below_a_limit(somewhere):
    found = covered()
    found.tests["test_b.py::one"] = (TOGETHER - 1, "passed")
    found.tests["test_a.py::two"] = (2.0, "passed")
    assert found.tests_of(somewhere) == ["test_a.py::two"]


# What becomes of a mutant.

OUTCOMES = {
    "test_code.py::test_sees": "killed",
    "test_code.py::test_passes": "survived",
    "test_code.py::test_ends": "killed: it ended the tests, or kept them",
    "test_code.py::test_waits": "killed",
    "test_code.py::test_that_is_gone": "not run",
}
TESTS = """
import os, code_

def test_sees():
    assert code_.twice(3) == 6

def test_passes():
    code_.twice(3)

def test_ends():
    if code_.twice(3) != 6:
        os._exit(3)

def test_waits():
    while code_.twice(3) != 6:
        pass
"""


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A state with a file of one mutant worth the name, and tests of it."""
    tree = tmp_path / "state" / "tree"
    tree.mkdir(parents=True)
    (tree / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    (tree / "code_.py").write_text("def twice(x):\n    return x * 2\n")
    (tree / "test_code.py").write_text(TESTS)
    monkeypatch.chdir(tree)
    monkeypatch.setattr(mutate, "STEP", 0.3)
    return mutate.State(tmp_path / "state", {"code_.py": ["test_code.py"]})


def run(state, test):
    """Run the mutant by one test; return its status."""
    mutants = mutants_of(state.tree, "code_.py", count=9, seed=0)
    (mutant,) = [one for one in mutants if one.operator == "arithmetic"]
    cover = Cover()
    cover.add({"tests": {test: (0.01, "passed")}, "lines": {"code_.py": {"2": [test]}}})
    state.run(mutant, cover)
    assert (state.tree / "code_.py").read_text().count("x * 2") == 1
    return state.results[mutant.key]["status"]


@pytest.mark.parametrize("test", OUTCOMES)
def test_a_mutant_is_killed_by_what_it_breaks(test, state):
    assert run(state, test) == OUTCOMES[test]


def test_a_mutant_is_run_again_where_its_tests_have_changed(state, monkeypatch):
    ran = []
    told = {"failed": ["test_code.py::test_sees"], "code": 1}
    monkeypatch.setattr(forks, "forked", lambda work, seconds: ran.append(seconds) or told)
    assert run(state, "test_code.py::test_sees") == "killed"
    again = mutate.State(state.tree.parent, state.behind)
    assert run(again, "test_code.py::test_sees") == "killed"
    assert len(ran) == 1
    (state.tree / "test_code.py").write_text(TESTS + "\n")
    assert run(again, "test_code.py::test_sees") == "killed"
    (state.tree / "code_.py").write_text("def twice(x):\n    return abs(x * 2)\n")
    monkeypatch.setattr(forks, "forked", lambda work, seconds: {"failed": [], "code": 0})
    assert run(again, "test_code.py::test_sees") == "survived"
    assert len(ran) == 2


def test_an_interruption_ends_the_fork_too(tmp_path, monkeypatch):
    def work():
        (tmp_path / "pid").write_text(str(os.getpid()))
        signal.pause()

    def interrupted(*arguments):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            pass
        raise KeyboardInterrupt

    monkeypatch.setattr(forks.select, "select", interrupted)
    with pytest.raises(KeyboardInterrupt):
        forks.forked(work, 60)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_two_runs_do_not_share_a_tree(tmp_path):
    with mutate._alone(tmp_path):
        other = mutate._alone(tmp_path)
        with pytest.raises(SystemExit, match="Another run works in"):
            other.__enter__()
    with mutate._alone(tmp_path):
        pass


# What counts.


def test_scores_leave_out_what_nobody_can_notice(project):
    mutants = mutants_of(project, "code.py", count=9, seed=0)
    results = {one.key: {"status": "killed"} for one in mutants}
    survivor = random.Random(0).choice(mutants)
    results[survivor.key] = {"status": "survived"}
    known = Equivalent("code.py", survivor.code, " ".join(survivor.old.split()), "", "why")
    assert known.covers(survivor)
    whole = scores.scores(mutants, results, [])
    assert whole == {"code.py": Score(len(mutants) - 1, len(mutants))}
    assert scores.verdict(whole)
    left = scores.scores(mutants, results, [known])
    assert left["code.py"].share == 1
    assert scores.verdict(left) == []


@pytest.mark.parametrize(
    ("found", "low"),
    [
        ({"a": Score(9, 10), "b": Score(40, 40)}, []),
        ({"a": Score(8, 9), "b": Score(40, 40)}, ["a: 0.889 (8 of 9)"]),
        ({"a": Score(9, 10), "b": Score(9, 10)}, ["all files: 0.900 (18 of 20)"]),
        ({"a": Score(0, 0)}, []),
    ],
)
def test_a_score_is_too_low_for_a_file_or_over_all(found, low):
    assert scores.verdict(found) == low


def test_the_list_follows_the_files_and_the_equivalents_their_lines():
    """A name or a line that has changed is noticed here, not an hour later."""
    behind = read_list(mutate.LIST, mutate.ROOT)
    assert all(behind.values())
    for one in scores.read_equivalents(mutate.EQUIVALENTS):
        assert one.file in behind
        source = (mutate.ROOT / one.file).read_text("utf-8")
        assert one.code in [line.strip() for line in source.splitlines()], one
        assert one.old in " ".join(source.split()), one


def test_a_file_or_a_pattern_of_which_there_is_none_is_named(tmp_path, project):
    path = tmp_path / "list.txt"
    path.write_text("# A comment.\ncode.py: test_*.py  # Another.\n")
    assert read_list(path, project) == {"code.py": ["test_code.py"]}
    (project / "code.py").write_text('"""\n>>> 1\n1\n"""\n')
    assert read_list(path, project) == {"code.py": ["code.py", "test_code.py"]}
    path.write_text("code.py: tset_*.py")
    with pytest.raises(ValueError, match=r"no test file is called tset_\*.py"):
        read_list(path, project)
    path.write_text("kode.py: test_*.py")
    with pytest.raises(ValueError, match=r"there is no kode\.py"):
        read_list(path, project)
