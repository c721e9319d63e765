"""Child networks are compiled in place, whole or by region, and a run does not notice."""

import functools

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

import genzoo
from families_common import None_, rows
from genzoo.plugin import Loss, Objective
from genzoo.training.compiling import compile_networks, regions

COMPILE = nn.Module.compile


class Block(nn.Module):
    """A residual block."""

    def __init__(self, width, inner):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))

    def forward(self, x):
        return x + self.layers(x)


class Deep(nn.Module):
    """Blocks of one shape, one of another, and two layers around them."""

    def __init__(self, num=6):
        super().__init__()
        self.input = nn.Linear(3, 4)
        self.blocks = nn.ModuleList([*(Block(4, 8) for _ in range(num)), Block(4, 16)])
        self.output = nn.Sequential(nn.Linear(4, 3), nn.Tanh())

    def forward(self, x):
        h = self.input(x)
        for block in self.blocks:
            h = block(h)
        return self.output(h)


def compiled(monkeypatch):
    """Let PyTorch trace networks and run them as they are; return the list of these networks."""
    found = []

    def compile(self, **values):
        found.append(self)
        COMPILE(self, backend="eager", **values)

    monkeypatch.setattr(nn.Module, "compile", compile)
    torch._dynamo.reset()
    counters.clear()
    return found


def ddpm(num_blocks=4):
    torch.manual_seed(0)
    return genzoo.create_model(
        "ddpm",
        event=genzoo.Real(shape=(2,)),
        network="flat",
        hidden_dim=8,
        num_blocks=num_blocks,
    )


def fit(model, folder=None, *, resume=False, **config):
    settings = {"max_steps": 6, "batch_size": 8, "progress": False, "sample_steps": 0}
    settings["lr_scheduler"] = genzoo.Component(name="constant")
    config = genzoo.TrainerConfig(**settings | config)
    trainer = genzoo.Trainer(model, 3 * rows(16, 2) - 1, "denoising", config, output_dir=folder)
    trainer.fit(resume=resume)
    return model.state_dict()


def test_regions_are_the_blocks_that_repeat():
    net = Deep()
    assert list(regions(net)) == list(net.blocks)


def test_blocks_of_a_class_that_never_repeats_in_shape_are_no_regions():
    net = nn.Sequential(Block(4, 5), Block(4, 6), nn.Linear(4, 4), nn.Linear(4, 4))
    assert list(regions(net)) == []


def test_regions_are_the_outermost_blocks():
    stages = nn.ModuleList([nn.Sequential(Block(4, 8), Block(4, 8)) for _ in range(2)])
    assert list(regions(stages)) == list(stages)


def test_within_a_stage_of_its_own_shape_the_blocks_are_the_regions():
    first, second = (nn.Sequential(*(Block(4, n) for _ in range(2))) for n in (8, 16))
    assert list(regions(nn.ModuleList([first, second]))) == [*first, *second]


@pytest.mark.parametrize("kind", [nn.ModuleList, nn.Sequential])
def test_a_block_within_a_repeated_one_is_not_compiled_again(kind):
    outer = [nn.Sequential(Block(4, 8), nn.Tanh()) for _ in range(3)]
    net = nn.ModuleList(outer) if kind is nn.ModuleList else nn.Sequential(*outer)
    assert list(regions(net)) == outer


def test_repeated_blocks_are_traced_once(monkeypatch):
    x = torch.rand(5, 3)
    traced = {}
    for by_region in (False, True):
        net = Deep()
        right, names = net(x), list(net.state_dict())
        seen = compiled(monkeypatch)
        for module in list(regions(net)) if by_region else [net]:
            module.compile()
        assert torch.equal(net(x), right)
        assert list(net.state_dict()) == names
        assert len(seen) == (7 if by_region else 1)
        traced[by_region] = counters["stats"]["calls_captured"]
    # The first block's input has a gradient, as that of the others.
    assert traced[False] == 1 + 7 * 4 + 2
    assert traced[True] == 2 * 4


def test_more_shapes_than_pytorch_caches_by_default_are_all_compiled(monkeypatch):
    net = nn.ModuleList([Block(4, 4 + n) for n in range(10) for _ in range(2)])
    objective = Objective.__new__(Squares)
    nn.Module.__init__(objective)
    objective.net = net
    objective.model = nn.Module()
    seen = compiled(monkeypatch)
    compile_networks(objective, genzoo.TrainerConfig(compile_regions=True))
    assert len(seen) == 20
    x = torch.rand(5, 4, requires_grad=True)
    for block in net:
        block(x)
    assert counters["stats"]["unique_graphs"] == 10


class Squares(Objective):
    Config = None_

    def losses(self, batch, step):
        yield Loss(batch["x"].square().mean())


def test_both_ways_train_the_same_weights_under_the_same_names(monkeypatch):
    right = fit(ddpm())
    network = ddpm().network
    for way, kind, num in (
        ("compile", type(network), 1),
        ("compile_regions", type(network.blocks[0]), 4),
    ):
        seen = compiled(monkeypatch)
        found = fit(ddpm(), **{way: True})
        assert len([net for net in seen if isinstance(net, kind)]) == num
        assert list(found) == list(right)
        for name, tensor in right.items():
            torch.testing.assert_close(
                found[name], tensor, msg=lambda text, n=name: f"{n}: {text}"
            )


def test_a_network_without_repeated_blocks_is_compiled_whole(monkeypatch):
    seen = compiled(monkeypatch)
    model = ddpm(num_blocks=1)
    fit(model, compile_regions=True)
    assert model.network in seen
    assert model.network.blocks[0] not in seen


def test_a_run_resumes_with_and_without_regions(monkeypatch, tmp_path):
    compiled(monkeypatch)
    right = fit(ddpm(), tmp_path / "whole", compile_regions=True)
    part = functools.partial(fit, folder=tmp_path / "parts", compile_regions=True)
    part(ddpm(), max_steps=3)
    found = part(ddpm(), resume=True)
    assert all(torch.equal(found[name], tensor) for name, tensor in right.items())
    recipe = genzoo.Recipe.read(tmp_path / "parts" / "recipe.toml")
    assert recipe.trainer.compile_regions
    fit(ddpm(), tmp_path / "parts", max_steps=7, resume=True)  # It may be switched off.
