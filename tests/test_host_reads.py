"""An update that is not logged waits for the device once a move, for the check that it is finite.

It is counted on a CPU, so copies of tensors between devices are not seen.
"""

import pytest
import torch
from torch import nn

import families
from genzoo import registry
from genzoo.testing.cases import SEED, Case, seeded
from genzoo.testing.training_harness import TOTAL, shared
from genzoo.training import TrainerConfig
from genzoo.training.accelerating import accelerating
from genzoo.training.config import resolve
from genzoo.training.ema import Average
from genzoo.training.players import make_players
from genzoo.training.stage_scope import only_part
from genzoo.training.updater import Updater
from host_reads import HostReads

INSTALLED = [e.name for e in registry.entries("models") if e.distribution]


def stages(name):
    """Return a model's own stages, and those of the other objectives that take it."""
    case = Case(name, registry.load("models", name))
    own = len(case.cls.default_stages(case.cls.example()[0]))
    for number, stage in enumerate(case.stages()):
        mark = () if number < own else pytest.mark.full
        yield pytest.param(case, stage, marks=mark, id=f"{name}-{number}-{stage.objective.name}")


def of_an_update(case, stage):
    """Return the moves of a third update, and what it waited for."""
    objective = case.objective(stage, case.model().train()).train()
    config = resolve(TrainerConfig(max_grad_norm=1.0), {})
    with only_part(objective.model, stage.part), accelerating(config, None) as accelerator:
        players = make_players(objective, config, accelerator)
        updater = Updater(objective, players, accelerator, [0], SEED)
        updater.on_cpu = False  # There it reads two numbers instead of copying them into one.
        for index in range(3):
            batch = shared(case, stage, 1)
            with seeded(SEED), HostReads() as reads:
                moves = updater.run(batch, index, TOTAL, logged=False, kept=False)
    return moves, reads.found


@pytest.mark.parametrize(("case", "stage"), [p for name in INSTALLED for p in stages(name)])
def test_an_update_reads_once_a_move(case, stage):
    moves, found = of_an_update(case, stage)
    assert [line.partition(":")[0] for line in found] == ["tolist"] * len(moves), found
    assert all("updater.py" in line for line in found)


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.sum() > 0),
        lambda x: float(x[0]),
        lambda x: x.tolist(),
        lambda x: x.numpy(),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.masked_select(x > 0),
        lambda x: x.__setitem__(x > 0, torch.ones(2)),
        lambda x: torch.unique(x),
        lambda x: torch.equal(x, x),
        lambda x: torch.tensor([1.0, 2.0]),
        lambda x: x.new_tensor(3.0),
        lambda x: nn.functional.one_hot(x.long()),
    ],
)
def test_what_waits_is_counted(operation):
    with HostReads() as reads:
        operation(torch.tensor([0.0, 1.0, 2.0])[torch.arange(3)])
    # The first is the copy of the rows.
    assert len(reads.found) > 1, reads.found


def test_what_does_not_wait_is_not_counted():
    x = torch.arange(3.0)
    with HostReads() as reads:
        x[torch.arange(2)] = x[:2] * 2
        torch.where(x > 0, x, 0.0).sum().clamp(max=1.0)
        nn.functional.one_hot(x.long().clamp(max=2), 3)
        x[:, None].expand(3, 2).mean(0)
    assert reads.found == []


def test_averaged_weights_wait_for_nothing_but_their_own_counter():
    """`AveragedModel` copies its counter to the device in each update."""
    model = families.linear()
    average = Average(model, 0.9)
    counter = average.module.n_averaged
    average.update(model)
    copied = []
    counter.to = lambda *args, **kwargs: copied.append(args)
    with HostReads() as reads:
        average.update(model)
    assert counter.device.type == "cpu"
    assert copied == []
    assert len(reads.found) <= 1, reads.found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_averaged_weights_are_those_of_the_formula(dtype):
    model = families.linear().to(dtype)
    model.register_parameter("count", nn.Parameter(torch.tensor([1]), requires_grad=False))
    model.register_buffer("seen", torch.tensor(0))
    average, right = Average(model, 0.75), None
    for number in range(4):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(number)
            model.seen += 1
        average.update(model)
        now = torch.cat(_real(model)).float()
        right = now if right is None else 0.75 * right + 0.25 * now
    assert {p.dtype for p in _real(average.model)} == {torch.float32}
    torch.testing.assert_close(torch.cat(_real(average.model)), right)
    assert int(average.model.count) == int(model.count)
    assert int(average.model.seen) == 4
    assert int(average.module.n_averaged) == 4


def _real(model):
    return [p.detach().flatten() for p in model.parameters() if p.is_floating_point()]
