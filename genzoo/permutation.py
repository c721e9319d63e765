"""A seeded permutation that is computed place by place, without memory for all of them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genzoo import seeds

MAX_LISTED = 2**20
"""Permutations of more numbers are computed; shorter ones are listed by `torch.randperm`."""
_ROUNDS = 8
_Numbers = npt.NDArray[np.uint64]


class Permutation:
    """A pseudo-random permutation of 0, …, n − 1.

    A number below a·b ≥ n, with a = ⌈√n⌉ and b = ⌈n / a⌉, is a pair (l, r) = (x mod a, ⌊x / a⌋).
    Each round replaces it by l ← (l + f(r)) mod a, or r ← (r + f(l)) mod b, in turn, with f a hash
    that mixes in the round's key. Each round can be undone, so all of them are a permutation of
    the numbers below a·b; a result that is not below n is permuted again.

    | Ciphers with Arbitrary Finite Domains (Black, Rogaway, 2002): generalized Feistel, cycling

    Arguments:
        num: n.
        seed: The seed.

    >>> sorted(Permutation(5, seed=0)(torch.arange(5)).tolist())
    [0, 1, 2, 3, 4]
    """

    def __init__(self, num: int, seed: int) -> None:
        self.num = num
        a = math.isqrt(num - 1) + 1
        self._sides = a, -(-num // a)
        self._keys = [seeds.derive_seed(seed, "round", i) for i in range(_ROUNDS)]

    def __call__(self, places: Tensor) -> Tensor:
        """Return the numbers at ``places``, int64."""
        numbers = self._permuted(places.numpy().astype(np.uint64))
        while (beyond := numbers >= self.num).any():
            numbers[beyond] = self._permuted(numbers[beyond])
        return torch.from_numpy(numbers.astype(np.int64))

    def _permuted(self, numbers: _Numbers) -> _Numbers:
        a, b = (np.uint64(side) for side in self._sides)
        right, left = np.divmod(numbers, a)
        for i, key in enumerate(self._keys):
            if i % 2 == 0:
                left = (left + _hash(right, key) % a) % a
            else:
                right = (right + _hash(left, key) % b) % b
        return right * a + left


def _hash(numbers: _Numbers, key: int) -> _Numbers:
    """Return 64 mixed bits of each number.

    | Fast Splittable Pseudorandom Number Generators (Steele, Lea, Flood, 2014): its finalizer
    """
    z = numbers + np.uint64(key % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
