"""The core names no dataset but digits, and knows files: other data come by the public door."""

import re
from pathlib import Path

import pytest

from genzoo import registry

CORE = Path(__file__).parent.parent / "genzoo"
ENDINGS = {".py", ".txt", ".toml", ".jinja", ".md"}
FILES = sorted(path for path in CORE.rglob("*") if path.suffix in ENDINGS)
OWN = {"digits", "arrays", "hub", "idx", "images", "saved", "stream", "tables", "text-file"}
"""The one dataset of the core, and the ways to read what a path or a repository names."""


def faults(text, names):
    """Return the names that a text quotes or gives to ``--data``, and those of plugins."""
    one_of = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    quoted = rf"[\"'`](?:{one_of})[\"'`]"
    pattern = rf"{quoted}|--data(?:-y)?[ =](?:{one_of})\b|genzoo_[a-z]+|(?i:mnist)"
    return re.findall(pattern, text)


def others():
    """Return the names of the datasets that our plugins register."""
    entries = registry.entries("datasets")
    return {entry.name for entry in entries if not entry.target.startswith("genzoo.")}


def test_the_core_registers_digits_and_ways_to_read_files():
    entries = registry.entries("datasets")
    assert {entry.name for entry in entries if entry.target.startswith("genzoo.")} == OWN
    assert {"ring", "shapes", "mnist", "fashion-mnist"} <= others()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_no_file_of_the_core_names_a_dataset_or_a_plugin(path):
    assert faults(path.read_text("utf-8"), others()) == []


@pytest.mark.parametrize(
    "text",
    ['load_dataset("ring")', "genzoo train rbm --data shapes", "# As MNIST has it", "genzoo_gan"],
)
def test_what_names_one_is_found(text):
    assert faults(text, others())
