"""The start of restricted Boltzmann machines that are stacked on each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from genzoo.plugin import Batch, DataInfo
from genzoo_boltzmann.rbm import RBM


@torch.no_grad()
def start(machines: Sequence[RBM], level: int, batch: Batch, info: DataInfo) -> None:
    """Initialise a machine from its data and, where it can be, from the one below, transposed.

    If the machine below has N visible units, and this one at least N hidden ones, the first N
    are W = W_belowᵀ, b = c_below and c = b_below. So the marginal of this machine over its visible
    units is that of the machine below over its hidden ones, up to what the further hidden units
    add, whose weights are small and random.

    Arguments:
        machines: The machines, from below.
        level: The number of this one.
        batch: A batch of its data.
        info: Their description.
    """
    machine = machines[level]
    machine.init_from_data(batch, info)
    if level == 0:
        return
    below = machines[level - 1]
    num = len(below.b)
    if len(machine.c) >= num:
        machine.W[:, :num], machine.b[:], machine.c[:num] = below.W.T, below.c, below.b


@torch.no_grad()
def start_rest(machines: Sequence[RBM], batch: Batch, info: DataInfo) -> None:
    """Initialise the machines that have not been, each from the mean codes of those below.

    Arguments:
        machines: The machines, from below.
        batch: A batch of examples, (B, *event_shape).
        info: Their description.
    """
    p = batch["x"].flatten(1).to(machines[0].W)
    for level, machine in enumerate(machines):
        if machine.needs_data_init():
            start(machines, level, {"x": p}, info)
        p = machine.hidden_probabilities(p)
        # The data's mean is not that of codes.
        info = info.with_field("x", machine.codes).with_mean(None)
