"""Nothing that a stranger wrote hides in a text, nor is obeyed by a terminal."""

import ast
import json
import logging
import unicodedata
from pathlib import Path

import numpy as np
import pytest

import genzoo
from folders import saved
from genzoo import registry
from genzoo.cli import main
from genzoo.cli.texts import VisibleFormatter
from genzoo.model_files import CARD
from genzoo.text_safety import visible

HIDDEN = (
    *("\x00", "\x07", "\x1b", "\r", "\x7f", "\x85", "\x9b"),  # control characters of both sets
    *("\u061c", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069"),  # of the order
    *("\u00ad", "\u034f", "\u180e", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff"),  # no width
    *("\u2028", "\u2029", "\ufff9", "\u115f", "\u3164", "\uffa0", "\u2800"),  # lines and blanks
    *("\ufe0f", "\U000e0100", "\U000e01ef", "\U000e0001", "\U000e0041", "\U000e007f"),  # tags
    *("\ud800", "\ufffe", "\ue000", "\U0001d173"),  # no characters, private, musical
)
PAYLOAD = "x\x1b[2J\u202e\u200b\U000e0041\x9by"
SHOWN = "x␛[2J\\u202e\\u200b\\U000e0041\\u009by"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty folder, and no handler bound to an earlier test's stderr."""
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(line, capsys, code=0):
    """Return what a command says, all of which can be seen."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(line.split())
    out, err = capsys.readouterr()
    assert left.value.code == code, err
    for text in (out, err):
        assert visible(text) == text
        assert not set(HIDDEN) & set(text)
    return out + err


@pytest.mark.parametrize("character", HIDDEN)
def test_what_hides_is_named(character):
    shown = visible(f"a{character}b")
    assert shown.isprintable()
    assert shown.startswith("a")
    assert shown.endswith("b")
    assert len(shown) >= 3
    assert character not in shown


def test_what_is_seen_stays():
    for text in (
        "naïve — 10\u00a0000 ±½ × ‘x’",
        "שלום عولم",
        "日本語　全角",
        "a\tb\nc",
        "😀 𝔘",
        "é\u0301",
    ):
        assert visible(text) == text
    assert visible("a\r\nb") == "a\nb"
    assert visible("a\x00\x1b\x7f\x85\u202e\u2066\ud800\r\nb\tc") == (
        "a␀␛␡\\u0085\\u202e\\u2066\\ud800\nb\tc"
    )


def test_every_character_of_unicode_that_controls_or_formats_is_named():
    """The categories are Unicode's: controls, formats, surrogates, private ones, separators."""
    for code in (*range(0x1FFFF), *range(0xE0000, 0xE1000)):
        character = chr(code)
        kind = unicodedata.category(character)
        if kind in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in "\n\t":
            assert visible(character) != character, hex(code)
        elif kind in ("Lu", "Ll", "Nd", "Sm", "Sc"):
            assert visible(character) == character, hex(code)


def test_what_a_distribution_says_of_itself_is_no_order_to_the_terminal(install, capsys):
    folder = install("fake-hidden", "[genzoo.models]\nx = y:z\n")
    (info,) = folder.glob("*.dist-info")
    head = f"Metadata-Version: 2.1\nName: fake-{PAYLOAD}\nVersion: 1{PAYLOAD}\n"
    (info / "METADATA").write_text(f"{head}Requires-Dist: genzoo<0\n", "utf-8")
    points = f"x{PAYLOAD} = m{PAYLOAD}:C\nseen = nowhere{PAYLOAD}:C [extra{PAYLOAD}]\n"
    (info / "entry_points.txt").write_text(f"[genzoo.models]\n{points}", "utf-8")
    registry.refresh()
    for flags in ("", " --origin", " --check", " --origin --check"):
        out = said(f"list models{flags}", capsys)
        assert f"fake-{SHOWN}" in out
        assert f"x{SHOWN}" in out
    rows = json.loads(said("list models --json --origin", capsys))
    assert f"fake-{PAYLOAD}" in [row["distribution"] for row in rows]
    assert "Unknown model" in said(f"train {'rbm'}{PAYLOAD} --data digits --output run", capsys, 2)


def test_what_a_card_says_is_no_order_to_the_terminal(capsys):
    folder = saved("model")
    head = {"dataset": {"type": "digits", "name": PAYLOAD, "split": PAYLOAD, "config": PAYLOAD}}
    metric = {"type": PAYLOAD, "name": PAYLOAD, "value": 1.0}
    provenance = {
        "metric": PAYLOAD,
        "examples": 1,
        "seed": 0,
        PAYLOAD: f"{PAYLOAD}\nThe model is sound.",
    }
    metric["args"] = {"provenance": provenance, "notes": [PAYLOAD], "unit": PAYLOAD}
    index = [{"name": "x", "results": [{"task": {"type": "t"}, **head, "metrics": [metric]}]}]
    data = {"license": PAYLOAD, "model_name": PAYLOAD, "model-index": index}
    text = "".join(
        c if c.isascii() else f"\\U{ord(c):08x}" for c in json.dumps(data, ensure_ascii=False)
    )
    (folder / CARD.name).write_text(f"---\n{text}\n---\n{PAYLOAD}\n", "utf-8")
    assert SHOWN in said("inspect model", capsys)
    out = said("evaluate model --verify", capsys, code=1)
    assert SHOWN in out
    assert "\nThe model is sound" not in out
    said("card model --num 0", capsys)
    assert (folder / CARD.name).read_text("utf-8").count(
        PAYLOAD
    ) == 1  # What a person wrote stays.


def test_the_name_of_an_array_is_no_order_to_the_terminal(capsys):
    saved("model")
    rows = np.random.default_rng(0).integers(0, 2, (20, 1, 2, 3))
    np.savez("rows.npz", **{f"{PAYLOAD}\nThe model is sound.": rows})
    out = said("evaluate model --data rows.npz --metrics log-likelihood", capsys)
    assert SHOWN in out
    assert "\nThe model is sound" not in out


def test_errors_and_what_is_logged_hide_nothing():
    error = genzoo.GenzooError(f"The Hub said {PAYLOAD}")
    assert str(error) == f"The Hub said {SHOWN}"
    record = logging.makeLogRecord({"msg": "The Hub said %s", "args": (PAYLOAD,)})
    assert VisibleFormatter("%(message)s").format(record) == f"The Hub said {SHOWN}"


def test_commands_write_to_the_terminal_in_one_place_alone():
    folder = Path(genzoo.__file__).parent / "cli"
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""
            allowed = path.name == "texts.py"
            assert allowed or name not in ("print", "sys.stdout"), f"{path.name}:{node.lineno}"
