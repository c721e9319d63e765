"""Every default is what its record says: what a user gets without asking does not slip."""

import dataclasses
import difflib

from defaults import RECORD, described
from genzoo import registry


def test_the_defaults_are_the_recorded_ones():
    recorded, now = RECORD.read_text("utf-8").splitlines(), described()
    changes = list(difflib.unified_diff(recorded, now, lineterm="", n=0))[2:]
    assert not changes, (
        "Defaults have changed:\n" + "\n".join(changes) + "\nWhere that is meant, say so in "
        "CHANGELOG.md, and run: python tests/defaults.py > docs/defaults.txt"
    )


def test_a_changed_default_is_seen(monkeypatch):
    config = registry.load("objectives", "elbo").Config
    (lr,) = (field for field in dataclasses.fields(config) if field.name == "lr")
    monkeypatch.setattr(lr, "default", lr.default + 1)
    assert "  lr = 1.001" in described()
    assert described() != RECORD.read_text("utf-8").splitlines()
