"""A repository can harm nobody who loads it: hundreds by hand, thousands made up, all watched.

They run in a process of their own (see `hostile_run.py`), where an audit hook tells of everything
that is imported, opened, run or connected to.
"""

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hostile
import hostile_cards
import hostile_encoders
import hostile_foreign
import hostile_layout
import hostile_pipelines
from escapes import ESCAPES
from folders import CONFIG, INDEX, saved
from genzoo import GenModel, GenzooError
from genzoo.hub.reference import Reference
from genzoo.pretrained.pulling import pull
from hubs import contents

KINDS = (hostile, hostile_foreign, hostile_layout, hostile_pipelines)
CASES = {name: change for kind in KINDS for name, change in kind.CASES.items()}
PEAK = 50 * 2**20  # What a load may take above the memory that is in use before.
MADE_UP = 700  # Of each kind: configs, indexes, headers.
FUZZED = 300  # Over all subjects; `make fuzz` does 20,000.
SECONDS = 1.0  # Of the processor, that a load may take.


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    script = Path(__file__).with_name("hostile_run.py")
    command = [sys.executable, script, tmp_path_factory.mktemp("hostile"), MADE_UP, FUZZED]
    command = [*map(str, command)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def hand_made(found):
    return found["hand-made"]


def test_every_case_is_refused_by_an_error_of_the_library(hand_made):
    cases = {name: hand_made[name]["outcome"] for name in CASES}
    assert len(cases) >= 150
    assert {name: what for name, what in cases.items() if what != "refused"} == {}


def test_what_loading_does_not_read_does_no_harm_nor_does_its_card_where_it_is_read(hand_made):
    for name in hostile_cards.IGNORED:
        assert hand_made[f"ignored, {name}"]["outcome"] == "loaded"
        assert hand_made[f"read, {name}"]["outcome"] in ("loaded", "refused")


def test_nothing_is_imported_run_or_opened_elsewhere(hand_made):
    assert {name: seen["events"] for name, seen in hand_made.items() if seen["events"]} == {}


def test_memory_stays_bounded(hand_made):
    assert {name: seen["peak"] for name, seen in hand_made.items() if seen["peak"] > PEAK} == {}


def test_no_layer_is_built_before_the_headers_are_read_and_no_more_than_they_tell_of(hand_made):
    before = ("config", "description", "index", "header", "links", "files")
    for name, seen in hand_made.items():
        # A cap of twice the tensors, and some: a parameter may have a second name.
        assert seen["parameters"] <= max(2 * seen["allowed"], 64) + 1, name
        if name.startswith(before) and not seen["allowed"]:
            assert seen["parameters"] == 0, name


def test_what_is_made_up_does_no_harm(found):
    made_up = found["made-up"].values()
    assert sum(kind["cases"] for kind in made_up) >= 2_000
    for kind in made_up:
        assert kind["bad"] == []
        assert kind["peak"] <= PEAK
        assert kind["layers"] <= 64
        assert kind["refused"] > 0.9 * kind["cases"]


# Text encoders of others.


def test_a_hostile_text_encoder_is_refused(found):
    cases = {name: found["encoders"][name]["outcome"] for name in hostile_encoders.CASES}
    assert len(cases) >= 300
    assert {name: what for name, what in cases.items() if what != "refused"} == {}


def test_what_is_not_read_of_a_text_encoder_changes_no_state(found):
    cases = {name: found["encoders"][name]["same"] for name in hostile_encoders.HARMLESS}
    assert len(cases) >= 60
    assert {name: same for name, same in cases.items() if same != [True]} == {}


def test_a_text_encoder_imports_runs_and_opens_nothing_else(found):
    events = {name: seen["events"] for name, seen in found["encoders"].items() if seen["events"]}
    assert events == {}


def test_no_kernel_is_ever_asked_for(found):
    for kind in ("hand-made", "encoders"):
        asked = {name: seen["kernels"] for name, seen in found[kind].items() if seen["kernels"]}
        assert asked == {}
    assert "evil/kernel" in found["asked by transformers"][0]  # So the stand-in would be asked.


def test_a_text_encoder_takes_little_memory_and_time(found):
    for name, seen in found["encoders"].items():
        assert seen["peak"] <= PEAK, name
        assert seen["seconds"] <= SECONDS, name


# Folders of every registered model, of pipelines, text encoders and image models, at random.


def test_what_is_changed_at_random_does_no_harm(found):
    fuzzed = found["fuzzed"]
    assert fuzzed["cases"] >= FUZZED
    assert fuzzed["bad"] == []
    assert fuzzed["refused"] + fuzzed["loaded"] == fuzzed["cases"]
    assert fuzzed["refused"] > 0.5 * fuzzed["cases"]


def test_the_page_on_security_names_tests_that_are_there():
    here = Path(__file__).parent
    page = (here.parent / "docs" / "security.md").read_text("utf-8")
    named = set(re.findall(r"test_\w+\.py", page))
    assert len(named) > 5
    there = [*here.glob("test_*.py"), *here.parent.glob("plugins/*/tests/test_*.py")]
    assert named <= {path.name for path in there}


# Thirteen kinds of names that lead out of a folder, in each of the places that hold one.


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_that_leads_out_is_refused_wherever_it_stands(name, hub, tmp_path):
    folder = saved(tmp_path / "model")
    files = contents(folder)
    index = json.dumps({"weight_map": {"W": name}}).encode()
    config = {**json.loads(files[CONFIG]), "model": name}
    hub.put("user/index", {**files, INDEX: index})
    hub.put("user/config", {**files, CONFIG: json.dumps(config).encode()})
    hub.put("user/model", files)
    cases = {
        "index": ("user/index", {}),
        "config": ("user/config", {}),
        "subfolder": ("user/model", {"subfolder": name}),
        "revision": ("user/model", {"revision": name}),
    }
    for source, arguments in cases.values():
        with pytest.raises(GenzooError):
            GenModel.from_pretrained(source, cache_dir=tmp_path / "cache", **arguments)
    (folder / INDEX).write_bytes(index)
    with pytest.raises(GenzooError):
        GenModel.from_pretrained(folder)
    hub.put("user/listing", {**files, name: b"x"})
    with contextlib.suppress(GenzooError):
        pull(Reference("user/listing"), tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists() or set(contents(tmp_path / "pulled")) == files.keys()
    outside = {p.name for p in tmp_path.iterdir()} - {"model", "cache", "pulled"}
    assert outside == set()
