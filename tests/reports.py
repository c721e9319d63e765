"""Runs for the tests of the report, and what its page comes to, with a browser and without."""

import html.parser
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from genzoo.cli import main
from genzoo.report import write_report
from genzoo.stage import Recipe

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
needs_browser = pytest.mark.skipif(
    not BROWSER, reason="no Chromium here: apt-get install chromium (or google-chrome)"
)


class Page(html.parser.HTMLParser):
    """The elements of a page, the attributes that lead elsewhere, and its text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.texts, self.styles = [], [], [], []
        self.title, self.where = "", []
        self.feed(text)
        self.text = "".join(self.texts)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.where.append(tag)

    def handle_endtag(self, tag):
        while self.where and self.where.pop() != tag:
            pass

    def handle_data(self, data):
        inner = self.where[-1] if self.where else ""
        if inner == "style":
            self.styles.append(data)
        elif inner == "title":
            self.title += data
        else:
            self.texts.append(data)


def command(line, code=0):
    with pytest.raises(SystemExit) as left:
        main(line if isinstance(line, list) else line.split())
    assert left.value.code == code


def train_run(home):
    """Train, and return a run that has ended, with samples and an evaluation."""
    bits = (np.random.default_rng(0).random((40, 6)) < 0.5).astype(np.uint8)
    np.savez(home / "bits.npz", train=bits, test=bits[:10])
    train = f"train rbm --data {home}/bits.npz --output {home}/run --model.num-hidden 4"
    steps = "--trainer.max-steps 6 --trainer.batch-size 8 --trainer.threads 1"
    command(f"{train} {steps} --trainer.logging-steps 2 --trainer.sample-steps 3")
    figures = "--metrics log-likelihood --json"
    command(f"evaluate {home}/run {figures} {home}/run/evaluation.json")
    return home / "run"


def unfinished(folder, *rows):
    """Return a run under way: a recipe and a log, and nothing else."""
    Path(folder).mkdir()
    values = {
        "model": {"name": "rbm"},
        "data": {"name": "digits"},
        "stages": [{"objective": {"name": "pcd"}, "trainer": {"max_steps": 500}}],
    }
    Path(folder, "recipe.toml").write_text(Recipe.from_dict(values).to_toml(), "utf-8")
    write_log(folder, *rows)
    return Path(folder)


def write_log(folder, *rows):
    Path(folder, "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(step, **values):
    return {"stage": 0, "step": step, **{f"model/{name}": v for name, v in values.items()}}


def evaluation(**fields):
    """Return what genzoo evaluate writes, with one figure."""
    figure = {"value": -17.6512, "std_error": 0.2734, "kind": "exact", "unit": "nats"}
    figure |= {"num_samples": 297, "interval": None, "notes": [], **fields}
    return json.dumps({"figures": {"score": figure}, "provenance": {"data": "mine", "seed": 0}})


def page_of(folder, *evaluations):
    return Page(write_report(folder, "report.html", evaluations).read_text("utf-8"))


def check_harmless(page):
    """Check that a page has no script and no handler, and leads nowhere but into itself."""
    banned = {"script", "iframe", "object", "embed", "link", "base", "form", "audio", "video"}
    assert not banned & set(page.elements)
    leading = {"src", "href", "xlink:href", "srcset", "action", "data", "poster", "background"}
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name, value)
        if name in leading:
            assert re.match(r"#[a-z]+$|data:image/png;base64,[\w+/=]+$", value), (tag, name, value)
        if name == "style":
            assert "url(" not in value
    assert len(page.styles) == 1
    assert not re.search(r"url\(|@import|//", page.styles[0])
    assert ("meta", "http-equiv", "Content-Security-Policy") in page.attributes


def opened(path, home):
    """Return the page that Chromium makes of a file, once its scripts would have run."""
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
        "--disable-dev-shm-usage --disable-background-networking --disable-component-update"
    )
    profile = home / f"profile-{len(list(home.glob('profile-*')))}"
    command = [BROWSER, *flags.split(), f"--user-data-dir={profile}", "--dump-dom"]
    done = subprocess.run(
        [*command, Path(path).resolve().as_uri()], check=True, capture_output=True, timeout=300
    )
    return Page(done.stdout.decode("utf-8"))
