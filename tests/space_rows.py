"""What the tests of spaces share: rows of any space, and what can be done with them."""

import torch

from genzoo import Text, seeds


def rows_of(space, num=6, seed=0):
    """Rows in canonical form."""
    if isinstance(space, Text):
        return [f"row {i % 3}" for i in range(num)]
    return space.cast(space.reference(num, seeds.generator(seed))[0])


def same(a, b):
    return a == b if isinstance(a, (list, str)) else torch.equal(a, b)


def check_rows(space, rows):
    """Take, repeat, pad, collate and concatenate six rows."""
    one = space.take(rows, [2])[0]
    assert space.is_one(one)
    assert not space.is_one(rows)
    assert same(space.repeat(one, 3), space.take(rows, [2, 2, 2]))
    assert same(space.take(rows, torch.tensor([4, 0])), space.collate([rows[4], rows[0]]))
    assert same(space.collate([rows[i] for i in range(6)]), rows)
    assert same(space.concatenate([rows[:2], rows[2:3], rows[3:]]), rows)
    assert same(space.pad(rows, 1, 3), space.take(rows, [1, 2, 3]))
    assert same(space.pad(rows, 4, 4), space.take(rows, [4, 5, 5, 5]))
