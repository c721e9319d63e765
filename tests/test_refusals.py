"""A repository is data: whatever a folder holds, it loads whole and checked or is refused."""

import json
import os
from dataclasses import replace

import pytest
import torch

from folders import (
    CONFIG,
    INDEX,
    WEIGHTS,
    change_config,
    machine,
    refused,
    saved,
    split,
)
from genzoo import GenModel, weights
from genzoo.errors import ConfigFileError, UnknownNameError, WeightsError


@pytest.fixture
def folder(tmp_path):
    return saved(tmp_path / "model")


# config.json


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert "There is no model folder" in refused(tmp_path / "none", ConfigFileError)
    (tmp_path / "file").write_text("")
    assert "There is no model folder" in refused(tmp_path / "file", ConfigFileError)


def test_a_folder_without_a_config_is_refused(folder):
    (folder / CONFIG).unlink()
    assert "has no config.json" in refused(folder, ConfigFileError)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "Expecting value"),
        (b'{"genzoo": 1', "Expecting"),
        (b"\xff\xfe{}", "utf-8"),
        (b"[]", "must hold an object"),
        (b"3", "must hold an object"),
        (b'{"genzoo": 1, "genzoo": 1}', "has a key twice"),
        (b'{"config": {"num_hidden": 4, "num_hidden": 8}}', "has a key twice"),
        (b'{"genzoo": NaN}', "NaN is not JSON"),
        (b'{"config": {"rate": -Infinity}}', "-Infinity is not JSON"),
        (b"[" * 10**5, "are nested over"),
        (b'{"a":' * 10**5, "are nested over"),
        (b"1" * 10**4, "limit"),
        (b"{}" + b" " * 2**20, "larger than 1,048,576 bytes"),
    ],
)
def test_a_config_that_is_not_strict_json_of_a_modest_size_is_refused(text, why, folder):
    (folder / CONFIG).write_bytes(text)
    message = refused(folder, ConfigFileError)
    assert str(folder / CONFIG) in message
    assert why in message


def test_a_config_of_just_the_allowed_size_loads(folder):
    path = folder / CONFIG
    path.write_bytes(path.read_bytes().ljust(2**20))
    GenModel.from_pretrained(folder)
    path.write_bytes(path.read_bytes() + b" ")
    refused(folder, ConfigFileError)


def binary(shape, **more):
    return {"name": "binary", "config": {"shape": shape, **more}}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"auto_map": {}}, "unknown: ['auto_map']"),
        ({"_name_or_path": "x"}, "unknown: ['_name_or_path']"),
        ({"genzoo": 2}, "format 2; this version of genzoo reads 1"),
        ({"genzoo": True}, "format True"),
        ({"genzoo": 1.0}, "format 1.0"),
        ({"genzoo": "1"}, "format '1'"),
        ({"model": "os:system"}, "not the name of a model"),
        ({"model": "../rbm"}, "not the name of a model"),
        ({"model": "RBM"}, "not the name of a model"),
        ({"model": "rbm\n"}, "not the name of a model"),
        ({"model": "x" * 65}, "not the name of a model"),
        ({"model": ["rbm"]}, "not the name of a model"),
        ({"model": None}, "not the name of a model"),
        ({"dtype": "int8"}, "float16, bfloat16, float32, float64 exist"),
        ({"dtype": ["float32"]}, "dtype is"),
        ({"config": []}, "config must be an object"),
        ({"config": None}, "config must be an object"),
        ({"plugin": "genzoo"}, "plugin must hold the texts"),
        ({"plugin": {"distribution": "genzoo"}}, "plugin must hold the texts"),
        ({"plugin": {"distribution": "genzoo", "version": 1}}, "plugin must hold the texts"),
        ({"plugin": {"distribution": "a", "version": "1", "_code": "x"}}, "plugin must hold"),
        ({"dtype": "x" * 10**5}, "dtype is"),
    ],
)
def test_a_description_with_a_bad_value_is_refused(values, why, folder):
    change_config(folder, lambda found: found.update(values))
    assert why in refused(folder, ConfigFileError)


@pytest.mark.parametrize("key", ["genzoo", "model", "plugin", "dtype", "config"])
def test_a_description_that_lacks_a_key_is_refused(key, folder):
    change_config(folder, lambda found: found.pop(key))
    assert f"missing: ['{key}']" in refused(folder, ConfigFileError)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"num_hiden": 4}, "Did you mean 'num_hidden'?"),
        ({"_num_hidden": 4}, "has no field '_num_hidden'"),
        ({"trust_remote_code": True}, "has no field 'trust_remote_code'"),
        ({"num_hidden": "4"}, "must be a whole number"),
        ({"num_hidden": 4.0}, "must be a whole number"),
        ({"num_hidden": True}, "must be a whole number"),
        ({"num_hidden": 0}, "RBMConfig.num_hidden must be in [1, 1048576]"),
        ({"num_hidden": 10**12}, "got 1000000000000"),
        ({"num_hidden": 10**4000}, "bits"),
        ({"event": binary([1, -2, -3])}, "Binary.shape[1]"),
        ({"event": binary([])}, "a length in [1, 8]"),
        ({"event": binary([1] * 10**5)}, "a length in [1, 8]"),
        ({"event": binary([2**20, 2**20])}, "at most 2^26 values"),
        ({"event": binary(6)}, "must be a list of values"),
        ({"event": binary([1, 2, 3], levels=2)}, "Binary has no field 'levels'"),
        ({"event": {"name": "no-such-space"}}, "no-such-space"),
        ({"event": {"config": {}}}, "A space is stored as"),
        ({"event": [1, 2, 3]}, "RBMConfig.event must be a Space"),
        ({"event": {"name": "../evil", "config": {}}}, "space"),
    ],
)
def test_a_config_that_does_not_fit_its_class_is_refused(values, why, folder):
    change_config(folder, lambda found: found["config"].update(values))
    message = refused(folder, ConfigFileError)
    assert str(folder / CONFIG) in message
    assert why in message


def test_a_space_that_the_class_does_not_model_is_refused(folder):
    event = {"name": "real", "config": {"shape": [1, 2, 3]}}
    change_config(folder, lambda found: found["config"].update(event=event))
    assert "RBM models binary data, not 1 × 2 × 3: finite numbers" in refused(folder)


def test_an_unknown_model_is_refused_with_near_names_and_where_it_is_asked_for(folder):
    change_config(folder, lambda found: found.update(model="rmb"))
    message = refused(folder, UnknownNameError)
    assert "Did you mean 'rbm'" in message
    assert str(folder / CONFIG) in message


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, INDEX])
def test_what_would_make_a_reader_wait_is_refused(name, folder):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    refused(folder)


# Which files


def test_missing_weights_are_refused(folder):
    (folder / WEIGHTS).unlink()
    assert f"has no {WEIGHTS}" in refused(folder, WeightsError)
    (folder / WEIGHTS).mkdir()
    assert f"has no {WEIGHTS}" in refused(folder, WeightsError)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl"])
def test_pickles_are_named_and_never_read(name, folder):
    state = machine().state_dict()
    (folder / WEIGHTS).unlink()
    torch.save(state, folder / name)
    assert f"{name} may run code when read, so it is not" in refused(folder, WeightsError)
    (folder / name).rename(folder / WEIGHTS)
    assert "not a safetensors file" in refused(folder, WeightsError)


@pytest.mark.parametrize(
    "name",
    [
        "../outside.safetensors",
        "/etc/outside.safetensors",
        "deeper/model.safetensors",
        "..\\model.safetensors",
        ".hidden.safetensors",
        "model.bin",
        "model.safetensors.bin",
        "model.safetensors\n",
        "model.safetensors\0",
        ".safetensors",
        "",
        3,
        None,
        ["model.safetensors"],
    ],
)
def test_an_index_that_names_anything_but_a_plain_safetensors_file_is_refused(name, folder):
    saved(folder.parent / "other")
    os.replace(folder.parent / "other" / WEIGHTS, folder.parent / "outside.safetensors")
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {"W": name}}))
    assert "is not an index of weights" in refused(folder, WeightsError)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"weight_map": []}',
        b'{"weight_map": {"W": "model.safetensors", "W": "model.safetensors"}}',
        b"[" * 10**5,
    ],
)
def test_a_malformed_index_is_refused(text, folder):
    (folder / INDEX).write_bytes(text)
    assert "is not an index of weights" in refused(folder, WeightsError)


def test_an_index_that_is_too_large_is_refused(folder, monkeypatch):
    split(folder)
    GenModel.from_pretrained(folder)
    most = (folder / INDEX).stat().st_size - 1
    monkeypatch.setattr(weights, "INDEX", replace(weights.INDEX, max_bytes=most))
    assert "is larger than" in refused(folder, WeightsError)


def test_a_missing_shard_is_refused(folder):
    split(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "has no model-00002-of-00002.safetensors" in refused(folder, WeightsError)


def test_a_tensor_that_stands_in_two_shards_is_refused(folder):
    split(folder)
    first, second = sorted(folder.glob("model-*"))
    second.write_bytes(first.read_bytes())
    assert "the tensor 'W' is in two files" in refused(folder, WeightsError)


# Links


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, INDEX])
def test_a_link_out_of_the_folder_is_refused(name, folder):
    outside = folder.parent / "outside"
    text = (folder / name).read_bytes() if (folder / name).exists() else b"{}"
    outside.write_bytes(text)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside)
    assert f"a link out of its folder, to {outside}: refused" in refused(folder)


def test_a_shard_that_is_a_link_out_of_the_folder_is_refused(folder):
    split(folder)
    first, _ = sorted(folder.glob("model-*"))
    first.rename(folder.parent / "outside")
    first.symlink_to("../outside")
    assert "a link out of its folder" in refused(folder)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, INDEX])
def test_a_link_that_leads_nowhere_is_refused(name, folder):
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(name)
    assert name in refused(folder)


def test_a_link_within_the_folder_is_followed(folder):
    (folder / WEIGHTS).rename(folder / "weights")
    (folder / WEIGHTS).symlink_to("weights")
    GenModel.from_pretrained(folder)


def hub_cache(folder, blobs):
    """Lay the model out as the Hub's cache does: a snapshot of links into ``blobs``."""
    snapshot = folder.parent / "models--a--b" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    blobs = snapshot.parent.parent / blobs
    blobs.mkdir(parents=True)
    for i, path in enumerate(sorted(folder.iterdir())):
        path.rename(blobs / str(i))
        (snapshot / path.name).symlink_to(os.path.relpath(blobs / str(i), snapshot))
    return snapshot


def test_links_of_a_hub_cache_are_followed_into_its_own_blobs_alone(folder):
    GenModel.from_pretrained(hub_cache(folder, "blobs"))
    for i, elsewhere in enumerate(("../models--c--d/blobs", "blobs/deeper", "refs")):
        other = hub_cache(saved(folder.parent / f"{i}" / "model"), elsewhere)
        assert "a link out of its folder" in refused(other)
