"""Texts are plain English: phrases that read like a translation are in no code, docs or card."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "genzoo",
    "plugins",
    "examples",
    "docs",
    "benchmarks",
    "model_cards",
    "tests",
    ".github",
)
SUFFIXES = {".py", ".md", ".toml", ".txt", ".html", ".jinja", ".yml", ".json"}
# "there is no", "is no longer" and "is no more than" are English; "is no file" is a translation.
REFUSED = (
    r"(?<!there )\b(is|are) no (?!(longer|more than|such|one|less|fewer|weaker)\b)[a-z]",
    r"\bbe had\b",
    r"\bin so many words\b",
    r"\bwhoever\b",
    r"\bnobody['’]s\b",
    r"\bso many of which\b",
    r"\btold of (a )?texts?\b",
    r"\b(has|have) (a|no) say\b",
    r"\bgone on with\b",
    r"\bat home in\b",
    r"\bbeside\b",
)
PATTERN = re.compile("|".join(REFUSED), re.IGNORECASE)


def texts():
    """Return every text of the repository that people read."""
    found = list(ROOT.glob("*.md"))
    for folder in FOLDERS:
        found += [p for p in (ROOT / folder).rglob("*") if p.suffix in SUFFIXES and p.is_file()]
    return [p for p in found if p.name != Path(__file__).name and "__pycache__" not in p.parts]


def joined(text):
    """Return a text with its lines joined, since a phrase may go over the end of a line."""
    one_line = re.sub(r"\"?\s*\n\s*(?:#+|f?r?\")?", " ", text)
    return re.sub(r"\s+", " ", one_line)


def test_no_text_holds_a_refused_phrase():
    wrong = []
    for path in texts():
        text = joined(path.read_text("utf-8"))
        for match in PATTERN.finditer(text):
            place = text[max(0, match.start() - 40) : match.end() + 20]
            wrong.append(f"{path.relative_to(ROOT)}: …{place}…")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "x is no file",
        "Sides are no multiples of 8",
        "Data that have no say",
        "It is not to be had",
        "the one\n    beside it",
        'f"the device is "\n        f"no device"',
        "# can be gone\n# on with",
        "Whoever asks",
    ],
)
def test_they_are_found_across_lines_too(text):
    assert PATTERN.search(joined(text))


@pytest.mark.parametrize(
    "text",
    [
        "There is no file",
        "x is no longer needed",
        "it is no more than 3",
        "There are no files",
        "besides",
        "is none",
    ],
)
def test_plain_english_passes(text):
    assert not PATTERN.search(joined(text))
