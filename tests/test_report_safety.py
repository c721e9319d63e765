"""Whatever a folder holds is text to its report, in a browser too; and only the folder is read."""

import functools
import json
import logging
import os
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from genzoo.report import write_report
from genzoo.stage import Recipe
from genzoo.text_safety import visible
from reports import (
    Page,
    check_harmless,
    needs_browser,
    opened,
    page_of,
    train_run,
    write_log,
)

PAYLOADS = (
    '<script>document.title="owned"</script>',
    '"><img src=x onerror="document.title=\'owned\'">',
    "{{1234*5678}}{% raw %}",
    "</style></pre></title><script>document.title='owned'</script>",
    "$\\frac{",
    "javascript:document.title='owned'",
    "<a href=//example.invalid>x</a><svg/onload=document.title='owned'>",
    "nul \x00 escape \x1b delete \x7f turned \u202etxet\u2066 lone",
    "שלום עולם مرحبا",
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty folder, and no handler bound to an earlier test's stderr."""
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_run(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def run(trained, tmp_path):
    """A copy of that run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_nothing_outside_the_folder_is_read(run, tmp_path):
    (tmp_path / "secret").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "secret" / "a.png")
    for name in ("README.md", "recipe.toml", "metrics.jsonl", "evaluation-1.json"):
        (tmp_path / "secret" / name).write_text(
            '{"figures": {}, "provenance": {"x": "concealed"}}'
        )
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(tmp_path / "secret" / name)
    shutil.rmtree(run / "samples")
    (run / "samples").symlink_to(tmp_path / "secret")
    (run / "evaluation-2.json").symlink_to("evaluation-2.json")
    page = page_of(run)
    assert "concealed" not in page.text
    assert "img" not in page.elements
    assert page.text.count("is a link out of its folder") == 5


def test_what_is_no_file_is_said_to_be(run):
    (run / "metrics.jsonl").unlink()
    os.mkfifo(run / "metrics.jsonl")
    (run / "README.md").mkdir()
    page = page_of(run)
    assert "README.md is not a file." in page.text
    assert "Nothing is logged yet" in page.text


def poisoned(run):
    """Put every payload into every text of a run, and return each with the field it is in."""
    fields = []

    def bad(field, payloads=PAYLOADS):
        texts = [f"{field} {payload} ." for payload in payloads]
        fields.extend(texts)
        return texts

    def joined(field):
        return " | ".join(bad(field))

    tables = {
        "model": {"name": joined("recipe model"), "config": {"key": bad("recipe value")}},
        "data": {"name": joined("recipe data"), "config": dict.fromkeys(["k"], bad("data value"))},
        "stages": [{"objective": {"name": joined("objective")}, "part": joined("part")}] * 2,
    }
    (run / "recipe.toml").write_text(Recipe.from_dict(tables).to_toml(), "utf-8")
    config = {"genzoo": 1, "model": joined("config model"), "plugin": {"a": joined("plugin")}}
    (run / "config.json").write_text(json.dumps(config, ensure_ascii=False), "utf-8")
    metrics = dict.fromkeys((f"model/{text}" for text in bad("metric")), 1.5)
    players = {f"{text.replace('/', '')}/loss": 2.5 for text in bad("player", PAYLOADS[4:6])}
    bare = dict.fromkeys((text for text in bad("bare metric", PAYLOADS[4:6])), 3.5)
    write_log(run, {"stage": 0, "step": 1, **metrics, **players, **bare})
    (run / "README.md").write_text(joined("card"), "utf-8")
    figure = {"value": 1.0, "std_error": 0.1, "unit": joined("unit"), "kind": joined("kind")}
    figure |= {"notes": bad("note"), "interval": bad("interval"), joined("field"): joined("value")}
    figure |= {
        "provenance": {joined("own key"): joined("own value")},
        "reference": joined("reference"),
    }
    provenance = {
        joined("provenance key"): joined("provenance"),
        "data": joined("provenance data"),
    }
    judged = {"figures": {joined("figure"): figure}, "provenance": provenance}
    (run / "evaluation.json").write_text(json.dumps(judged))
    (manifest,) = run.glob("checkpoints/*/manifest.json")
    manifest.write_text(json.dumps({"versions": {joined("package"): joined("version")}}))
    for text in bad("file", [p.replace("/", "").replace("\x00", "") for p in PAYLOADS]):
        shutil.copy(next((run / "samples").glob("stage-*")), run / "samples" / f"{text}.png")
        shutil.copy(run / "evaluation.json", run / f"evaluation {text}.json")
    (run / "samples" / "broken <b>picture<b>.png").write_text("no")
    return fields


@functools.cache
def shown_in(text):
    """Return how a page shows a text: as it stands, or as config.json or recipe.toml write it."""
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return visible(text), visible(escaped), visible(escaped.replace("\x7f", "\\u007f"))


def check_shown(page, fields):
    for text in fields:
        assert any(form in page.text for form in shown_in(text)), text
    assert "7006652" not in page.text


def name_that_bites(run):
    """Rename a run's folder to what would be an element."""
    return run.rename(run.parent / '"><img src=x onerror="document.title=\'owned\'">\u202e')


def test_whatever_a_folder_holds_is_text(run):
    fields = poisoned(run)
    path = write_report(name_that_bites(run), "report.html")
    page = Page(path.read_text("utf-8"))
    check_harmless(page)
    check_shown(page, fields)
    assert len(fields) > 200


@needs_browser
def test_a_browser_runs_nothing_of_what_a_folder_holds(run, tmp_path):
    fields = poisoned(run)
    path = write_report(name_that_bites(run), "report.html")
    before = Page(path.read_text("utf-8"))
    page = opened(path, tmp_path)
    assert page.title == before.title != "owned"
    assert "onerror" in page.title
    check_harmless(page)
    check_shown(page, fields)


@needs_browser
def test_a_script_that_came_into_the_page_would_not_run(run, tmp_path):
    """The policy holds by itself; without it the script runs, so that the test would see it."""
    text = write_report(run, "report.html").read_text("utf-8")
    script = '<script>document.title = "owned"</script></body>'
    bitten = text.replace("</body>", script)
    Path("bitten.html").write_text(bitten, "utf-8")
    open_ = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", bitten)
    Path("open.html").write_text(open_, "utf-8")
    assert "owned" not in opened("bitten.html", tmp_path).title
    assert opened("open.html", tmp_path).title == "owned"
