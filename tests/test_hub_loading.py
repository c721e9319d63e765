"""Models loaded from the Hub: all of one commit, each file checked, nothing asked in vain."""

import json

import pytest
import torch

from folders import change_config, machine, saved, split
from genzoo import GenModel
from genzoo.errors import (
    ConfigFileError,
    HubMissingError,
    HubSpaceError,
    LoadError,
    UnknownNameError,
    WeightsError,
)
from genzoo.hub import Reference
from genzoo.hub.fetching import Snapshot
from hubs import REPOSITORY, WEIGHTS, asked, contents, fetched, put, put_machine, same


def test_a_repository_loads_bit_equal(hub, tmp_path):
    model, _ = put_machine(hub, tmp_path)
    loaded = GenModel.from_pretrained(REPOSITORY)
    assert same(loaded, model)
    assert not loaded.training


def test_a_repository_loads_from_a_hub_with_xet(xet_hub, tmp_path):
    model = machine()
    model.push_to_hub(REPOSITORY)
    assert same(GenModel.from_pretrained(REPOSITORY), model)
    assert asked(xet_hub, path="xet-read-token")


def test_a_sharded_repository_loads_bit_equal(hub, tmp_path):
    folder = saved(tmp_path / "model")
    split(folder)
    put(hub, folder)
    assert same(GenModel.from_pretrained(REPOSITORY), machine())


def test_a_model_loads_from_a_folder_of_a_repository(hub, tmp_path):
    files = contents(saved(tmp_path / "model"))
    hub.put(REPOSITORY, {f"models/first/{name}": data for name, data in files.items()})
    assert same(GenModel.from_pretrained(REPOSITORY, subfolder="models/first"), machine())
    with pytest.raises(ConfigFileError, match=r"has no config\.json"):
        GenModel.from_pretrained(REPOSITORY)


def test_it_loads_on_the_device_and_in_the_type_asked_for(hub, tmp_path):
    put_machine(hub, tmp_path)
    assert GenModel.from_pretrained(REPOSITORY, dtype=torch.float64).dtype == torch.float64


# Revisions


def test_a_branch_a_tag_and_a_commit_load_what_they_were(hub, tmp_path):
    old, first = put_machine(hub, tmp_path)
    new, _ = put_machine(hub, tmp_path, model=machine(seed=1))
    assert same(GenModel.from_pretrained(REPOSITORY, revision=first), old)
    assert same(GenModel.from_pretrained(REPOSITORY), new)


def test_all_files_are_of_the_commit_that_was_resolved_though_the_branch_moves(hub, tmp_path):
    old, first = put_machine(hub, tmp_path)
    other = contents(saved(tmp_path / "other", machine(num_hidden=5, seed=1)))
    moved = []

    def move(request):
        if not moved and request.path.endswith("config.json"):
            moved.append(hub.put(REPOSITORY, other))

    hub.on_request = move
    loaded = GenModel.from_pretrained(REPOSITORY)
    assert moved
    assert same(loaded, old)
    assert {r.path.split("/resolve/")[1][:40] for r in asked(hub, path="/resolve/")} == {first}


def test_a_branch_is_resolved_by_one_request_and_its_files_are_fetched_once(hub, tmp_path):
    put_machine(hub, tmp_path)
    GenModel.from_pretrained(REPOSITORY)
    first = len(hub.requests)
    GenModel.from_pretrained(REPOSITORY)
    assert len(hub.requests) == first + 1


def test_a_pinned_commit_that_is_known_makes_no_request(hub, tmp_path):
    model, sha = put_machine(hub, tmp_path)
    GenModel.from_pretrained(REPOSITORY, revision=sha)
    hub.requests.clear()
    assert same(GenModel.from_pretrained(REPOSITORY, revision=sha), model)
    assert hub.requests == []


def test_a_missing_revision_is_named(hub, tmp_path):
    put_machine(hub, tmp_path)
    with pytest.raises(HubMissingError, match="there is no such revision"):
        GenModel.from_pretrained(REPOSITORY, revision="v9")


# What is refused before a weight is fetched


def refused_before_weights(hub, kind, match):
    with pytest.raises(kind, match=match):
        GenModel.from_pretrained(REPOSITORY)
    fetched = [r for r in asked(hub, method="GET") if r.path.endswith(WEIGHTS)]
    assert not [r for r in fetched if not r.range]


def test_a_config_of_another_model_is_refused_by_the_headers_alone(hub, tmp_path):
    folder = saved(tmp_path / "model")
    change_config(folder, lambda found: found["config"].update(num_hidden=5))
    put(hub, folder)
    refused_before_weights(hub, WeightsError, "do not fit its config")


def test_an_unknown_model_is_refused_and_only_our_own_list_says_what_to_install(hub, tmp_path):
    folder = saved(tmp_path / "model")
    plugin = {"distribution": "evil-package", "version": "1"}
    change_config(folder, lambda found: found.update(model="nowhere", plugin=plugin))
    put(hub, folder)
    with pytest.raises(UnknownNameError, match="runs its code") as caught:
        GenModel.from_pretrained(REPOSITORY)
    assert "evil-package" not in str(caught.value)
    assert not asked(hub, path=WEIGHTS)


def test_a_repository_of_pickles_is_refused_and_they_are_named(hub, tmp_path):
    files = contents(saved(tmp_path / "model"))
    files["pytorch_model.bin"] = files.pop(WEIGHTS)
    hub.put(REPOSITORY, files)
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin may run code"):
        GenModel.from_pretrained(REPOSITORY)
    assert not asked(hub, path="pytorch_model.bin")


def test_a_config_that_is_too_large_is_not_fetched(hub, tmp_path):
    files = contents(saved(tmp_path / "model"))
    files["config.json"] = files["config.json"].ljust(2**20 + 1)
    hub.put(REPOSITORY, files)
    refused_before_weights(hub, LoadError, "bytes; 1,048,576 are allowed")
    assert not asked(hub, path="resolve")


def test_an_index_may_name_no_file_elsewhere(hub, tmp_path):
    files = contents(saved(tmp_path / "model"))
    index = {"metadata": {}, "weight_map": {"weight": "../model.safetensors"}}
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    hub.put(REPOSITORY, files)
    refused_before_weights(hub, WeightsError, "not a plain name")


def test_a_header_is_read_by_range_and_a_huge_one_is_refused_without_being_read(hub, tmp_path):
    files = contents(saved(tmp_path / "model"))
    files[WEIGHTS] = (2**60).to_bytes(8, "little") + bytes(10**6)
    hub.put(REPOSITORY, files)
    refused_before_weights(hub, WeightsError, "a header of")
    assert [r.range for r in asked(hub, method="GET", path=WEIGHTS)][:1] == ["bytes=0-65535"]


def test_too_little_space_is_said_before_weights_are_fetched(hub, tmp_path, monkeypatch):
    put_machine(hub, tmp_path)
    usage = type("Usage", (), {"free": 10})()
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(HubSpaceError, match="10 are left"):
        GenModel.from_pretrained(REPOSITORY)
    assert not [r for r in asked(hub, method="GET", path=WEIGHTS) if not r.range]


def test_the_last_byte_of_the_disk_may_be_taken(hub, tmp_path, monkeypatch):
    put_machine(hub, tmp_path)
    snapshot = Snapshot(Reference(REPOSITORY))
    need = snapshot.files[WEIGHTS].size
    usage = type("Usage", (), {"free": need})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    snapshot.check_space([WEIGHTS])
    usage.free -= 1
    with pytest.raises(HubSpaceError, match=f"needs {need:,} more bytes; {need - 1:,} are left"):
        snapshot.check_space([WEIGHTS])


def test_other_files_of_the_repository_are_not_fetched(hub, tmp_path):
    put_machine(hub, tmp_path)
    hub.put(REPOSITORY, {"samples.png": b"png", "code.py": b"import os", "big.bin": bytes(20_000)})
    folder = fetched()
    assert {path.name for path in folder.iterdir()} == {"config.json", WEIGHTS}


def test_loading_says_nothing_on_standard_output(hub, tmp_path, capsys):
    put_machine(hub, tmp_path)
    GenModel.from_pretrained(REPOSITORY)
    assert capsys.readouterr().out == ""


def test_a_damaged_shard_beside_a_missing_one_is_fetched_again(hub, tmp_path):
    folder = saved(tmp_path / "model")
    split(folder)
    put(hub, folder)
    cache = fetched()
    first, second = sorted(cache.glob("model-*.safetensors"))
    second.unlink()
    first.resolve().write_bytes(b"damaged")
    assert same(GenModel.from_pretrained(REPOSITORY), machine())
