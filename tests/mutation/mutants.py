"""Mutants: copies of a file with one small fault each, found by its syntax tree."""

import ast
import hashlib
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mutation.finding import Found, find


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Arguments:
        file: The file, relative to the tree.
        digest: The SHA-256 of the file as it was.
        line: The line of the fault.
        operator: What kind of fault it is.
        begin: The first byte that is replaced.
        old: The text that is replaced.
        new: The text in its place.
        code: The line as it stands in the file, without the spaces around it.
        spans: The lines that a test must run to see the fault: its own, else its statement's.
        is_inside: Whether the fault is in a function; other lines run when the file is imported.
    """

    file: str
    digest: str
    line: int
    operator: str
    begin: int
    old: str
    new: str
    code: str
    spans: tuple[tuple[int, int], tuple[int, int]]
    is_inside: bool

    @property
    def key(self) -> str:
        """A name that stays as long as the file does."""
        told = f"{self.file} {self.digest} {self.begin} {self.old} {self.new}"
        return hashlib.sha256(told.encode()).hexdigest()

    def __str__(self) -> str:
        old, new = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{self.file}:{self.line} [{self.operator}] {old} -> {new}"

    def applied(self, content: bytes) -> bytes:
        """Return a file's content with the fault in it."""
        end = self.begin + len(self.old.encode())
        if content[self.begin : end].decode() != self.old:
            raise ValueError(f"{self.file} is not the file that {self} was made of.")
        return content[: self.begin] + self.new.encode() + content[end:]


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def mutants_of(root: Path, file: str, *, count: int, seed: int, each: int = 3) -> list[Mutant]:
    """Return a random sample of a file's mutants, the same for the same file and seed.

    At most one changes any part of the code. Up to ``each`` of any operator are taken before the
    rest is filled up.
    """
    source = (root / file).read_text()
    found = find(source)
    random.Random(f"{seed} {file}").shuffle(found)
    chosen: list[Mutant] = []
    places: set[tuple[int, int]] = set()
    counts: Counter[str] = Counter()
    texts = _Texts(file, source)
    for limit in (each, count):
        for one in found:
            mutant = texts.mutant(one)
            place = (mutant.begin, mutant.begin + len(mutant.old.encode()))
            most = min(limit, 2) if one.operator == "return" else limit
            if len(chosen) == count or place in places or counts[one.operator] >= most:
                continue
            if _is_valid(mutant, source):
                places.add(place)
                counts[one.operator] += 1
                chosen.append(mutant)
    return sorted(chosen, key=lambda mutant: mutant.begin)


class _Texts:
    """Turns nodes of a file into mutants."""

    def __init__(self, file: str, source: str) -> None:
        self.file, self.content = file, source.encode()
        self.digest = hashlib.sha256(self.content).hexdigest()
        self.lines = source.splitlines()
        self.starts = [0]
        for line in self.content.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.bodies = [
            (node.body[0].lineno, node.end_lineno)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef)
        ]

    def mutant(self, found: Found) -> Mutant:
        node, of = found.node, found.statement or found.node
        begin = self.starts[node.lineno - 1] + node.col_offset
        end = self.starts[node.end_lineno - 1] + node.end_col_offset
        head = of.body[0].lineno - 1 if getattr(of, "body", None) else of.end_lineno
        return Mutant(
            file=self.file,
            digest=self.digest,
            line=node.lineno,
            operator=found.operator,
            begin=begin,
            old=self.content[begin:end].decode(),
            new=found.new,
            code=self.lines[node.lineno - 1].strip(),
            spans=((node.lineno, node.end_lineno), (of.lineno, max(of.lineno, head))),
            is_inside=any(first <= node.lineno <= last for first, last in self.bodies),
        )


def _is_valid(mutant: Mutant, source: str) -> bool:
    try:
        compile(mutant.applied(source.encode()), mutant.file, "exec")
    except SyntaxError:
        return False
    return True
