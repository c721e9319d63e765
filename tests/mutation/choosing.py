"""Which files are mutated, which tests stand behind each, and which of them run a line."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutation.mutants import Mutant

SLOWEST, TOGETHER = 10.0, 30.0
"""Seconds of a test, and of all tests, that are run against one mutant; longer ones are left."""


def read_list(path: Path, root: Path) -> dict[str, list[str]]:
    """Return the files of a list, each with the test files that stand behind it.

    A line is ``FILE: PATTERN...``, where a pattern names test files; ``#`` begins a comment. A
    file that holds examples in its docstrings is a test of itself.

    Raises:
        ValueError: A line names a file, or has a pattern, of which there is none.
    """
    found: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        file, _, patterns = line.partition("#")[0].strip().partition(":")
        if not file:
            continue
        if not (root / file).is_file():
            raise ValueError(f"{path.name}: there is no {file}. Follow its new name.")
        tests = [name for pattern in patterns.split() for name in _matching(pattern, root, path)]
        own = [file] * (">>> " in (root / file).read_text("utf-8"))
        found[file] = list(dict.fromkeys([*own, *tests]))
    return found


def _matching(pattern: str, root: Path, path: Path) -> list[str]:
    names = sorted(one.relative_to(root).as_posix() for one in root.glob(pattern))
    if not names:
        raise ValueError(f"{path.name}: no test file is called {pattern}. Correct the pattern.")
    return names


@dataclass
class Cover:
    """Tests, and the lines that they run.

    Arguments:
        tests: Each test's seconds and outcome.
        lines: For each file and line, as text, the tests that run it.
    """

    tests: dict[str, tuple[float, str]] = field(default_factory=dict)
    lines: dict[str, dict[str, list[str]]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, told: Mapping[str, Any]) -> None:
        """Take in what `forks.cover` tells of a file of tests."""
        self.tests.update(told["tests"])
        for file, lines in told["lines"].items():
            for line, tests in lines.items():
                self.lines[file].setdefault(line, []).extend(tests)

    def tests_of(self, mutant: Mutant, first: Iterable[str] = ()) -> list[str]:
        """Return the passing tests that run a mutant's line.

        Those in ``first`` come first, then the file's own, then the quickest.
        """
        names = {n for n in self._names(mutant) if self.tests[n][1] == "passed"}
        files: dict[str, list[str]] = defaultdict(list)
        for name in self.tests:  # In the order of the files.
            if name in names and self.tests[name][0] <= SLOWEST:
                files[name.split("::")[0]].append(name)
        stem = Path(mutant.file).stem.rstrip("s")

        def rank(file: str) -> tuple[bool, float]:
            mean = sum(self.tests[name][0] for name in files[file]) / len(files[file])
            return stem not in Path(file).stem, mean

        chosen = [name for name in first if name in names]
        chosen += [name for file in sorted(files, key=rank) for name in files[file]]
        return self._up_to_a_limit(dict.fromkeys(chosen))

    def _up_to_a_limit(self, names: Iterable[str]) -> list[str]:
        kept, total = [], 0.0
        for name in names:
            if total + self.tests[name][0] <= TOGETHER:
                kept.append(name)
                total += self.tests[name][0]
        return kept

    def _names(self, mutant: Mutant) -> set[str]:
        lines = self.lines.get(mutant.file, {})
        for first, last in mutant.spans if mutant.is_inside else ():
            if found := {n for i in range(first, last + 1) for n in lines.get(str(i), [])}:
                return self._spread(found)
        # What runs when the file is imported is run by all tests that use it.
        return self._spread({name for tests in lines.values() for name in tests})

    def _spread(self, names: set[str]) -> set[str]:
        """Return tests; of a file's name, which stands for its shared fixtures, all its tests."""
        return {
            test for test in self.tests if test in names or f"{test.split('::')[0]}::" in names
        }
