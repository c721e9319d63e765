"""Weights are checked by their headers first, then by what they hold."""

import json
import os
import struct
from pathlib import Path

import pytest
import torch

import families  # noqa: F401  Registers the toys.
from folders import (
    WEIGHTS,
    change_config,
    change_weights,
    machine,
    refused,
    saved,
    split,
    write_header,
)
from genzoo import GenModel, weights
from genzoo.errors import WeightsError
from genzoo.weights import read_header


@pytest.fixture
def folder(tmp_path):
    return saved(tmp_path / "model")


# Headers


def damaged(header, data=b"\0" * 4, tmp_path=Path()):
    write_header(tmp_path / WEIGHTS, header, data)
    with pytest.raises(WeightsError) as caught:
        read_header(tmp_path / WEIGHTS)
    return str(caught.value)


def tensor(shape=(1,), offsets=(0, 4), dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_a_sound_header_is_read(tmp_path):
    header = {"__metadata__": {"format": "pt"}, "a": tensor(), "b": tensor((0, 3), (4, 4))}
    write_header(tmp_path / WEIGHTS, header, b"\0" * 4)
    assert read_header(tmp_path / WEIGHTS) == {
        "a": (torch.float32, (1,)),
        "b": (torch.float32, (0, 3)),
    }


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b'{"a": ' + json.dumps(tensor()).encode() + b', "a": {}}', "has a key twice"),
        (b'{"a": {"dtype": "F32", "dtype": "F16"}}', "has a key twice"),
        (b"[]", "its header is a list"),
        (b"\xff", "utf-8"),
        (b"[" * 10**5, "are nested over"),
        ({"a": tensor(), "b": tensor()}, "the bytes of 'b'"),
        ({"a": tensor(), "b": tensor(offsets=(2, 6))}, "the bytes of 'b'"),
        ({"a": tensor(offsets=(4, 8))}, "the bytes of 'a'"),
        ({"a": tensor(offsets=(-4, 0))}, "'a' has the shape (1,) at -4"),
        ({"a": tensor((2,))}, "the bytes of 'a'"),
        ({"a": tensor((10**12,))}, "the bytes of 'a'"),
        ({"a": tensor((2,), (0, 8))}, "4 bytes of tensors, but the header states 8"),
        ({}, "4 bytes of tensors, but the header states 0"),
        ({"a": tensor(dtype="F8_E4M3")}, "the type 'F8_E4M3'"),
        ({"a": tensor(dtype=None)}, "the type None"),
        ({"a": tensor((-1, -1))}, "the shape (-1, -1)"),
        ({"a": tensor((True,))}, "the shape (True,)"),
        ({"a": tensor((1.0,))}, "the shape (1.0,)"),
        ({"a": tensor("1")}, "the shape"),
        ({"a": tensor(3)}, "not iterable"),
        ({"a": tensor(offsets=(0,))}, "unpack"),
        ({"a": tensor(offsets=None)}, "unpack"),
        ({"a": tensor(), "b": tensor(offsets="04")}, "not supported"),
        ({"a": {"dtype": "F32"}}, "data_offsets"),
        ({"a": None}, "not subscriptable"),
    ],
)
def test_a_damaged_header_is_refused(header, why, tmp_path):
    assert why in damaged(header, tmp_path=tmp_path)


def test_a_truncated_file_is_refused_wherever_it_ends(folder):
    whole = (folder / WEIGHTS).read_bytes()
    for size in {0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1}:
        (folder / WEIGHTS).write_bytes(whole[:size])
        assert "damaged or not a safetensors file" in refused(folder, WeightsError)
    (folder / WEIGHTS).write_bytes(whole + b"\0")
    refused(folder, WeightsError)


def test_a_header_that_is_too_large_is_refused_before_it_is_read(folder, monkeypatch):
    length = weights.MAX_HEADER_BYTES + 1
    monkeypatch.setattr(json, "loads", lambda *args, **kwargs: pytest.fail("It was read."))
    for size in (length, 2**63, 2**64 - 1):
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", size))
        os.truncate(folder / WEIGHTS, 8 + length)
        with pytest.raises(WeightsError, match=f"a header of {size} bytes"):
            read_header(folder / WEIGHTS)


def test_too_many_tensors_are_refused_in_one_file_and_over_several(folder, monkeypatch):
    num = len(machine().state_dict())
    split(folder)
    monkeypatch.setattr(weights, "MAX_TENSORS", num)
    GenModel.from_pretrained(folder)
    monkeypatch.setattr(weights, "MAX_TENSORS", num - 1)
    assert f"has {num} tensors; {num - 1} are allowed" in refused(folder, WeightsError)
    saved(folder)
    assert f"has {num} tensors" in refused(folder, WeightsError)


# What the weights hold


def test_a_missing_tensor_is_named(folder):
    change_weights(folder, lambda state: state.pop("b"))
    assert "missing: 'b'" in refused(folder, WeightsError)


def test_an_added_tensor_is_named(folder):
    change_weights(folder, lambda state: state.update({"W.evil": torch.zeros(1)}))
    assert "not the model's: 'W.evil'" in refused(folder, WeightsError)


@pytest.mark.parametrize("shape", [(6, 5), (4, 6), (24,), (6, 4, 1), ()])
def test_a_wrong_shape_is_named_with_both_shapes(shape, folder):
    change_weights(folder, lambda state: state.update(W=torch.zeros(shape)))
    message = refused(folder, WeightsError)
    assert f"'W' is float32 {shape} in {WEIGHTS}" in message
    assert "float32 (6, 4) by the config" in message


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32, torch.bool])
def test_a_wrong_type_is_named_with_both_types(dtype, folder):
    change_weights(folder, lambda state: state.update(c=state["c"].to(dtype)))
    message = refused(folder, WeightsError)
    assert f"'c' is {str(dtype).removeprefix('torch.')} (4,)" in message
    assert "float32 (4,) by the config" in message


def test_a_type_that_the_config_does_not_tell_of_is_refused(folder):
    change_config(folder, lambda found: found.update(dtype="float16"))
    assert "float16 (6, 4) by the config" in refused(folder, WeightsError)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_weights_that_are_not_finite_are_refused(value, dtype, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_CHUNK", 5)
    folder = saved(tmp_path, machine().to(getattr(torch, dtype)))
    for i in (0, 5, 23):
        change_weights(folder, lambda state, i=i: state["W"].view(-1).index_fill_(0, at(i), 0.0))
        GenModel.from_pretrained(folder)
        change_weights(folder, lambda state, i=i: state["W"].view(-1).index_fill_(0, at(i), value))
        assert "'W'" in refused(folder, WeightsError)
        change_weights(folder, lambda state, i=i: state["W"].view(-1).index_fill_(0, at(i), 0.0))


def at(i):
    return torch.tensor([i])


def test_a_config_of_another_model_is_refused(folder):
    toy = {"model": "toy-linear", "config": {"event": {"name": "unit", "config": {"shape": [3]}}}}
    change_config(folder, lambda found: found.update(toy))
    assert "do not fit its config" in refused(folder, WeightsError)


def test_an_index_names_so_many_files_and_no_more(tmp_path):
    path, most = tmp_path / "index.json", weights.MAX_FILES
    names = {f"w{i}": f"{i:04}.safetensors" for i in range(most + 1)}
    path.write_text(json.dumps({"weight_map": names}))
    with pytest.raises(WeightsError, match=f"names {most + 1} files; {most} are allowed"):
        weights.read_index(path)
    names.pop("w0")
    path.write_text(json.dumps({"weight_map": names}))
    assert weights.read_index(path) == sorted(names.values())


def test_three_names_stand_for_many():
    assert weights._some(["a", "b", "c"]) == "'a', 'b', 'c'"
    assert weights._some(["a", "b", "c", "d", "e"]) == "'a', 'b', 'c' and 2 more"
