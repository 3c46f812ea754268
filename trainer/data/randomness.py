"""Random draws that stay the same for ever: every draw comes from a named stream.

A stream is named by its key, so item 7 of a source is the same whatever was drawn before it. Only
`random.Random.random()` is used underneath, the one method whose sequence Python promises to keep.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def key_digest(*key: object) -> str:
    """Sha256 of a key made of strings, integers and tuples of them, 64 hex digits."""
    return hashlib.sha256(repr(key).encode()).hexdigest()


def sequence_digest(key: Sequence[object], entries: Iterable[object]) -> str:
    """`key_digest` of a key and, last in it, a tuple of entries too many to be held at once."""
    hashed = hashlib.sha256(f"({', '.join(map(repr, key))}, (".encode())
    count = 0
    for count, entry in enumerate(entries, start=1):
        hashed.update(f"{', ' if count > 1 else ''}{entry!r}".encode())
    hashed.update(b",))" if count == 1 else b"))")
    return hashed.hexdigest()


class Draws:
    """One stream of random choices."""

    __slots__ = ("_next",)

    def __init__(self, *key: object) -> None:
        seed = int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big")
        self._next = random.Random(seed).random

    def below(self, bound: int) -> int:
        """An integer from 0 up to, not including, `bound`."""
        return int(self._next() * bound)

    def between(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both possible."""
        return low + int(self._next() * (high - low + 1))

    def coin(self, probability: float = 0.5) -> bool:
        """True with the given probability."""
        return self._next() < probability

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, all equally likely."""
        return choices[int(self._next() * len(choices))]

    def pick_weighted(self, weights: Mapping[T, float]) -> T:
        """One of the keys, each as likely as its weight."""
        target = self._next() * sum(weights.values())
        chosen: T | None = None
        for name, weight in weights.items():
            if weight <= 0:
                continue
            chosen = name
            target -= weight
            if target < 0:
                break
        if chosen is None:
            raise ValueError("weights need a positive one")
        return chosen

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """The values in a random order."""
        result = list(values)
        for index in range(len(result) - 1, 0, -1):
            other = int(self._next() * (index + 1))
            result[index], result[other] = result[other], result[index]
        return result
