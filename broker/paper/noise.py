"""Keyed randomness: the same seed and key give the same numbers on every run and in every process.

A counter hash, not a stream: number 7 of one key never depends on what was asked before it.
"""

from __future__ import annotations

import sys
from array import array
from functools import cache
from hashlib import blake2b, shake_128
from math import log
from statistics import NormalDist

_WORDS = 65_536


@cache
def normal_table() -> list[float]:
    """The standard normal's quantiles, one a 16-bit word, ascending and symmetric."""
    inverse = NormalDist().inv_cdf
    upper = [inverse((word + 0.5) / _WORDS) for word in range(_WORDS // 2, _WORDS)]
    return [-value for value in reversed(upper)] + upper


@cache
def excursion_table() -> list[float]:
    """-ln(U)/2, one a 16-bit word: how far a bridge rises above its ends, in variances. Always positive."""
    return [-0.5 * log((word + 0.5) / _WORDS) for word in range(_WORDS)]


class Noise:
    """One seed's numbers. Keys are short texts that the caller keeps unique."""

    def __init__(self, seed: int) -> None:
        self._root = blake2b(str(seed).encode(), digest_size=16).digest()

    def words(self, key: str, count: int) -> array[int]:
        """`count` numbers of 0..65535, evenly spread."""
        found = array("H", shake_128(self._root + key.encode()).digest(2 * count))
        if sys.byteorder == "big":
            found.byteswap()
        return found

    def word(self, key: str) -> int:
        """One number of 0..2**64-1."""
        return int.from_bytes(shake_128(self._root + key.encode()).digest(8), "little")

    def normals(self, key: str, count: int) -> list[float]:
        """`count` independent standard normals, none beyond 4.3."""
        table = normal_table()
        return [table[word] for word in self.words(key, count)]

    def bridge(self, key: str, steps: int) -> list[float]:
        """A random walk of unit steps that ends where it began: steps + 1 values, 0 first and last."""
        total = 0.0
        walk = [0.0]
        for step in self.normals(key, steps):
            total += step
            walk.append(total)
        drift = total / steps
        pinned = [value - drift * index for index, value in enumerate(walk)]
        pinned[-1] = 0.0
        return pinned
