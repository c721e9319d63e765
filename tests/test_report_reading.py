"""What a report is made of: logs and pictures, thinned, and read with suspicion."""

import itertools
import json
import os
from array import array

import numpy as np
import pytest
from PIL import Image

from genzoo.report import log, pictures, write_report
from genzoo.report.curves import GROUPS, MAX_POINTS, draw, thin
from reports import Page, check_harmless, page_of, row, unfinished


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_line_that_is_being_written_is_left_out():
    folder = unfinished("run", row(1, loss=2.0))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"stage": 0, "step": 2, "model/lo')
    found = log.read_log(folder)
    assert list(found.series[0, "model/loss"].values) == [2.0]
    assert found.notes == ["The last line of metrics.jsonl is incomplete and was left out."]
    assert "is incomplete" in page_of(folder).text


ODD = (
    *("[]", "null", "{}", "7", '{"stage": 0}', '{"stage": true, "step": 1}', "\x00", "\\ud800"),
    *('{"stage": 0, "step": -1}', f'{{"stage": 0, "step": 1{"0" * 40}}}', "[" * 100_000),
    *(f'{{"stage": 0, "step": {"9" * 5000}}}', '{"stage": 0, "step": 1.5}', '{"stage": "a"}'),
)


def test_lines_that_are_no_rows_are_counted():
    folder = unfinished("run")
    (folder / "metrics.jsonl").write_text("\n".join([*ODD, json.dumps(row(3, loss=1.0)), ""]))
    found = log.read_log(folder)
    assert found.notes == [f"{len(ODD)} lines of metrics.jsonl are malformed and were left out."]
    assert list(found.series) == [(0, "model/loss")]
    assert found.last == {0: 3}


def test_values_that_are_not_finite_are_gaps_and_said_to_be():
    values = [1.0, None, 3.0, 10**400]
    folder = unfinished("run", *(row(i, loss=value) for i, value in enumerate(values)))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"stage": 0, "step": 4, "model/loss": NaN, "model/name": "text", "x": true}\n')
    found = log.read_log(folder)
    assert list(found.series) == [(0, "model/loss")]
    series = found.series[0, "model/loss"]
    assert np.array_equal(series.values, [1.0, np.nan, 3.0, np.nan, np.nan], equal_nan=True)
    curve = draw(series)
    assert curve.last == "not finite"
    assert "3 of 5 values are not finite" in curve.facts
    assert "lowest 1 at step 0" in curve.facts
    assert "svg" in curve.picture


def test_a_metric_without_one_finite_value_has_no_picture():
    curve = draw(log.Series(0, "model/loss", array("q", [1]), array("d", [np.nan])))
    assert (curve.last, curve.picture) == ("not finite", "")


@pytest.mark.parametrize(
    "values", [[0.0], [1e100, -1e100], [5e-324, 1e100], [5e-324] * 3, [1e-9] * 500, [3.0] * 2]
)
def test_extreme_values_are_drawn(values):
    steps = array("q", [10**15 - 1] * len(values))
    assert "NaN" not in draw(log.Series(0, "loss", steps, array("d", values))).picture


def test_thinning_keeps_the_mean_and_the_range():
    values = np.random.default_rng(0).normal(size=100_003)
    values[777] = 50.0
    thinned = thin(np.arange(len(values), dtype=float), values)
    assert len(thinned.mean) == len(thinned.low) == len(thinned.steps) == GROUPS
    assert thinned.high.max() == 50.0
    assert thinned.low.min() == values.min()
    assert (thinned.low <= thinned.mean).all()
    assert (thinned.mean <= thinned.high).all()
    edges = np.linspace(0, len(values), GROUPS + 1).astype(int)
    parts = [values[a:b].mean() for a, b in itertools.pairwise(edges)]
    assert np.allclose(thinned.mean, parts, rtol=1e-12)


def test_few_values_are_all_kept():
    values = np.arange(MAX_POINTS, dtype=float)
    thinned = thin(values, values)
    assert thinned.size == 1
    assert np.array_equal(thinned.mean, values)


def test_a_long_log_makes_a_small_page():
    folder = unfinished("run", *(row(i, loss=np.sin(i)) for i in range(20_000)))
    path = write_report(folder, "report.html")
    assert (folder / "metrics.jsonl").stat().st_size > 900_000
    assert path.stat().st_size < 100_000
    assert "mean and range of groups of 134 values" in Page(path.read_text("utf-8")).text


def test_a_log_beyond_the_limits_is_read_in_part(monkeypatch):
    monkeypatch.setattr(log, "MAX_BYTES", 1000)
    monkeypatch.setattr(log, "MAX_ROW_BYTES", 100)
    monkeypatch.setattr(log, "MAX_SERIES", 2)
    folder = unfinished("run", row(1, a=1, b=2, c=3), {"x": "y" * 450}, *[row(2, a=1)] * 100)
    found = log.read_log(folder)
    assert list(found.series) == [(0, "model/a"), (0, "model/b")]
    assert 1 < len(found.series[0, "model/a"].values) < 30
    assert [note.split(" ")[0] for note in found.notes] == ["1", "Metrics", "Only"]


def test_samples_come_in_order_and_thinned():
    folder = unfinished("run")
    (folder / "samples").mkdir()
    wanted = []
    for stage, step in [(s, t) for s in (0, 1) for t in range(1, 41)]:
        wanted.append(f"stage-{stage:03d}-step-{step:09d}.png")
    for name in [*reversed(wanted), "final.png"]:
        Image.new("L", (4, 4), 90).save(folder / "samples" / name)
    found = pictures.read_timeline(folder)
    names = [picture.name for picture in found.pictures]
    assert len(names) == pictures.MAX_PICTURES
    assert names == sorted(names, key=[*wanted, "final.png"].index)
    assert (names[0], names[-1]) == (wanted[0], "final.png")
    places = [[*wanted, "final.png"].index(name) for name in names]
    assert set(np.diff(places)) <= {3, 4}
    assert found.notes == ("24 of 81 pictures are shown, evenly spaced.",)


def test_pictures_that_are_none_or_too_large_are_left_out(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 5000)
    folder = unfinished("run")
    samples = folder / "samples"
    samples.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(samples / "whole.png")
    whole = (samples / "whole.png").read_bytes()
    (samples / "cut.png").write_bytes(whole[: len(whole) // 2])
    (samples / "text.png").write_text("<script>")
    (samples / "empty.png").write_bytes(b"")
    (samples / "jpeg.png").mkdir()
    Image.new("L", (100, 100)).save(samples / "large.png")
    Image.fromarray(noise).save(samples / "gif.png", format="GIF")
    os.mkfifo(samples / "pipe.png")
    found = pictures.read_timeline(folder)
    assert [picture.name for picture in found.pictures] == ["whole.png"]
    left = {note.split(" ")[0] for note in found.notes}
    assert left == {f"{n}.png" for n in ("cut", "text", "empty", "jpeg", "large", "gif", "pipe")}
    assert "100 × 100 pixels" in " ".join(found.notes)
    check_harmless(page_of(folder))


def test_a_large_picture_is_made_smaller():
    folder = unfinished("run")
    (folder / "samples").mkdir()
    Image.new("RGB", (3000, 1500)).save(folder / "samples" / "final.png")
    (picture,) = pictures.read_timeline(folder).pictures
    assert picture.size == (1024, 512)


def test_the_runs_own_machine_is_shown_as_it_was_written():
    folder = unfinished("run", row(1, loss=2.0))
    there = {"system": "Plan 9 <b>", "threads": 3}
    (folder / "environment.json").write_text(json.dumps(there), "utf-8")
    assert "Plan 9 <b>" in page_of(folder).text


@pytest.mark.parametrize("text", ["[]", "{", "7", "[" * 100_000])
def test_a_damaged_environment_is_said_to_be(text):
    folder = unfinished("run", row(1, loss=2.0))
    (folder / "environment.json").write_text(text, "utf-8")
    assert "environment.json is damaged" in page_of(folder).text
