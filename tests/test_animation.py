"""Trajectories as GIF and as one HTML file without scripts and requests."""

import base64
import io
import logging
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genzoo
from genzoo import animation
from genzoo.animation import MAX_FRAMES, write_animation
from genzoo.cli import main
from genzoo.cli.trajectory import Way
from genzoo.errors import ConfigError, DataError
from genzoo.plotting import grid


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)


def noise(num, side=32):
    generator = np.random.default_rng(0)
    return [
        Image.fromarray(generator.integers(0, 256, (side, side), np.uint8)) for _ in range(num)
    ]


class Page(HTMLParser):
    """The tags of a page, and what they load."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.loaded = [], []
        self.text = Path(path).read_text("utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.loaded += [value for key, value in attrs if key in ("src", "href", "srcset")]

    @property
    def frames(self):
        texts = [source.removeprefix("data:image/png;base64,") for source in self.loaded]
        return [Image.open(io.BytesIO(base64.b64decode(text))) for text in texts]


def test_a_gif_has_each_frame_in_order_and_rests_on_the_last():
    frames = noise(4)
    assert write_animation(frames, Path("x.gif"), titles=["a"] * 4, title="t") == 4
    with Image.open("x.gif") as found:
        assert found.n_frames == 4
        assert found.info["loop"] == 0
        times = []
        for i, wanted in enumerate(frames):
            found.seek(i)
            times.append(found.info["duration"])
            assert np.array_equal(np.asarray(found.convert("L")), np.asarray(wanted))
    assert times[:3] == [120] * 3
    assert times[3] > 1000


def test_a_page_has_each_frame_and_neither_scripts_nor_requests():
    frames, hostile = noise(3), '"><script>alert(1)</script>'
    write_animation(frames, Path("x.html"), titles=["first", hostile, "last"], title=hostile)
    page = Page("x.html")
    assert [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object")] == []
    assert all(source.startswith("data:image/png;base64,") for source in page.loaded)
    assert "default-src 'none'" in page.text
    assert "url(" not in page.text
    for found, wanted in zip(page.frames, frames, strict=True):
        assert np.array_equal(np.asarray(found), np.asarray(wanted))
    steps = [attrs for tag, attrs in page.tags if attrs.get("type") == "radio"]
    assert [step["aria-label"] for step in steps] == ["first", hostile, "last"]
    assert ["checked" in step for step in steps] == [False, False, True]
    # Each step shows the frame of its number.
    for i in range(3):
        assert f"main:has(#s{i}:checked) #f{i} {{ visibility: visible; }}" in page.text


@pytest.mark.parametrize("suffix", ["gif", "html"])
def test_a_file_has_no_more_frames_and_bytes_than_it_may(suffix, monkeypatch):
    frames, path = noise(100, 8), Path(f"x.{suffix}")
    titles = [str(i) for i in range(100)]
    assert write_animation(frames, path, titles=titles, title="t") == MAX_FRAMES
    whole = path.stat().st_size
    monkeypatch.setattr(animation, "MAX_BYTES", whole // 3)
    kept = write_animation(frames, path, titles=titles, title="t")
    assert 1 < kept < MAX_FRAMES // 2
    assert path.stat().st_size <= whole // 3
    if suffix == "html":
        last = Page(path).frames[-1]
        assert np.array_equal(np.asarray(last), np.asarray(frames[-1]))
    monkeypatch.setattr(animation, "MAX_BYTES", 10)
    with pytest.raises(ConfigError, match="fewer samples"):
        write_animation(frames, Path("y.gif"), titles=titles, title="t")
    assert not Path("y.gif").exists()


def said(line, capsys, code=0):
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(line.split())
    found = capsys.readouterr()
    assert left.value.code == code, found
    return found.out + found.err


def test_a_trajectory_is_drawn_state_by_state_and_the_samples_stay_the_same(capsys):
    event = genzoo.Binary(shape=(1, 3, 3))
    genzoo.create_model("rbm", event=event, num_hidden=2).save_pretrained("m")
    line = "sample m --num 20 --seed 3 --sampler gibbs --sampler.num-steps 7"
    said(f"{line} --output plain.npz", capsys)
    out = said(f"{line} --output x.npz --trajectory way.html", capsys)
    assert "The first 16 of 20 samples, state by state, 7 of 7 states: way.html." in out
    assert np.array_equal(np.load("x.npz")["x"], np.load("plain.npz")["x"])
    page = Page("way.html")
    assert len(page.frames) == 7
    assert re.findall(r"<figcaption>(.*?)</figcaption>", page.text)[0] == "state 1 of 7"
    last = torch.from_numpy(np.load("x.npz")["x"][:16]).float()
    assert np.array_equal(np.asarray(page.frames[-1]), np.asarray(grid(last)))
    said(f"{line} --output x.npz --trajectory way.gif", capsys)
    assert Image.open("way.gif").n_frames > 1
    error = said(f"{line} --output y.npz --trajectory way.mp4", capsys, code=2)
    assert "must end in .png, .gif or .html" in error
    assert not Path("y.npz").exists()


class Steps:
    """A sampler that says how many states it has."""

    def num_states(self, model):
        return 3


def way(event, states, path):
    """Return what is written of states of a model of these data."""
    model = Shown(event)
    found = Way(model, Steps(), Path(path))
    for state in states:
        found(0, state)
        found(1, state)  # A second block has no part in it.
    return found.write(model, len(states[0]))


class Shown(torch.nn.Module):
    """As much of a model as is needed to show its states."""

    def __init__(self, event):
        super().__init__()
        self.event = event

    def to_data(self, state):
        return state


def test_points_keep_one_scale():
    states = [torch.full((5, 2), float(scale)) for scale in (1, 2, 100)]
    assert "first 5 of 5" in way(genzoo.Real(shape=(2,)), states, "points.gif")
    images = []
    with Image.open("points.gif") as moved:
        for i in range(3):
            moved.seek(i)
            images.append(np.asarray(moved.convert("RGB")))
    # The frame is at one place; only the points move.
    assert all(np.array_equal(image[:30], images[0][:30]) for image in images)
    assert not np.array_equal(images[0], images[2])


WORDS = genzoo.Categorical(shape=(4,), num_categories=3, names=("a", "b", "c"))


def test_rows_of_text_are_lines_in_each_frame_and_no_picture():
    states = [torch.full((2, 4), k) for k in range(3)]
    told = way(WORDS, states, "words.html")
    assert "3 of 3 states" in told
    page = Page("words.html")
    assert len({frame.tobytes() for frame in page.frames}) == 3
    with pytest.raises(DataError, match=r"end in \.gif or \.html"):
        way(WORDS, states, "words.png")
