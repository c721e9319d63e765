"""Put small faults into the code, one at a time, and see whether the tests notice each of them.

    python tests/mutate.py                  every file of tests/mutated_files.txt
    python tests/mutate.py --only FILE...   some of them

Works on a copy of the tree in the state's folder. What was done is kept there, so that a run that
is interrupted goes on. A mutant is run again where its file has changed; where the file of the
test that noticed it has; and where none did, once one of its tests has. `--anew` forgets it all.

Ends with code 1 where the score is too low, over all files or of one. A mutant that no test can
notice does not count: tests/equivalent_mutants.toml lists them. Needs the package coverage.
"""

import argparse
import compileall
import contextlib
import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock
import pytest

from mutation import choosing, forks, scores
from mutation.choosing import Cover
from mutation.mutants import Mutant, digest_of, mutants_of

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "mutated_files.txt"
EQUIVALENTS = ROOT / "tests" / "equivalent_mutants.toml"
SECONDS, STEP = 120.0, 20.0
"""What a fork may take next to its tests, and a test at least, before it counts as endless."""


def copy_tree(root: Path, tree: Path) -> None:
    """Make ``tree`` a copy of what git has, or would have, of ``root``."""
    command = ["git", "-C", str(root), "ls-files", "-z", "-c", "-o", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = {name for name in listed.split("\0") if name and (root / name).is_file()}
    there = [path for path in tree.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    for path in there:
        if path.relative_to(tree).as_posix() not in names:
            path.unlink()
    for name in sorted(names):
        made = tree / name
        if not made.is_file() or made.read_bytes() != (root / name).read_bytes():
            made.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, made)
    for package in ("genzoo", "plugins"):
        compileall.compile_dir(tree / package, quiet=2)


class State:
    """What was done, in a folder.

    Arguments:
        folder: The folder; the copy of the tree is in it.
        behind: The files that are mutated, each with its test files.
    """

    def __init__(self, folder: Path, behind: Mapping[str, list[str]]) -> None:
        self.tree, self.behind = folder / "tree", behind
        self._covers, self._results = folder / "cover", folder / "results.jsonl"
        self._covers.mkdir(parents=True, exist_ok=True)
        self.results: dict[str, dict[str, Any]] = {}
        if self._results.exists():
            for line in self._results.read_text("utf-8").splitlines():
                entry = json.loads(line)
                self.results[entry["key"]] = entry

    def cover(self, files: Iterable[str]) -> Cover:
        """Return which tests run which lines; what is not known, or has changed, is measured."""
        found = Cover()
        names = sorted({name for file in files for name in self.behind[file]})
        for number, name in enumerate(names):
            sources = [file for file, tests in self.behind.items() if name in tests]
            digest = _digest(digest_of(self.tree / file) for file in [name, *sources])
            path = self._covers / f"{name.replace('/', '-')}.json"
            told = json.loads(path.read_text("utf-8")) if path.exists() else {}
            if told.get("digest") != digest:
                told = self._covered(name, sources) | {"digest": digest}
                path.write_text(json.dumps(told), "utf-8")
                print(f"{number + 1}/{len(names)} {name}: {len(told['tests'])} tests", flush=True)
            found.add(told)
        return found

    def _covered(self, name: str, sources: list[str]) -> dict[str, Any]:
        told = forks.forked(lambda: forks.cover(name, self.tree, sources, 5 * STEP), 10 * SECONDS)
        if told is None:
            print(f"{name}: it died, or took too long, and is left out.", flush=True)
            return {"tests": {}, "lines": {}}
        if failed := [test for test, (_, how) in told["tests"].items() if how == "failed"]:
            print(f"{name}: failed without a mutant, and left out: {failed}", flush=True)
        return told

    def run(self, mutant: Mutant, cover: Cover) -> None:
        """Run a mutant, where its result is not known."""
        old = self.results.get(mutant.key, {})
        order = cover.tests_of(mutant, old.get("by", []))
        if old and old["digest"] == self._digest_of(old["by"] or order):
            return
        status, by = self._status(mutant, order, cover) if order else ("not run", [])
        digest = self._digest_of(by or order)
        entry = {"key": mutant.key, "digest": digest, "status": status, "by": by}
        self.results[mutant.key] = entry
        with self._results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        print(f"{status}: {mutant}", flush=True)

    def _digest_of(self, tests: list[str]) -> str:
        """Return what changes with a result: the test that told a mutant, else all that ran."""
        files = sorted({name.split("::")[0] for name in tests})
        known = [digest_of(self.tree / one) for one in files if (self.tree / one).is_file()]
        return _digest([*sorted(tests), *known])

    def _status(self, mutant: Mutant, order: list[str], cover: Cover) -> tuple[str, list[str]]:
        seconds = [cover.tests[name][0] for name in order]
        step, whole = max(STEP, 5 * max(seconds)), SECONDS + 5 * sum(seconds)
        with forks.inside(self.tree, mutant):
            told = forks.forked(lambda: forks.run_tests(order, step), whole)
        if told is None:
            return "killed: it ended the tests, or kept them", []
        if told["failed"]:
            return "killed", told["failed"][:1]
        if told["code"] == pytest.ExitCode.NO_TESTS_COLLECTED:
            return "not run", []
        return (f"killed: pytest exits with {told['code']}" if told["code"] else "survived"), []


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def report(mutants: list[Mutant], state: State, equivalents: list[scores.Equivalent]) -> int:
    """Print what survived, and the scores; return the exit code."""
    for mutant in mutants:
        status = state.results[mutant.key]["status"]
        same = any(one.covers(mutant) for one in equivalents)
        if same and scores.is_told(status):
            print(f"listed as equivalent, but {status}: {mutant}")
        elif not same and not scores.is_told(status):
            print(f"{status}: {mutant}")
    found = scores.scores(mutants, state.results, equivalents)
    for file, score in found.items():
        print(f"{score}  {file}")
    print(f"{scores.together(found)}  all files")
    low = scores.verdict(found)
    print("".join(f"Too low: {line}\n" for line in low), end="")
    return int(bool(low))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="FILE", help="mutate these alone")
    parser.add_argument("--per-file", type=int, default=12, help="mutants of a file")
    parser.add_argument("--seed", type=int, default=0, help="which mutants are drawn")
    parser.add_argument("--state", type=Path, default=ROOT / ".mutate", help="where it is kept")
    parser.add_argument("--anew", action="store_true", help="forget what was done")
    options = parser.parse_args()
    behind = choosing.read_list(LIST, ROOT)
    files = options.only or list(behind)
    if unknown := [file for file in files if file not in behind]:
        parser.error(f"{unknown[0]} is not in {LIST.name}. Add it there with its tests.")
    options.state.mkdir(parents=True, exist_ok=True)
    with _alone(options.state.resolve()) as folder:
        if options.anew:
            shutil.rmtree(folder / "cover", ignore_errors=True)
            (folder / "results.jsonl").unlink(missing_ok=True)
        copy_tree(ROOT, folder / "tree")
        drawn = {"count": options.per_file, "seed": options.seed}
        mutants = [one for file in files for one in mutants_of(folder / "tree", file, **drawn)]
        return mutate(mutants, files, State(folder, behind))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """Give a folder to this process alone: another's mutants would be in the same tree."""
    try:
        with filelock.FileLock(folder / "lock", timeout=0):
            yield folder
    except filelock.Timeout:
        sys.exit(f"Another run works in {folder}. Wait for it, or give another --state.")


def mutate(mutants: list[Mutant], files: list[str], state: State) -> int:
    """Run the mutants of files, and report; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # So that a mutant is taken out.
    forks.prepare(state.tree)
    cover = state.cover(files)
    for mutant in mutants:
        state.run(mutant, cover)
    return report(mutants, state, scores.read_equivalents(EQUIVALENTS))


if __name__ == "__main__":
    sys.exit(main())
