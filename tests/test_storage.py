"""What is saved is loaded bit-equal, and saving leaves the old folder or the new one."""

import errno
import json
import os
from functools import partial

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

import families
from folders import (
    CONFIG,
    INDEX,
    WEIGHTS,
    change_config,
    contents,
    header_of,
    limited,
    machine,
    saved,
    stop_after,
)
from genzoo import (
    ConfigError,
    GenModel,
    GenzooError,
    Unit,
    create_model,
    register,
    registry,
    saving,
)
from genzoo.errors import DiskFullError, LoadError, PluginError
from genzoo.files import atomic_file, atomic_folder_update

TOYS = ["toy-autoregressive", "toy-vae", "toy-gan", "toy-cycle", "toy-diffusion", "toy-belief-net"]


def toy(name, seed=0):
    cls = registry.load("models", name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(cls.example()[0])


def bits(model):
    """Return parameters and all buffers, with type, shape and bytes."""
    tensors = {**model.state_dict(), **dict(model.named_buffers(remove_duplicate=False))}
    return {
        k: (t.dtype, tuple(t.shape), t.numpy(force=True).tobytes()) for k, t in tensors.items()
    }


@register("models", "toy-shared")
class Shared(families.Linear):
    """One mask under two names, a frozen parameter, several types."""

    def __init__(self, config):
        super().__init__(config)
        self.net.bias.requires_grad_(False)
        mask = torch.ones(3, 3).tril()
        self.layers = nn.ModuleList([nn.Module(), nn.Module()])
        for child in self.layers:
            child.register_buffer("mask", mask, persistent=False)
        self.register_buffer("count", torch.tensor(7))
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("empty", torch.zeros(0, 3))
        self.register_buffer("wide", torch.zeros(2, dtype=torch.float64), persistent=False)


# Loading what was saved


@pytest.mark.parametrize("name", ["rbm", "toy-linear", *TOYS])
def test_a_saved_model_loads_bit_equal(name, tmp_path):
    model = machine() if name == "rbm" else toy(name)
    loaded = GenModel.from_pretrained(saved(tmp_path, model))
    assert type(loaded) is type(model)
    assert loaded.config == model.config
    assert bits(loaded) == bits(model)
    assert not any(tensor.is_meta for tensor in [*loaded.parameters(), *loaded.buffers()])


def test_weights_can_be_read_by_whoever_can_read_the_config(tmp_path):
    folder = saved(tmp_path)
    modes = {path.name: path.stat().st_mode for path in folder.iterdir()}
    assert modes[WEIGHTS] == modes[CONFIG]


def test_buffers_that_are_not_stored_are_rebuilt_wherever_they_are_shared(tmp_path):
    model = create_model("toy-shared", event=Unit(shape=(3,)))
    loaded = GenModel.from_pretrained(str(saved(tmp_path, model)))
    assert bits(loaded) == bits(model)
    assert not any("mask" in name for name in load_file(tmp_path / WEIGHTS))
    assert not loaded.net.bias.requires_grad
    assert loaded.net.weight.requires_grad


def test_tied_weights_are_stored_once_and_tied_again(tmp_path):
    loaded = GenModel.from_pretrained(saved(tmp_path, toy("toy-belief-net")))
    assert loaded.up.weight is loaded.layers[0].weight
    stored = load_file(tmp_path / WEIGHTS)
    assert "layers.0.weight" in stored
    assert "up.weight" not in stored


def test_a_model_loads_in_eval_mode_from_whichever_mode_it_was_saved(tmp_path):
    loaded = GenModel.from_pretrained(saved(tmp_path, toy("toy-vae").train()))
    assert not any(module.training for module in loaded.modules())


def test_loading_draws_no_random_number(tmp_path):
    saved(tmp_path, toy("toy-diffusion"))
    before = torch.random.get_rng_state()
    GenModel.from_pretrained(tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_model_of_another_type_loads_in_it_or_in_the_type_asked_for(dtype, tmp_path):
    model = toy("toy-autoregressive").to(dtype)
    saved(tmp_path, model)
    loaded = GenModel.from_pretrained(tmp_path)
    assert (loaded.dtype, loaded.mask.dtype) == (dtype, dtype)
    state = model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
    assert GenModel.from_pretrained(tmp_path, dtype=torch.float32).dtype == torch.float32


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", "mps:7", "xla"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_read(device, tmp_path):
    with pytest.raises(ConfigError, match=f"Device '{device}' is not available: .*Use cpu"):
        GenModel.from_pretrained(tmp_path / "none", device=device)


def test_the_config_file_says_what_the_model_is(tmp_path):
    found = json.loads((saved(tmp_path) / CONFIG).read_text())
    assert found["genzoo"] == 1
    assert found["model"] == "rbm"
    assert found["plugin"]["distribution"] == "genzoo"
    assert found["dtype"] == "float32"
    event = {"name": "binary", "config": {"shape": [1, 2, 3]}}
    assert found["config"] == {"event": event, "num_hidden": 4}


def test_a_model_that_is_not_registered_is_not_saved(tmp_path):
    class Mine(families.Linear):
        pass

    with pytest.raises(PluginError, match="not registered"):
        Mine(families.ToyConfig(event=Unit(shape=(3,)))).save_pretrained(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_in_the_folder_is_imported_or_run(tmp_path, monkeypatch):
    saved(tmp_path)
    evil = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    for name in ("genzoo_boltzmann", "rbm", "modeling", "config", "sitecustomize", "__init__"):
        (tmp_path / f"{name}.py").write_text(evil)
    monkeypatch.chdir(tmp_path)
    for name in ("pytorch_model.bin", "model.pt"):
        (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    GenModel.from_pretrained(".")
    for name in ("modeling", "config:Config", "rbm.RBM", "./rbm"):
        change_config(tmp_path, lambda values, name=name: values.update(model=name))
        with pytest.raises(GenzooError):
            GenModel.from_pretrained(".")
    assert not (tmp_path / "ran").exists()


# Shards


@pytest.fixture
def tiny_shards(monkeypatch):
    monkeypatch.setattr(saving, "MAX_SHARD_SIZE", 60)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_sharded_model_loads_bit_equal(tmp_path, tiny_shards):
    model = machine()
    loaded = GenModel.from_pretrained(saved(tmp_path, model))
    assert bits(loaded) == bits(model)
    placed = json.loads((tmp_path / INDEX).read_text())["weight_map"]
    assert placed.keys() == model.state_dict().keys()
    assert len(set(placed.values())) > 1
    assert files(tmp_path) == sorted({*placed.values(), INDEX, CONFIG})


def test_saving_again_removes_stale_shards_and_nothing_of_the_users(tmp_path, monkeypatch):
    mine = ["README.md", "model-best.safetensors", "model.safetensors.bak", "notes.json"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(saving, "MAX_SHARD_SIZE", 60)
        saved(tmp_path, machine(seed=1))
    assert (tmp_path / INDEX).exists()
    model = machine(seed=2)
    saved(tmp_path, model)
    assert files(tmp_path) == sorted([*mine, CONFIG, WEIGHTS])
    assert bits(GenModel.from_pretrained(tmp_path)) == bits(model)
    monkeypatch.setattr(saving, "MAX_SHARD_SIZE", 60)
    saved(tmp_path, machine(seed=3))
    assert WEIGHTS not in files(tmp_path)
    assert bits(GenModel.from_pretrained(tmp_path)) == bits(machine(seed=3))


def test_a_loaded_model_can_be_saved_over_its_own_folder(tmp_path):
    loaded = GenModel.from_pretrained(saved(tmp_path))
    before = bits(loaded)
    saved(tmp_path, loaded)
    assert bits(loaded) == before == bits(GenModel.from_pretrained(tmp_path))


def test_tensors_that_share_memory_or_are_not_contiguous_are_stored_each(tmp_path):
    model = machine()
    model.W = nn.Parameter(torch.arange(24.0).reshape(4, 6).T)
    both = torch.arange(10.0)
    model.b, model.c = nn.Parameter(both[:6]), nn.Parameter(both[6:])
    assert bits(GenModel.from_pretrained(saved(tmp_path, model))) == bits(model)
    header, data = header_of(tmp_path / WEIGHTS)
    assert header.keys() >= {"W", "b", "c"}
    assert len(data) < 300


# Saving fails


def failing(error):
    def write(*args, **kwargs):
        raise error

    return write


@pytest.mark.parametrize("step", ["save_file", "write_text"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DiskFullError),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), DiskFullError),
        (SafetensorError("I/O error: No space left on device (os error 28)"), DiskFullError),
        (SafetensorError("I/O error: Disk quota exceeded (os error 122)"), DiskFullError),
        (PermissionError(errno.EACCES, "Permission denied"), GenzooError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_save_that_fails_midway_leaves_the_old_folder(step, error, kind, tmp_path, monkeypatch):
    before = contents(saved(tmp_path, machine(seed=1)))
    with monkeypatch.context() as patch:
        patch.setattr(saving, step, failing(error))
        with pytest.raises(kind) as caught:
            saved(tmp_path, machine(seed=2))
    assert isinstance(caught.value, DiskFullError) == (kind is DiskFullError)
    assert contents(tmp_path) == before
    assert files(tmp_path) == [CONFIG, WEIGHTS]


@pytest.mark.parametrize(("old", "new"), [(60, 60), (60, "5GB"), ("5GB", 60)])
def test_a_save_that_stops_among_its_moves_leaves_no_mixture(old, new, tmp_path, monkeypatch):
    for num in range(20):
        folder = tmp_path / str(num)
        monkeypatch.setattr(saving, "MAX_SHARD_SIZE", old)
        saved(folder, machine(seed=1))
        monkeypatch.setattr(saving, "MAX_SHARD_SIZE", new)
        if stop_after(num, partial(saved, folder, machine(seed=2))):
            break
        if num == 0:
            assert bits(GenModel.from_pretrained(folder)) == bits(machine(seed=1))
        else:
            with pytest.raises(LoadError, match="has no config"):
                GenModel.from_pretrained(folder)
    assert num > 2
    assert bits(GenModel.from_pretrained(folder)) == bits(machine(seed=2))


def test_a_full_disk_is_named_and_leaves_the_old_folder(tmp_path):
    before = contents(saved(tmp_path))
    model = machine(num_hidden=2000)
    with limited("RLIMIT_FSIZE", 20_000), pytest.raises(DiskFullError) as caught:
        saved(tmp_path, model)
    assert f"No space left to write '{tmp_path}'" in str(caught.value)
    assert contents(tmp_path) == before
    assert files(tmp_path) == [CONFIG, WEIGHTS]


def test_a_folder_that_cannot_be_one_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(GenzooError, match="cannot be written"):
            saved(folder)
    assert contents(tmp_path) == {"file": b"mine"}


def test_saving_replaces_a_link_and_leaves_what_it_led_to(tmp_path):
    blob = tmp_path / "blob"
    blob.write_text("mine")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / WEIGHTS).symlink_to(blob)
    saved(folder)
    assert blob.read_text() == "mine"
    assert not (folder / WEIGHTS).is_symlink()


def write_half(path):
    with atomic_file(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_single_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "picture.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("old")
        assert not path.exists()
    with pytest.raises(DiskFullError):
        write_half(path)
    assert contents(tmp_path) == {"deep/picture.txt": b"old"}


def test_the_last_file_is_moved_last(tmp_path, monkeypatch):
    moved, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (moved.append(b.name), replace(a, b)))
    with atomic_folder_update(tmp_path, last="a.json") as temporary:
        for name in ("z", "a.json", "b"):
            (temporary / name).write_text(name)
    assert moved == ["b", "z", "a.json"]
