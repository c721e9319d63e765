"""What counts: mutants that tests can tell, and the share of them that the tests do tell."""

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutation.mutants import Mutant

OVERALL, OF_A_FILE = 0.95, 0.9
"""The least scores."""


@dataclass(frozen=True)
class Equivalent:
    """Mutants that no test can tell from the code, and why.

    Arguments:
        file: The file.
        code: The line, without the spaces around it.
        old: The text that is replaced, with single spaces.
        new: What it is replaced by, likewise; any text where it is empty.
        why: Why nothing changes that anybody can see.
    """

    file: str
    code: str
    old: str
    new: str
    why: str

    def __post_init__(self) -> None:
        """Check the reason."""
        if not self.why.strip():
            raise ValueError(f"{self.file}, {self.code!r}: say why nobody can tell the mutant.")

    def covers(self, mutant: Mutant) -> bool:
        """Whether a mutant is one of these."""
        place = (mutant.file, mutant.code, _plain(mutant.old))
        return place == (self.file, self.code, self.old) and self.new in ("", _plain(mutant.new))


def _plain(text: str) -> str:
    return " ".join(text.split())


def read_equivalents(path: Path) -> list[Equivalent]:
    """Return what a TOML file lists: for each file a list of tables."""
    return [
        Equivalent(file, entry["code"], entry["old"], entry.get("new", ""), entry["why"])
        for file, entries in tomllib.loads(path.read_text("utf-8")).items()
        for entry in entries
    ]


@dataclass(frozen=True)
class Score:
    """How many mutants the tests told, of how many that they could."""

    told: int
    total: int

    @property
    def share(self) -> float:
        """The score; 1 where there is nothing to tell."""
        return self.told / self.total if self.total else 1.0

    def __str__(self) -> str:
        return f"{self.share:.3f} ({self.told} of {self.total})"


def scores(
    mutants: Iterable[Mutant], results: Mapping[str, Any], equivalents: Iterable[Equivalent]
) -> dict[str, Score]:
    """Return the score of each file; mutants that no test can tell do not count."""
    known = list(equivalents)
    told: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for mutant in mutants:
        if any(one.covers(mutant) for one in known):
            continue
        total[mutant.file] += 1
        told[mutant.file] += is_told(results[mutant.key]["status"])
    return {file: Score(told[file], total[file]) for file in total}


def is_told(status: str) -> bool:
    """Whether the tests told a mutant of this status."""
    return status.startswith("killed")


def together(found: Mapping[str, Score]) -> Score:
    """Return the score over all files."""
    return Score(sum(s.told for s in found.values()), sum(s.total for s in found.values()))


def verdict(found: Mapping[str, Score]) -> list[str]:
    """Return what is under the least scores; nothing where all is well."""
    whole = together(found)
    low = [f"{file}: {s}" for file, s in found.items() if s.share < OF_A_FILE]
    return low + [f"all files: {whole}"] * (whole.share < OVERALL)
