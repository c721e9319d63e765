"""A space of another package: six methods, and what follows from them."""

import math
from dataclasses import dataclass

import pytest
import torch

from genzoo import ConditionError, DataError, registry
from genzoo.plugin import Space
from space_rows import check_rows, rows_of


@dataclass(frozen=True, kw_only=True)
class Dozen(Space):
    """Multiples of a dozen up to a gross: the six methods, and no more."""

    def check(self, values, *, noun="row"):
        bad = (values % 12 != 0) | (values < 0) | (values > 144)
        if bad.any():
            raise DataError(f"{noun} {int(bad.nonzero()[0])} is not a dozen. Round it.")

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
    with pytest.raises(DataError, match=r"It takes dozens; row 0 is not a dozen\. Round it"):
        space.require(torch.tensor([5.0]), "It")
    with pytest.raises(DataError, match=r"takes shape \(\) for each row"):
        space.require(rows[:, None], "It")
    check_rows(space, rows)
    assert (space.null, space.count, space.value_names(), space.bounds) == (None, None, (), None)
    assert space.vectors(rows).shape == space.images(rows).shape == (6, 1)
    assert space.parse("24").tolist() == 24
    with pytest.raises(
        ConditionError, match="A condition takes dozens; condition 0 is not a dozen"
    ):
        space.parse("25")
    assert (space.describe(), space.relaxed(), space.lines(rows)) == ("dozens", space, None)


@dataclass(frozen=True, kw_only=True)
class Unsure(Dozen):
    """The same, where −12 stands for a row that is not given."""

    @property
    def null(self):
        return torch.tensor(-12.0)


def test_a_space_that_names_a_null_has_rows_that_are_not_given():
    space, rows = Unsure(), torch.tensor([0.0, 12.0, 24.0])
    dropped = torch.tensor([True, False, True])
    found = space.with_null(rows, dropped)
    assert found.tolist() == [-12.0, 12.0, -12.0]
    assert torch.equal(space.is_null(found), dropped)
    assert space.is_null(found[:0]).tolist() == []
    space.nullable(found, "It")
    with pytest.raises(DataError, match=r"It takes dozens; row 2 is not a dozen\. Round it"):
        space.nullable(torch.tensor([-12.0, 12.0, 5.0]), "It")


@dataclass(frozen=True, kw_only=True)
class Pairs(Unsure):
    """Two of them in a row."""

    @property
    def event_shape(self):
        return (2,)


def test_a_row_of_several_places_is_null_where_all_of_them_are():
    space = Pairs()
    rows = torch.tensor([[-12.0, -12.0], [-12.0, 0.0], [12.0, 0.0]])
    assert space.is_null(rows).tolist() == [True, False, False]
    found = space.with_null(rows, torch.tensor([False, True, True]))
    assert found.tolist() == [[-12.0, -12.0]] * 3
