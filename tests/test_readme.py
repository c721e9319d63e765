"""The README's Python is run, in order, in a folder where the quickstart's model is."""

import re
import runpy
from pathlib import Path

import pytest

import genzoo
from genzoo.cli import main

README = Path(__file__).parents[1] / "README.md"
MARKED = re.compile(r"<!-- tested -->\n```python\n(.*?)```", re.DOTALL)
SNIPPETS = MARKED.findall(README.read_text("utf-8"))


def test_every_marked_snippet_is_found():
    assert len(SNIPPETS) == 2


def test_snippets_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=4)
    model.save_pretrained("quickstart/rbm")
    for snippet in SNIPPETS:
        Path("snippet.py").write_text(snippet, "utf-8")
        runpy.run_path("snippet.py")
    assert Path("samples.png").exists()
    assert "log-likelihood" in capsys.readouterr().out
    assert genzoo.GenModel.from_pretrained("runs/digits").config.num_hidden == 64


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
