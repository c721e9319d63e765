"""Run by `test_sharding.py` in two processes: checks of sharded networks, each with its name.

Usage: sharded_processes.py FOLDER

Each process writes FOLDER/RANK.json: for each check an empty text, or what went wrong.
"""

import copy
import errno
import json
import os
import sys
import traceback
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

import families
import genzoo
from genzoo.errors import ConfigError, DiskFullError, TrainingError
from genzoo.training import checkpoint
from genzoo.training.accelerating import leave_group
from genzoo.training.sharding import units
from genzoo.training.sharding.tensors import (
    divided_like,
    gathered,
    is_sharded,
    mesh_of,
    norm_of,
    part_of,
)
from genzoo.training.sharding.wrapping import ShardedNetwork, Way

DATA = families.rows(16, 3, seed=5)


def net(seed=0):
    """Return a network with sizes that two processes cannot share equally."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 1)).double()


def sharded(network, **way):
    """Return a network that is sharded in blocks, and its wrapper."""
    blocks = [network[0], network[3], network]
    return ShardedNetwork(network, blocks, Way(mesh_of("cpu"), **way))


def trainer(folder=None, *, model=None, **values):
    values = {"max_steps": 4, "batch_size": 8, "save_steps": 2, "shard": "auto", **values}
    config = genzoo.TrainerConfig(progress=False, sample_steps=0, **values)
    return genzoo.Trainer(model or families.linear(), DATA, config=config, output_dir=folder)


def check_it_is_whole_inside_the_context_and_afterwards_and_can_be_sharded_again(folder):
    network, plain = net(), net()
    own = list(network.parameters())
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    wrapped = sharded(network)
    x = torch.ones(4, 3, dtype=torch.float64)
    for _ in range(2):
        assert all(map(is_sharded, network.parameters()))
        assert sum(p.numel() for p in own) == 0
        network(x).sum().backward()
        plain.train()(x)  # The other one has seen them too, in its BatchNorm.
        with wrapped.whole():
            assert [id(p) for p in network.parameters()] == [id(p) for p in own]
            assert type(network) is nn.Sequential
            copied = copy.deepcopy(network)
            assert torch.equal(copied[0].weight, state["0.weight"])
            torch.testing.assert_close(copied.eval()(x), plain.eval()(x))
        network.train()
        assert type(network) is not nn.Sequential
    wrapped.undo()
    assert type(network) is nn.Sequential
    assert [id(p) for p in network.parameters()] == [id(p) for p in own]
    assert torch.equal(network[3].bias, state["3.bias"])
    assert vars(network).keys() == vars(plain).keys()
    again = sharded(network)
    network(x).sum().backward()
    again.undo()
    torch.testing.assert_close(network[0].weight, state["0.weight"])


def check_a_part_of_each_tensor_is_on_each_process_and_the_whole_can_be_gathered(folder):
    network, plain = net(), net()
    sharded(network)
    rank = dist.get_rank()
    for mine, whole in zip(network.parameters(), plain.parameters(), strict=True):
        chunks = whole.detach().chunk(2)
        part = chunks[rank] if rank < len(chunks) else whole.detach()[:0]
        assert torch.equal(part_of(mine), part)
        assert torch.equal(gathered(mine), whole)
        again = divided_like(whole.detach(), mine)
        assert torch.equal(part_of(again), part)
        assert again.shape == mine.shape
        assert torch.equal(gathered(again), whole)
    assert part_of(network[3].bias).numel() == (rank == 0)
    mixed = [*(p.detach() for p in network.parameters()), torch.full((3,), 2.0)]
    expected = torch.cat([p.detach().reshape(-1) for p in plain.parameters()]).square().sum() + 12
    torch.testing.assert_close(norm_of(mixed).double(), expected.sqrt())


def check_a_network_that_was_called_without_a_backward_pass_takes_new_weights(folder):
    network = net().eval()
    wrapped = sharded(network)
    x = torch.ones(2, 3, dtype=torch.float64)
    with torch.no_grad():
        before = network(x)
        wrapped.reshard()
        for parameter in network.parameters():
            part_of(parameter).mul_(2.0)
        assert not torch.allclose(network(x), before)


def check_scalars_stay_whole(folder):
    class Scaled(nn.Linear):
        def __init__(self):
            super().__init__(3, 2)
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, x):
            return self.scale * super().forward(x)

    network = Scaled()
    wrapped = ShardedNetwork(network, [network], Way(mesh_of("cpu")))
    assert not is_sharded(network.scale)
    assert is_sharded(network.weight)
    network(torch.ones(1, 3)).sum().backward()
    assert network.scale.grad is not None
    wrapped.undo()
    assert network.scale.item() == 2.0


def check_bf16_computes_in_it_and_keeps_float32(folder):
    seen = []

    class Seeing(nn.Linear):
        def forward(self, x):
            seen.append((self.weight.dtype, x.dtype))
            return super().forward(x.to(self.weight.dtype))

    network = Seeing(3, 2)
    before = network.weight.detach().clone()
    wrapped = ShardedNetwork(network, [network], Way(mesh_of("cpu"), mixed_precision="bf16"))
    network(torch.ones(1, 3)).sum().backward()
    assert seen == [(torch.bfloat16, torch.float32)]
    assert part_of(network.weight.grad).dtype == torch.float32
    with wrapped.whole():
        assert torch.equal(network.weight, before)


def check_a_disk_that_is_full_while_tensors_are_gathered_is_told_by_all(folder):
    def full(path, tensors, whole):
        whole(next(iter(tensors.values())))
        raise OSError(errno.ENOSPC, "No space left on device")

    original, checkpoint.write_tensors = checkpoint.write_tensors, full
    try:
        with pytest.raises(DiskFullError):
            trainer(folder / "full").fit()
    finally:
        checkpoint.write_tensors = original


def check_a_size_that_no_network_has_is_refused_before_anything_is_written(folder):
    message = "the model has no network of that size .the largest, model.net, has 12."
    with pytest.raises(ConfigError, match=message):
        trainer(folder / "refused", shard=13).fit()
    assert not (folder / "refused").exists()


def check_an_objective_that_reads_the_weights_itself_is_refused(folder):
    class Reading(families.LeastSquares):
        def losses(self, batch, step):
            net = self.model.net
            yield genzoo.plugin.Loss((batch["x"] @ net.weight.T + net.bias - 1).square().mean())

    model = families.linear()
    config = genzoo.TrainerConfig(shard=12, max_steps=1, batch_size=8, progress=False)
    objective = Reading(model, families.None_())
    with pytest.raises(ConfigError, match=r"model\.net: weight is read outside of its calls"):
        genzoo.Trainer(model, DATA, objective, config, output_dir=folder / "reading").fit()
    assert not (folder / "reading").exists()


def check_weights_that_are_read_later_only_are_named(folder):
    class Late(families.LeastSquares):
        def losses(self, batch, step):
            late = batch["x"] @ self.model.net.weight if step.index == 1 else 0.0
            yield genzoo.plugin.Loss((self.model.net(batch["x"]) - 1 + late).square().mean())

    model = families.linear()
    config = genzoo.TrainerConfig(shard=12, max_steps=2, batch_size=8, progress=False)
    objective = Late(model, families.None_())
    with pytest.raises(TrainingError, match="In update 2 a parameter of a sharded"):
        genzoo.Trainer(model, DATA, objective, config).fit()


def check_the_best_weights_are_kept_and_published(folder):
    values = {"eval_steps": 1, "metric_for_best_model": "loss"}
    weights = []
    for shard in ("auto", "none"):
        model = families.linear().double()
        config = genzoo.TrainerConfig(
            max_steps=4, batch_size=8, shard=shard, progress=False, sample_steps=0, **values
        )
        genzoo.Trainer(
            model, DATA, config=config, eval_data=DATA, output_dir=folder / f"best-{shard}"
        ).fit()
        weights.append(model.net.weight.detach().clone())
        assert not is_sharded(model.net.weight)
    torch.testing.assert_close(*weights, rtol=1e-9, atol=1e-12)


CHECKS = {name: check for name, check in list(globals().items()) if name.startswith("check_")}


def main():
    torch.set_num_threads(1)
    units.AUTO = 1
    folder, found = Path(sys.argv[1]), {}
    trainer(max_steps=1).fit()  # It makes the group.
    for name, check in CHECKS.items():
        try:
            check(folder)
            found[name] = ""
        except BaseException:  # noqa: BLE001 - It is told in the file.
            found[name] = traceback.format_exc()
        dist.barrier()
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(found))
    leave_group()


if __name__ == "__main__":
    main()
