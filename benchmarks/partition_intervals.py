"""How often the interval of log Z holds the truth, over random machines that can be enumerated.

Machines of 10 to 70 visible and 4 to 10 hidden units, of four kinds and from weak to strong, each
with one of five numbers of equally spaced temperatures: 100 chains forwards and 100 backwards, of
which half begin at 50 rows that are exact draws from the machine. The base rates are the means of
500 others, as training would have it; for every second machine with modes they are 1/2. Of each
machine three intervals are judged: AIS alone, AIS with reverse AIS from annealed states, and what
`log_prob` takes, with reverse AIS from rows too.

Printed are, for each kind, how many machines have 10 effective chains in every estimate; of these
the share that is flagged by anything else; of those not flagged the share whose interval of 3σ
holds the truth. Every one that misses is listed.

Usage: python benchmarks/partition_intervals.py [--machines 50] [--seed 0] [--kinds spread modes]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from timing import circumstances, say
from torch import Tensor

import genzoo
import genzoo.plugin
from genzoo_boltzmann import partition
from genzoo_boltzmann.rbm import RBM, RBMConfig

TEMPERATURES = (5, 10, 30, 100, 300)
BURN_IN, ROWS, STARTS = 300, 500, 50
INTERVALS = ("AIS", "AIS and reverse AIS", "and from rows")


@dataclass(frozen=True)
class Draw:
    """Where a machine's numbers come from."""

    generator: torch.Generator

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal values, float64."""
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def uniform(self, low: float, high: float) -> float:
        """Return one value between two ends."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def integer(self, low: int, high: int) -> int:
        """Return one integer, the ends included."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def scale(self) -> float:
        """Return how strong a machine is: from 0.5 to 8, evenly in its logarithm."""
        return math.exp(self.uniform(math.log(0.5), math.log(8)))


@torch.no_grad()
def spread(rbm: RBM, draw: Draw) -> None:
    """Set normal weights and biases."""
    scale = draw.scale()
    rbm.W.copy_(scale * draw.normal(*rbm.W.shape) / math.sqrt(rbm.W.shape[1]))
    rbm.b.copy_(scale * draw.normal(len(rbm.b)))
    rbm.c.copy_(scale * draw.normal(len(rbm.c)))


@torch.no_grad()
def centred(rbm: RBM, draw: Draw) -> None:
    """Set normal weights, and biases for which a state and its opposite have one probability."""
    rbm.W.copy_(draw.scale() * draw.normal(*rbm.W.shape) / math.sqrt(rbm.W.shape[1]))
    rbm.b.copy_(-rbm.W.sum(1) / 2)
    rbm.c.copy_(-rbm.W.sum(0) / 2)


@torch.no_grad()
def sparse(rbm: RBM, draw: Draw) -> None:
    """Set a fifth of the weights, and biases that keep most units off."""
    scale = draw.scale()
    kept = torch.rand(rbm.W.shape, generator=draw.generator) < 0.2
    rbm.W.copy_(2 * scale * draw.normal(*rbm.W.shape) * kept)
    rbm.b.copy_(scale * (draw.normal(len(rbm.b)) - 1))
    rbm.c.copy_(scale * (draw.normal(len(rbm.c)) - 1))


@torch.no_grad()
def modes(rbm: RBM, draw: Draw) -> None:
    """Set one or two hidden units that turn many visible ones on, the others weak.

    Such a mode has e⁻² to e⁶ times the mass of the rest, and next to none of it at β = 0.
    """
    size = len(rbm.b)
    rbm.W.copy_(0.3 * draw.normal(*rbm.W.shape))
    rbm.b.copy_(0.5 * draw.normal(size))
    rbm.c.zero_()
    for gate in range(draw.integer(1, 2)):
        on = torch.randperm(size, generator=draw.generator)[: draw.integer(size // 2, size)]
        weight = draw.uniform(2, 6)
        rbm.W[:, gate] = 0
        rbm.W[on, gate] = weight
        rise = F.softplus(rbm.b[on] + weight) - F.softplus(rbm.b[on])
        rbm.c[gate] = draw.uniform(-2, 6) - rise.sum()


KINDS: dict[str, Callable[[RBM, Draw], None]] = {
    function.__name__: function for function in (spread, centred, sparse, modes)
}


@torch.no_grad()
def rows_of(rbm: RBM, num: int, generator: torch.Generator) -> Tensor:
    """Return exact draws of the visible units, (num, V)."""
    size = rbm.W.shape[1]
    h = ((torch.arange(2**size)[:, None] >> torch.arange(size)) & 1).double()
    log_p = h @ rbm.c + F.softplus(rbm.b + h @ rbm.W.T).sum(1)
    drawn = h[torch.multinomial(log_p.softmax(0), num, replacement=True, generator=generator)]
    p = torch.sigmoid(rbm.b + drawn @ rbm.W.T)
    return (torch.rand(p.shape, generator=generator, dtype=p.dtype) < p).to(p.dtype)


@dataclass(frozen=True)
class Judged:
    """One interval of one machine.

    Arguments:
        machine: What it is.
        found: The estimate.
        truth: log Z by enumeration.
    """

    machine: str
    found: genzoo.plugin.Estimate
    truth: float

    @property
    def enough(self) -> bool:
        """Whether every estimate in it has enough effective chains."""
        return not any(note.code.endswith("ess-low") for note in self.found.notes)

    @property
    def holds(self) -> bool:
        """Whether the truth lies in it."""
        low, high = self.found.interval or (math.inf, -math.inf)
        return low <= self.truth <= high


def judged(kind: str, seed: int) -> list[Judged]:
    """Return the three intervals of one machine."""
    draw = Draw(torch.Generator().manual_seed(seed))
    shape = draw.integer(10, 70 if kind == "modes" else 40), draw.integer(4, 10)
    rbm = RBM(RBMConfig(event=genzoo.Binary(shape=shape[:1]), num_hidden=shape[1])).double()
    KINDS[kind](rbm, draw)
    x = rows_of(rbm, ROWS + STARTS, draw.generator)
    if kind != "modes" or seed % 2:
        rbm.base_rates.copy_(x[STARTS:].mean(0).clamp(1e-3, 1 - 1e-3))
    num = TEMPERATURES[draw.integer(0, len(TEMPERATURES) - 1)]
    betas = torch.linspace(0, 1, num + 1, dtype=torch.float64)
    forward = partition.ais(rbm, generator=draw.generator, betas=betas)
    backward, from_rows = partition.reverse_halves(
        rbm, x[:STARTS], generator=draw.generator, betas=betas, num_burn_in=BURN_IN
    )
    both = partition.with_interval(forward, backward)
    found = (forward, both, partition.with_interval(forward, backward, from_rows))
    name = f"{kind} {seed}, {shape[0]} × {shape[1]} units, {num} temperatures"
    truth = partition.exact(rbm).estimate.value
    return [Judged(name, log_z.estimate, truth) for log_z in found]


def summary(name: str, cases: Sequence[Judged]) -> str:
    """Return a line on many machines."""
    enough = [case for case in cases if case.enough]
    kept = [case for case in enough if not case.found.unreliable]
    held = sum(case.holds for case in kept)
    share = held / max(1, len(kept))
    error = math.sqrt(max(share * (1 - share), 1 / max(1, len(kept))) / max(1, len(kept)))
    return (
        f"  {name:<22} {len(cases):>4} machines, {len(enough):>4} with enough effective chains, "
        f"{len(enough) - len(kept):>3} of these flagged, {held:>4} of {len(kept):>4} others held: "
        f"{share:.3f} ± {error:.3f}"
    )


def missed(case: Judged) -> str:
    """Return a line on an interval that misses the truth and is not flagged."""
    low, high = (end - case.truth for end in case.found.interval or (math.nan, math.nan))
    return f"    missed: {case.machine}: {low:+.3f} to {high:+.3f} nats from the truth"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=50, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1))
    every: dict[str, list[Judged]] = {name: [] for name in INTERVALS}
    for kind in given.kinds:
        cases = [judged(kind, given.seed + number) for number in range(given.machines)]
        say(f"{kind}:")
        for name, column in zip(INTERVALS, zip(*cases, strict=True), strict=True):
            every[name] += column
            say(summary(name, column))
            say(*(missed(c) for c in column if not (c.found.unreliable or c.holds)))
    say("all:", *(summary(name, cases) for name, cases in every.items()))


if __name__ == "__main__":
    main()
