"""docs/lecture.md: its topics are in order, and what it names exists and can be typed."""

import re
import shlex
from pathlib import Path

import pytest

import genzoo
from genzoo.cli import commands

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "lecture.md").read_text("utf-8")
# Commands in a line of text, in a table and in a console block.
COMMANDS = [
    shlex.split(found)
    for found in re.findall(r"`(genzoo [^`]+)`|^\$ (genzoo .+)$", PAGE, re.MULTILINE)
    for found in found
    if found
]
TESTS = re.findall(r"`((?:tests|plugins)/[\w/]*test_\w+\.py)(?:::(\w+))?`", PAGE)
CARDS = {"rbm": "rbm-digits", "vae": "vae-digits", "gan": "gan-fashion-mnist"}
CARDS |= {"negative": "cyclegan-fashion-mnist-negative"}
CARDS |= {"grey": "discrete-diffusion-digits"}
CARDS |= {"sbn": "sbn-digits", "discrete": "discrete-vae-digits"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model for each run that the page's commands read."""
    folder = tmp_path_factory.mktemp("lecture")
    (folder / "runs").mkdir()
    (folder / "model_cards").symlink_to(ROOT / "model_cards")
    for run, card in CARDS.items():
        (folder / "runs" / run).symlink_to(ROOT / "model_cards" / card)
    small = {"network": "flat", "hidden_dim": 8, "conditions": ("label",)}
    digits = genzoo.load_dataset("digits")
    genzoo.create_model("ddpm", data=digits, **small).save_pretrained(folder / "runs" / "ddpm")
    genzoo.create_model("gan", data=digits).save_pretrained(folder / "runs" / "ring")
    ring = genzoo.load_dataset("ring", num=100)
    flow = genzoo.create_model("rectified-flow", data=ring, hidden_dim=8)
    flow.save_pretrained(folder / "runs" / "flow")
    bars = genzoo.load_dataset("bars-and-stripes", side=4)
    machine = genzoo.create_model("boltzmann-machine", data=bars)
    machine.save_pretrained(folder / "runs" / "machine")
    zeros_and_ones = genzoo.Binary(shape=(1, 8, 8))
    net = genzoo.create_model("pixelcnn", event=zeros_and_ones, hidden_channels=4, num_layers=1)
    net.save_pretrained(folder / "runs" / "pixels")
    return folder


def test_there_are_twenty_two_topics_in_order():
    assert [int(n) for n in re.findall(r"^## (\d+)\. ", PAGE, re.MULTILINE)] == [*range(1, 23)]


def test_the_files_that_it_links_exist():
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_the_tests_that_it_names_exist(file, name):
    assert f"def {name}(" in (ROOT / file).read_text("utf-8") if name else (ROOT / file).exists()


@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(c)[7:60] for c in COMMANDS])
def test_its_commands_can_be_typed(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    commands._parse(command[1], commands.rewritten(command[2:]))
