"""How often the interval of log Z holds the truth at the default schedule, for every machine.

Each kind has small random machines with log Z by enumeration, from weak to strong: the scale of
their weights is .5 to 8, evenly in its logarithm, and a part of each kind has modes far from each
other: a state and its opposite have the same mass. The base is set by 500 exact draws, as training
would set it. The interval is that of `log_prob`: 100 chains of AIS over 14,500 temperatures, and
100 of reverse AIS after 5,000 sweeps, of which half begin at 50 rows, other exact draws. Machines
have float32, as by default.

Printed are, for each kind, how many machines have 10 effective chains in every estimate, the share
of these that is flagged by anything else (must be at most .15), and the share of those not flagged
whose interval of 3σ holds the truth (must be at least .98). Every one that misses is listed, and
counts are printed after every 20 machines. A run that was stopped after n goes on with --seed n.

Usage: python benchmarks/machine_brackets.py [--kinds rbm conv-rbm] [--machines 200] [--seed 0]
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from partition_intervals import KINDS as RBMS, Draw, Judged, missed, rows_of, summary
from timing import circumstances, say
from torch import Tensor

from genzoo import Binary, DataInfo
from genzoo.plugin import Real
from genzoo_boltzmann import enumeration, partition
from genzoo_boltzmann.boltzmann_machine import BoltzmannMachine, BoltzmannMachineConfig
from genzoo_boltzmann.conv_rbm import ConvRBM, ConvRBMConfig
from genzoo_boltzmann.dbm import DBM, DBMConfig
from genzoo_boltzmann.gaussian_rbm import GaussianRBM, GaussianRBMConfig
from genzoo_boltzmann.machine import Machine
from genzoo_boltzmann.rbm import RBM, RBMConfig

ROWS, STARTS = 500, 50
MUST_HOLD, MOST_FLAGGED = 0.98, 0.15
EVERY = 20
"""After how many machines of a kind the counts so far are printed."""


@dataclass(frozen=True)
class Subject:
    """A machine, and exact draws of its visible units.

    Arguments:
        machine: The machine, in float32.
        rows: The draws, (ROWS + STARTS, *event_shape).
        name: What it is.
    """

    machine: Machine[Any]
    rows: Tensor
    name: str


@torch.no_grad()
def images(machine: Machine[Any], draw: Draw) -> Tensor:
    """Return exact draws of a machine with up to 14 binary visible units, by enumeration."""
    v = enumeration.states(math.prod(machine.event_shape), machine.device)
    p = (-machine.row_energies(v)).softmax(0)
    drawn = torch.multinomial(p, ROWS + STARTS, replacement=True, generator=draw.generator)
    return v[drawn].view(-1, *machine.event_shape).float()


@torch.no_grad()
def rbm(draw: Draw) -> Subject:
    """Return an RBM of 6 to 30 visible and 3 to 10 hidden units; see `partition_intervals`."""
    shape, kind = (draw.integer(6, 30), draw.integer(3, 10)), draw.integer(0, len(RBMS) - 1)
    model = RBM(RBMConfig(event=Binary(shape=shape[:1]), num_hidden=shape[1]))
    name = list(RBMS)[kind]
    exact = model.double()
    RBMS[name](exact, draw)
    rows = rows_of(exact, ROWS + STARTS, draw.generator).float()
    return Subject(exact.float(), rows, f"{name}, {shape[0]} × {shape[1]} units")


@torch.no_grad()
def gaussian_rbm(draw: Draw) -> Subject:
    """Return a machine of 1 to 6 real and 2 to 8 hidden units, whose σ is about 1."""
    shape, scale = (draw.integer(1, 6), draw.integer(2, 8)), draw.scale()
    model = GaussianRBM(GaussianRBMConfig(event=Real(shape=shape[:1]), num_hidden=shape[1]))
    model.log_var.copy_(0.5 * draw.normal(shape[0]))
    model.W.copy_(scale * draw.normal(*shape) / math.sqrt(shape[1]))
    model.b.copy_(draw.normal(shape[0]))
    model.c.copy_(draw.normal(shape[1]))
    equal = draw.integer(0, 2) == 0
    var, W = model.var.double(), model.W.double()
    if equal:  # A state of h and its opposite have the same mass.
        model.b.copy_(-0.5 * W.sum(1))
        model.c.copy_(0 * model.c)
    h = enumeration.states(shape[1], model.device)
    mean = model.b.double() + h @ W.T
    log_mass = h @ model.c.double() + 0.5 * ((mean**2 - model.b.double() ** 2) / var).sum(1)
    drawn = torch.multinomial(
        log_mass.softmax(0), ROWS + STARTS, replacement=True, generator=draw.generator
    )
    rows = mean[drawn] + var.sqrt() * draw.normal(ROWS + STARTS, shape[0])
    name = f"{'two equal halves, ' * equal}{shape[0]} × {shape[1]} units, scale {scale:.1f}"
    return Subject(model, rows.float(), name)


@torch.no_grad()
def conv_rbm(draw: Draw) -> Subject:
    """Return a machine of up to 3 × 4 pixels and 1 to 3 filters of 2 × 2, pooled or not."""
    pool = draw.integer(1, 2)
    shape = (1, 3, 3) if pool == 2 else (1, draw.integer(2, 3), draw.integer(2, 4))
    num, scale = draw.integer(1, 3), draw.scale()
    config = ConvRBMConfig(event=Binary(shape=shape), num_filters=num, filter_size=2, pool=pool)
    model = ConvRBM(config)
    model.W.copy_(scale * draw.normal(*model.W.shape) / 2)
    model.b.copy_(scale * draw.normal(*model.b.shape) / 2)
    model.c.copy_(scale * draw.normal(num) / 2)
    equal = draw.integer(0, 2) == 0
    if equal:  # Without pooling, a state and its opposite have the same mass.
        half = 0.5 * torch.ones(1, *config.maps)
        model.b.copy_(-torch.nn.functional.conv_transpose2d(half, model.W).flatten())
        model.c.copy_(-0.5 * model.W.sum((1, 2, 3)))
    name = f"{'centred, ' * equal}{shape[1]} × {shape[2]} pixels, {num} filters, pool {pool}"
    return Subject(model, images(model, draw), f"{name}, scale {scale:.1f}")


@torch.no_grad()
def boltzmann_machine(draw: Draw) -> Subject:
    """Return a complete machine of 3 to 6 visible and 0 to 3 hidden units."""
    shape, scale = (draw.integer(3, 6), draw.integer(0, 3)), draw.scale()
    config = BoltzmannMachineConfig(event=Binary(shape=shape[:1]), num_hidden=shape[1])
    model = BoltzmannMachine(config)
    for parameter in model.parameters():
        parameter.copy_(scale * draw.normal(*parameter.shape) / math.sqrt(sum(shape)))
    equal = draw.integer(0, 2) == 0
    if equal:  # A state and its opposite have the same mass.
        fields = -0.5 * model.weights()[0].sum(1)
        model.b.copy_(fields[: shape[0]])
        model.c.copy_(fields[shape[0] :])
    name = f"{'centred, ' * equal}{shape[0]} + {shape[1]} units, scale {scale:.1f}"
    return Subject(model, images(model, draw), name)


@torch.no_grad()
def dbm(draw: Draw) -> Subject:
    """Return a deep machine of 4 to 8 visible units and 2 or 3 layers of 2 to 4 hidden ones."""
    dims = tuple(draw.integer(2, 4) for _ in range(draw.integer(2, 3)))
    shape, scale = (draw.integer(4, 8), *dims), draw.scale()
    model = DBM(DBMConfig(event=Binary(shape=shape[:1]), hidden_dims=dims))
    for W in model.W:
        W.copy_(scale * draw.normal(*W.shape) / math.sqrt(sum(W.shape) / 2))
    biases = (model.b, *model.c)
    for bias in biases:
        bias.copy_(scale * draw.normal(len(bias)) / 2)
    equal = draw.integer(0, 2) == 0
    if equal:  # A state and its opposite have the same mass.
        for bias in biases:
            bias.zero_()
        for below, above, W in zip(biases, biases[1:], model.W, strict=False):
            below.sub_(0.5 * W.sum(1))
            above.sub_(0.5 * W.sum(0))
    name = f"{'centred, ' * equal}{'-'.join(map(str, shape))} units, scale {scale:.1f}"
    return Subject(model, images(model, draw), name)


KINDS: dict[str, Callable[[Draw], Subject]] = {
    "rbm": rbm,
    "gaussian-rbm": gaussian_rbm,
    "conv-rbm": conv_rbm,
    "boltzmann-machine": boltzmann_machine,
    "dbm": dbm,
}


@torch.no_grad()
def judged(kind: str, seed: int) -> Judged:
    """Return the interval of one machine, and log Z."""
    draw = Draw(torch.Generator().manual_seed(seed))
    subject = KINDS[kind](draw)
    model, starts, rows = subject.machine, subject.rows[:STARTS], subject.rows[STARTS:]
    weights = [parameter.clone() for parameter in model.parameters()]
    model.init_from_data({"x": rows}, DataInfo(fields={"x": model.event}))
    for parameter, value in zip(model.parameters(), weights, strict=True):
        parameter.copy_(value)
    found = partition.bracketed(model, start=starts, generator=draw.generator)
    truth = partition.exact(model).estimate.value
    return Judged(f"{kind} {seed}: {subject.name}", found.estimate, truth)


def verdict(cases: list[Judged]) -> str:
    """Return whether the shares are what they must be."""
    enough = [case for case in cases if case.enough]
    kept = [case for case in cases if not case.found.unreliable]
    flagged = sum(case.found.unreliable for case in enough) / max(1, len(enough))
    held = sum(case.holds for case in kept) / max(1, len(kept))
    good = held >= MUST_HOLD and flagged <= MOST_FLAGGED
    return (
        f"  {'passed' if good else 'FAILED'}: {held:.3f} of {len(kept)} not flagged hold the "
        f"truth, {flagged:.3f} of {len(enough)} with enough effective chains are flagged"
    )


def main() -> None:
    """Print a table for each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--machines", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the first machine of each kind")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    say(circumstances(given.threads))
    for kind in given.kinds:
        began = time.process_time()
        cases = []
        for number in range(given.machines):
            cases.append(judged(kind, given.seed + number))
            if not (cases[-1].found.unreliable or cases[-1].holds):
                say(missed(cases[-1]))
            if len(cases) % EVERY == 0 and len(cases) < given.machines:
                say(f"  so far:{summary(kind, cases)}")
        seconds = time.process_time() - began
        say(summary(kind, cases), verdict(cases), f"  {seconds / len(cases):.1f} s a machine")


if __name__ == "__main__":
    main()
