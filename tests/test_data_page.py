"""docs/data.md: its snippets print what stands there."""

import contextlib
import io
import re
import runpy
from pathlib import Path

import pytest

TEXT = Path(__file__).parents[1].joinpath("docs", "data.md").read_text("utf-8")
SNIPPETS = re.findall(
    r"<!-- tested -->\n\n```python\n(.*?)```\n\n```text\n(.*?)```", TEXT, re.DOTALL
)


@pytest.mark.parametrize("number", range(3))
def test_a_snippet_prints_what_stands_on_the_page(number, tmp_path, monkeypatch):
    code, shown = SNIPPETS[number]
    monkeypatch.chdir(tmp_path)
    Path("snippet.py").write_text(code, "utf-8")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        runpy.run_path("snippet.py")
    assert out.getvalue() == shown


def test_no_snippet_is_left_out():
    assert len(SNIPPETS) == TEXT.count("```python") == 3
