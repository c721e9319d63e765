"""A config that asks for more than its weights hold is refused before it gets it."""

import os
import sys
from pathlib import Path

import pytest
import torch

import families
from folders import (
    WEIGHTS,
    change_config,
    claim,
    header_of,
    limited,
    refused,
    saved,
    write_header,
)
from genzoo import GenModel, Unit, meta_init, register, registry, weights
from genzoo.errors import ConfigFileError, UnknownNameError, WeightsError


@pytest.fixture
def folder(tmp_path):
    return saved(tmp_path / "model")


@register("models", "toy-deep")
class Deep(families.Linear):
    """As many layers, and as large a mask, as its config asks for."""

    def __init__(self, config):
        super().__init__(config)
        size = config.width
        if config.event.shape[0] == 1:
            self.register_buffer("mask", torch.zeros(size, size, size), persistent=False)
        elif config.event.shape[0] == 2:
            self.layers = torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(size**3))
        elif config.event.shape[0] == 3:
            self.layers = torch.nn.ModuleList(torch.nn.Identity() for _ in range(size**3))
        else:
            self.net = torch.nn.Conv1d(size, 6, 1, groups=2)


def deep(tmp_path, kind, width):
    model = Deep(families.ToyConfig(event=Unit(shape=(kind,)), width=2))
    folder = saved(tmp_path / f"{kind}-{width}", model)
    change_config(folder, lambda found: found["config"].update(width=width))
    return folder


def test_more_parameters_or_modules_than_the_weights_hold_are_refused_while_they_are_made(
    tmp_path,
):
    made = []
    hook = torch.nn.modules.module.register_module_module_registration_hook(
        lambda *args: made.append(None)
    )
    try:
        assert "asks for more than 64 parameters" in refused(deep(tmp_path, 2, 4096))
        assert len(made) < 200
        assert "asks for more than 20000 modules" in refused(deep(tmp_path, 3, 4096))
        assert len(made) < 10 * meta_init.MAX_MODULES
    finally:
        hook.remove()


def test_a_buffer_much_larger_than_the_weights_is_refused(tmp_path):
    assert GenModel.from_pretrained(deep(tmp_path, 1, 2)).mask.shape == (2, 2, 2)
    message = refused(deep(tmp_path, 1, 4096), ConfigFileError)
    assert "asks for 274,877,906,944 bytes besides its weights, of 8." in message


def test_sizes_that_do_not_go_together_are_refused(tmp_path):
    message = refused(deep(tmp_path, 4, 3), ConfigFileError)
    assert "No Deep can be built from its config: in_channels must be divisible" in message


def test_what_was_built_within_the_caps_leaves_no_cap_behind(tmp_path):
    refused(deep(tmp_path, 2, 4096))
    torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(100))


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_a_small_config_of_a_large_model_is_refused_without_its_memory(folder):
    """With 256 MiB to spare, a machine of 4 TiB is refused by a comparison of shapes."""
    sizes = {"event": {"name": "binary", "config": {"shape": [2**20]}}, "num_hidden": 2**20}
    change_config(folder, lambda found: found["config"].update(sizes))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    with limited("RLIMIT_AS", used + 2**28):
        message = refused(folder, WeightsError)
    assert "float32 (1048576, 1048576) by the config" in message


def test_weights_larger_than_the_memory_are_refused_before_they_are_read(folder, monkeypatch):
    shapes = {"W": (6, 2**20), "b": (6,), "c": (2**20,), "base_rates": (6,)}
    change_config(folder, lambda found: found["config"].update(num_hidden=2**20))
    header, _ = header_of(folder / WEIGHTS)
    claim(folder / WEIGHTS, shapes)
    grown, _ = header_of(folder / WEIGHTS)
    end = max(entry["data_offsets"][1] for entry in grown.values())
    grown["data_seen"] = {**header["data_seen"], "data_offsets": [end, end + 1]}
    write_header(folder / WEIGHTS, grown)
    os.truncate(folder / WEIGHTS, (folder / WEIGHTS).stat().st_size + end + 1)
    monkeypatch.setattr(weights, "safe_open", lambda *a, **k: pytest.fail("They were read."))
    monkeypatch.setattr(meta_init.psutil, "virtual_memory", lambda: type("", (), {"total": 2**20}))
    assert "this machine has 1,048,576" in refused(folder, ConfigFileError)


def test_no_refusal_leaves_a_name_or_a_class_behind(folder):
    before = registry.names("models")
    change_config(folder, lambda found: found.update(model="evil"))
    refused(folder, UnknownNameError)
    assert registry.names("models") == before


def test_what_is_built_on_the_cpu_all_the_same_draws_from_nobodys_generator(tmp_path, forgetting):
    class OnTheCPU(families.Linear):
        def __init__(self, config):
            with torch.device("cpu"):
                super().__init__(config)
            torch.rand(3, device="cpu")

    register("models", "toy-on-the-cpu")(OnTheCPU)
    folder = saved(tmp_path, OnTheCPU(families.ToyConfig(event=Unit(shape=(3,)))))
    before = torch.get_rng_state()
    GenModel.from_pretrained(folder)
    assert torch.equal(torch.get_rng_state(), before)


@register("models", "toy-filled")
class Filled(families.Linear):
    """Masks and schedules that are made empty and filled in place, as their authors wrote them."""

    def __init__(self, config):
        super().__init__(config)
        size = config.event.shape[0]
        for persistent in (False, True):
            known = "stored" if persistent else "known"
            made = {
                "filled": torch.empty(size).fill_(0.25),
                "zeroed": torch.empty(size).zero_(),
                "copied": torch.zeros(size).copy_(torch.arange(size)),
                "scaled": torch.ones(size).mul_(3),
                "seeded": torch.empty(size).normal_(generator=torch.Generator().manual_seed(1)),
                "spread": torch.empty(size).uniform_(2, 3),
                "counted": torch.zeros(size, dtype=torch.int64).fill_(7),
            }
            for name, value in made.items():
                if persistent or name != "spread":  # Drawn without a seed, it has to be stored.
                    self.register_buffer(f"{known}_{name}", value, persistent=persistent)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_buffers_that_are_filled_in_place_are_as_they_were(dtype, tmp_path):
    """Those that are not stored are filled anew, on the CPU, in the stored weights' type."""
    model = Filled(families.ToyConfig(event=Unit(shape=(4,)))).to(dtype)
    loaded = GenModel.from_pretrained(saved(tmp_path, model))
    buffers = dict(loaded.named_buffers())
    assert len(buffers) == 13
    for name, buffer in model.named_buffers():
        assert torch.equal(buffers[name], buffer), name
        assert buffers[name].dtype == buffer.dtype
    assert buffers["known_filled"].tolist() == [0.25] * 4
    assert buffers["known_copied"].tolist() == [0, 1, 2, 3]
    assert torch.equal(loaded.net.weight, model.net.weight)


def test_what_is_built_may_have_as_much_as_the_caps_say_and_no_more(monkeypatch):
    monkeypatch.setattr(meta_init, "MAX_MODULES", 9)

    def make(num, module):
        with meta_init.without_memory(max_tensors=40):
            torch.nn.ModuleList(module() for _ in range(num))

    def parameters(num):
        with meta_init.without_memory(max_tensors=40):
            module = torch.nn.Module()
            for i in range(num):
                setattr(module, f"p{i}", torch.nn.Parameter(torch.empty(1)))

    make(9, torch.nn.Identity)
    with pytest.raises(ConfigFileError, match="more than 9 modules; the weights hold 40"):
        make(10, torch.nn.Identity)
    parameters(80)
    with pytest.raises(ConfigFileError, match="more than 80 parameters; the weights hold 40"):
        parameters(81)


@pytest.mark.parametrize("stored", [0, 1000])
def test_buffers_may_take_a_fixed_size_beyond_that_of_the_weights(stored, monkeypatch):
    total = meta_init.MAX_BUFFERS + 2 * stored
    monkeypatch.setattr(meta_init.psutil, "virtual_memory", lambda: type("", (), {"total": total}))
    with torch.device("meta"):
        model = torch.nn.Module()
        most = torch.empty(meta_init.MAX_BUFFERS + stored, dtype=torch.uint8)
        model.register_buffer("mask", most, persistent=False)
    meta_init.check_memory(model, stored)
    model.mask = torch.empty(len(most) + 1, dtype=torch.uint8, device="meta")
    with pytest.raises(ConfigFileError, match="bytes besides its weights"):
        meta_init.check_memory(model, stored)


def test_a_model_may_take_all_of_the_memory_and_no_more(monkeypatch):
    monkeypatch.setattr(meta_init.psutil, "virtual_memory", lambda: type("", (), {"total": 1000}))
    model = torch.nn.Module()
    model.register_buffer("mask", torch.empty(100, dtype=torch.uint8), persistent=False)
    meta_init.check_memory(model, 900)
    with pytest.raises(ConfigFileError, match="needs 1,001 bytes; this machine has 1,000"):
        meta_init.check_memory(model, 901)
