"""Rows that end: the values that a place may have if some places of its row are known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genzoo_autoregressive.outputs import Output


def limited(output: Output, parameters: Tensor, ended: Tensor, rank: Tensor) -> Tensor:
    """Return parameters that give other values than a row can still have probability 0.

    In a row with padding, letters come first and padding follows. So if a place before another is
    known to be padding, the other one is padding; if a place after it is known to be a letter, it
    is a letter; else it is free. In each of these cases some row of the space has the value, in
    any order of the places, so the probabilities of all rows of the space sum to one.

    Arguments:
        output: The family of distributions, with padding.
        parameters: The parameters of all places, (B, D, P).
        ended: Where rows have padding, (B, D) bool.
        rank: The index of each place in the order, (D,) or (B, D): a place knows those of lower
            rank.
    """
    D, rank = ended.shape[1], rank.expand_as(ended)
    # The lowest rank of padding up to a place, and of a letter from it on; D if there is none. Its
    # own rank is not below itself.
    padded = rank.masked_fill(~ended, D).cummin(1).values
    lettered = rank.masked_fill(ended, D).flip(1).cummin(1).values.flip(1)
    return output.without(parameters, letters=padded < rank, padding=lettered < rank)


@dataclass
class Known:
    """What is known of the ends of rows that are filled in one place after another.

    Arguments:
        output: The family of distributions.
        end: The first place of each row that is known to be padding, (B,).
        last: The last place of each row that is known to be a letter, (B,).
    """

    output: Output
    end: Tensor
    last: Tensor

    @classmethod
    def nothing(cls, output: Output, rows: Tensor, num_places: int) -> Known:
        """Return that nothing is known of rows by their indices (B,)."""
        end = torch.full_like(rows, num_places)
        return cls(output, end, torch.full_like(end, -1))

    def limited(self, parameters: Tensor, place: int) -> Tensor:
        """Return the parameters (B, P) of a place as `limited` does; unchanged without padding."""
        if self.output.padding is None:
            return parameters
        return self.output.without(parameters, letters=self.end < place, padding=self.last > place)

    def put(self, place: int, values: Tensor) -> None:
        """Take the values (B,) of a place."""
        if self.output.padding is None:
            return
        ended = torch.eq(values, self.output.padding)
        self.end = torch.where(ended, self.end.clamp_max(place), self.end)
        self.last = torch.where(ended, self.last, self.last.clamp_min(place))
