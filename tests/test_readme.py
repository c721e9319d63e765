"""The README's Python runs in an empty folder and prints the figures that the README shows."""

import re
import runpy
from pathlib import Path

import pytest

import genzoo
from genzoo.cli import main

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text("utf-8")
MARKED = re.compile(r"<!-- tested -->\n```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"-?\d+\.\d+")


def test_the_readme_is_one_page():
    assert len(TEXT.splitlines()) <= 90
    ((code, _),) = MARKED.findall(TEXT)
    assert len(code.splitlines()) <= 15


def test_the_snippet_runs_and_prints_what_the_readme_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ((code, written),) = MARKED.findall(TEXT)
    Path("snippet.py").write_text(code, "utf-8")
    runpy.run_path("snippet.py")
    shown, printed = written.splitlines(), capsys.readouterr().out.splitlines()
    assert Path("samples.png").exists()
    assert genzoo.GenModel.from_pretrained("runs/digits").config.num_hidden == 64
    assert shown == [line.split(" [")[0] for line in shown]  # The README leaves out notes.
    for old in shown:
        (new,) = [line for line in printed if line.startswith(old.split()[0])]
        assert NUMBER.sub("#", new).startswith(NUMBER.sub("#", old))
        # The seed fixes the figures on one kind of processor; rounding differs on another, and a
        # chain of binary draws then takes another path.
        assert float(NUMBER.search(new)[0]) == pytest.approx(
            float(NUMBER.search(old)[0]), rel=0.02
        )


@pytest.mark.full
def test_fast_quickstart_does_all_that_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["quickstart", "--fast"])
    assert left.value.code == 0
    printed = capsys.readouterr().out
    assert re.search(r"independent pixels +-24\.01 ± 0\.23 nats", printed)
    assert re.search(r"rbm +-\d+\.\d+ ± .*vae +-\d.*vae-2d +-\d", printed, re.DOTALL)
    assert Path("quickstart", "quickstart.png").stat().st_size > 10_000
    for name in ("rbm", "vae", "vae-2d"):
        assert Path("quickstart", name, "model.safetensors").exists()
