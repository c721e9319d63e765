"""Model folders for the tests of loading: small, and damaged on purpose."""

import contextlib
import json
import math
import os
import resource
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from genzoo import Binary, GenModel, LoadError, create_model

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"


def machine(num_hidden=4, seed=0):
    """Return a seeded machine of 6 visible units."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_model("rbm", event=Binary(shape=(1, 2, 3)), num_hidden=num_hidden)


def saved(folder, model=None):
    """Return a folder that holds the model."""
    (model or machine()).save_pretrained(folder)
    return Path(folder)


def stop_after(num, save):
    """Save a model, stopping after so many moves and removals; return whether there were fewer."""
    left = iter(range(num))

    def counted(act):
        def acting(*args, **kwargs):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return act(*args, **kwargs)

        return acting

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        try:
            save()
        except KeyboardInterrupt:
            return False
    return True


@contextlib.contextmanager
def limited(name, value):
    """Lower one of the operating system's limits for this process, and lift it again."""
    kind = getattr(resource, name)
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def change_config(folder, change):
    """Change what config.json holds, in place."""
    values = json.loads((folder / CONFIG).read_text())
    change(values)
    (folder / CONFIG).write_text(json.dumps(values))


def change_weights(folder, change):
    """Change the tensors, in place."""
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file({name: tensor.clone() for name, tensor in state.items()}, folder / WEIGHTS)


def refused(folder, kind=LoadError):
    """Return the message with which the folder is refused: one line, of a modest length."""
    with pytest.raises(kind) as caught:
        GenModel.from_pretrained(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    return message


def header_of(path):
    """Return the header of a safetensors file and the bytes behind it."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def write_header(path, header, data=b""):
    """Write a safetensors file with that header, a text or what JSON makes one of."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def claim(path, shapes):
    """Write a file, sparse on the disk, whose header has float32 tensors of those shapes."""
    header, end = {}, 0
    for name, shape in shapes.items():
        first, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [first, end]}
    write_header(path, header)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + end)


def split(folder, names=None):
    """Write the weights as two files and an index, as a sharded model has them."""
    state = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    files = names or ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    halves = {"W": files[0]}
    placed = {name: halves.get(name, files[1]) for name in state}
    for file in files:
        save_file({k: v for k, v in state.items() if placed[k] == file}, folder / file)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": placed}))


def contents(folder):
    """Return every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
