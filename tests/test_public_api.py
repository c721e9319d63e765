"""The public surface is what its record says, so that a breaking change is seen in review."""

import difflib

import genzoo
import genzoo.plugin
from public_api import RECORD, described


def test_the_public_surface_is_the_recorded_one():
    recorded, now = RECORD.read_text("utf-8").splitlines(), described()
    changes = list(difflib.unified_diff(recorded, now, lineterm="", n=0))[2:]
    assert not changes, (
        "The public surface has changed:\n" + "\n".join(changes) + "\nWhere that is meant, see "
        "'Public names' in CONTRIBUTING.md, and run: python tests/public_api.py > "
        "docs/public-api.txt"
    )


def test_a_changed_signature_is_seen(monkeypatch):
    def sample(self, num): ...

    monkeypatch.setattr(genzoo.plugin.GenerativeModel, "sample", sample)
    assert "  sample(self, num)" in described()
    assert described() != RECORD.read_text("utf-8").splitlines()


def test_every_public_name_is_in_the_record():
    text = RECORD.read_text("utf-8")
    for module in (genzoo, genzoo.plugin):
        assert all(f"{module.__name__}.{name}" in text for name in module.__all__)
