"""A space of another package: six methods, and what follows from them."""

import math
from dataclasses import dataclass

import pytest
import torch

from genzoo import ConditionError, DataError, Space, registry
from space_rows import check_rows, rows_of


@dataclass(frozen=True, kw_only=True)
class Dozen(Space):
    """Multiples of a dozen up to a gross: the six methods, and no more."""

    def check(self, values, *, noun="row"):
        bad = (values % 12 != 0) | (values < 0) | (values > 144)
        if bad.any():
            raise DataError(f"{noun} {int(bad.nonzero()[0])} is no dozen. Round it.")

    def cast(self, values):
        return torch.as_tensor(values).float()

    @property
    def num_dims(self):
        return 1

    @property
    def is_discrete(self):
        return True

    def reference(self, num, generator):
        drawn = 12.0 * torch.randint(13, (num,), generator=generator)
        return drawn, torch.full((num,), -math.log(13), dtype=torch.float64)

    def accepts(self, other):
        return None if isinstance(other, Dozen) else f"they are {other}"

    def __str__(self):
        return "dozens"


def test_six_methods_are_enough(monkeypatch):
    monkeypatch.setitem(registry._local, ("spaces", "dozen"), Dozen)
    space = Dozen()
    assert Space.from_dict(space.to_dict()) == space
    rows = rows_of(space)
    space.require(rows, "It")
    with pytest.raises(DataError, match=r"It takes dozens; row 0 is no dozen\. Round it"):
        space.require(torch.tensor([5.0]), "It")
    with pytest.raises(DataError, match=r"of shape \(\)"):
        space.require(rows[:, None], "It")
    check_rows(space, rows)
    assert (space.null, space.count, space.value_names(), space.bounds) == (None, None, (), None)
    assert space.vectors(rows).shape == space.images(rows).shape == (6, 1)
    assert space.parse("24").tolist() == 24
    with pytest.raises(ConditionError, match="A condition takes dozens; condition 0 is no dozen"):
        space.parse("25")
    assert (space.describe(), space.relaxed(), space.lines(rows)) == ("dozens", space, None)
