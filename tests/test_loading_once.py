"""Loading opens, checks and fills: a description is read once, resolved once, built once."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import genzoo
import genzoo.description
import genzoo.meta_init
import genzoo.model_files
import genzoo.storage
from folders import machine, saved, split
from genzoo import GenModel
from genzoo.cli import folders
from genzoo.model_files import CONFIG, file_of
from genzoo.pretrained.inspecting import inspect
from hubs import REPOSITORY, put, put_machine, same

STEPS = {
    "opened": (genzoo.storage, "open_model"),
    "read": (genzoo.description, "check_description"),
    "resolved": (genzoo.storage, "resolve_description"),
    "built": (genzoo.storage, "build_empty"),
    "filled": (genzoo.storage, "materialize"),
}


@pytest.fixture
def count(monkeypatch):
    """How often each step of loading is done, and how often a file of config is read."""
    counts = Counter()

    def counted(step, function):
        def counting(*args, **kwargs):
            counts[step] += 1
            return function(*args, **kwargs)

        return counting

    for step, (module, name) in STEPS.items():
        monkeypatch.setattr(module, name, counted(step, getattr(module, name)))
    # GenModel holds the function by its name.
    monkeypatch.setattr("genzoo.pretrained.loading.open_model", genzoo.storage.open_model)
    monkeypatch.setattr("genzoo.pretrained.inspecting.open_model", genzoo.storage.open_model)
    monkeypatch.setattr("genzoo.cli.folders.open_model", genzoo.storage.open_model)
    read = genzoo.model_files.read_text

    def counting(path, most):
        counts[path.name] += 1
        return read(path, most)

    monkeypatch.setattr(genzoo.model_files, "read_text", counting)
    return counts


ONCE = {"opened": 1, "read": 1, "resolved": 1, "built": 1, "filled": 1, CONFIG.name: 1}


def test_a_folder_is_read_resolved_and_built_once(tmp_path, count):
    folder = saved(tmp_path / "model")
    count.clear()
    assert same(GenModel.from_pretrained(folder), machine())
    assert count == ONCE


def test_a_first_load_from_a_hub_reads_resolves_and_builds_once(hub, tmp_path, count):
    put_machine(hub, tmp_path)
    count.clear()
    assert same(GenModel.from_pretrained(REPOSITORY), machine())
    assert count == ONCE


def test_a_load_from_the_cache_does_too(hub, tmp_path, count):
    put_machine(hub, tmp_path)
    GenModel.from_pretrained(REPOSITORY)
    count.clear()
    GenModel.from_pretrained(REPOSITORY)
    assert count == ONCE


def test_a_sharded_model_is_built_once_though_its_headers_are_asked_for_first(
    hub, tmp_path, count
):
    folder = saved(tmp_path / "model")
    split(folder)
    put(hub, folder)
    count.clear()
    assert same(GenModel.from_pretrained(REPOSITORY), machine())
    assert count == ONCE


def test_a_command_that_reads_the_card_too_builds_once(hub, tmp_path, count):
    put_machine(hub, tmp_path)
    folders.repository_of.cache_clear()
    count.clear()
    assert same(folders.model_of(REPOSITORY, None, "cpu"), machine())
    assert (folders.folder_of(REPOSITORY, None) / CONFIG.name).is_file()
    assert count == ONCE


def test_inspecting_builds_nothing_and_reads_no_weight(tmp_path, count, monkeypatch):
    folder = saved(tmp_path / "model")
    count.clear()
    monkeypatch.setattr("genzoo.weights.safe_open", None)
    assert inspect(str(folder)).weights.headers
    assert count == {"opened": 1, "read": 1, CONFIG.name: 1}


# The table


@pytest.mark.parametrize(
    ("name", "pushed", "cleared"),
    [
        ("config.json", True, True),
        ("model.safetensors", True, True),
        ("model-00001-of-00002.safetensors", True, True),
        ("model.safetensors.index.json", True, True),
        ("README.md", True, True),
        ("recipe.toml", True, True),
        ("evaluation.json", True, True),
        ("evaluation-2.json", False, True),
        ("samples.png", True, False),
        ("strip.png", True, False),
        ("metrics.jsonl", False, True),
        ("environment.json", False, True),
        ("meanings.json", False, True),
        ("status.json", False, True),
        ("report.html", False, True),
        ("checkpoints", False, True),
        ("samples", False, True),
        ("model-old.safetensors", False, True),
        (".lock", False, False),
    ],
)
def test_the_table_knows_each_file_of_a_model_folder(name, pushed, cleared):
    file = file_of(name)
    assert (file.pushed, file.cleared) == (pushed, cleared)


@pytest.mark.parametrize("name", ["notes.txt", "config.json.bak", "../config.json", "a b.png", ""])
def test_the_table_knows_no_other_file(name):
    assert file_of(name) is None


def test_what_is_pushed_and_is_not_a_weight_has_a_greatest_size():
    unbounded = [f.name for f in genzoo.model_files.TABLE if f.pushed and not f.max_bytes]
    assert unbounded == ["model.safetensors", "shards"]


NAMES = {file.name for file in genzoo.model_files.TABLE if "." in file.name[1:]}
ELSEWHERE = {
    "scaffold/making.py",  # a plugin's README
    "training/checkpoint.py",  # a checkpoint's own weights
    *(f"cli/{name}.py" for name in ("quickstart", "sample", "train")),  # a command's picture
}


def test_nothing_else_in_the_core_spells_the_name_of_such_a_file():
    core = Path(genzoo.__file__).parent
    found = [
        f"{path.relative_to(core)}: {node.value}"
        for path in core.rglob("*.py")
        if path.name != "model_files.py" and str(path.relative_to(core)) not in ELSEWHERE
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value in NAMES
    ]
    assert found == []
