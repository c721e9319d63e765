"""Graphs of units: which are connected, and blocks of units that are not."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genzoo.plugin import ConfigError

Edges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Blocks:
    """The units of a machine in blocks; those of a block are not connected.

    Arguments:
        kept: The units that are the state of a chain, (D,), visible ones first.
        out: The units that are summed out, (M,); these are a block of their own.
        colours: The kept units in blocks.
        hidden: For each of these, whether it has hidden units.
    """

    kept: Tensor
    out: Tensor
    colours: tuple[Tensor, ...]
    hidden: tuple[bool, ...]


@dataclass(frozen=True)
class Wiring:
    """A graph of units, and its blocks.

    Arguments:
        joined: Which units are connected, a symmetric bool matrix (N, N), visible units first.
        blocks: The blocks of a sweep: a set of unconnected hidden units, and the rest by colours.
        hidden_colours: All hidden units in blocks of unconnected ones.
    """

    joined: Tensor
    blocks: Blocks
    hidden_colours: tuple[Tensor, ...]


@functools.lru_cache(maxsize=8)
def wiring(
    name: str, edges: Edges, num_visible: int, num_hidden: int, device: torch.device
) -> Wiring:
    """Return the wiring of a graph, on a device; the other arguments are those of `adjacency`."""
    joined = adjacency(name, edges, num_visible, num_hidden)
    everything = range(num_visible + num_hidden)
    hidden = everything[num_visible:]
    out = independent(joined, hidden)
    kept = sorted(set(everything).difference(out))
    blocks = colours(joined, kept)

    def index(units: Sequence[int]) -> Tensor:
        return index_of(units).to(device)

    return Wiring(
        joined.to(device),
        Blocks(
            index(kept),
            index(out),
            tuple(map(index, blocks)),
            tuple(any(unit >= num_visible for unit in block) for block in blocks),
        ),
        tuple(index(block) for block in colours(joined, hidden)),
    )


def index_of(units: Sequence[int]) -> Tensor:
    """Return numbers of units as an index, which may be empty."""
    return torch.tensor(units, dtype=torch.long)


def check_edges(edges: Edges, num: int) -> None:
    """Check that pairs of units are the edges of a graph.

    Raises:
        ConfigError: A pair names a unit that does not exist, a unit twice, or an earlier pair.
    """
    seen: dict[frozenset[int], int] = {}
    for place, edge in enumerate(edges):
        where = f"edges[{place}]"
        if not all(0 <= unit < num for unit in edge):
            raise ConfigError(f"{where} is {list(edge)}; the units are 0 to {num - 1}.")
        if edge[0] == edge[1]:
            raise ConfigError(f"{where} joins unit {edge[0]} with itself; use a bias instead.")
        before = seen.setdefault(frozenset(edge), place)
        if before != place:
            raise ConfigError(f"{where} is {list(edge)}, the same pair as edges[{before}].")


def adjacency(name: str, edges: Edges, num_visible: int, num_hidden: int) -> Tensor:
    """Return which units are connected, a symmetric bool matrix (N, N), visible units first.

    Arguments:
        name: "complete", "semi-restricted" (all but pairs of hidden units), "restricted" (pairs
            of a visible and a hidden unit only), or "edges".
        edges: The pairs that are connected if the name is "edges".
        num_visible: The number of visible units.
        num_hidden: The number of hidden units.
    """
    num = num_visible + num_hidden
    if name == "edges":
        found = torch.zeros(num, num, dtype=torch.bool)
        if edges:
            i, j = torch.tensor(edges).T
            found[i, j] = found[j, i] = True
        return found
    found = ~torch.eye(num, dtype=torch.bool)
    if name != "complete":
        found[num_visible:, num_visible:] = False
    if name == "restricted":
        found[:num_visible, :num_visible] = False
    return found


def independent(joined: Tensor, units: Sequence[int]) -> list[int]:
    """Return a large set of the units of which no two are connected, ascending.

    Units with few connections among them are taken first.
    """
    among = index_of(units)
    degrees = joined[among][:, among].sum(1)
    taken = torch.zeros(len(joined), dtype=torch.bool)
    for unit in among[degrees.argsort(stable=True)].tolist():
        taken[unit] = not (joined[unit] & taken).any()
    found: list[int] = taken.nonzero().flatten().tolist()
    return found


def colours(joined: Tensor, units: Sequence[int]) -> list[list[int]]:
    """Return the units in blocks, of each of which no two are connected; greedy.

    A complete graph has one unit in each block.
    """
    blocks: list[list[int]] = []
    colour = torch.full((len(joined),), -1)
    for unit in units:
        taken = set(colour[joined[unit]].tolist())
        first = next(c for c in range(len(blocks) + 1) if c not in taken)
        if first == len(blocks):
            blocks.append([])
        blocks[first].append(unit)
        colour[unit] = first
    return blocks
