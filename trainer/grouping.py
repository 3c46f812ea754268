"""Things in their order, as many together as a limit holds; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def groups_within(limit: int, sized: Iterable[tuple[T, int]]) -> list[list[T]]:
    """Groups of neighbours whose sizes sum to at most a limit; what is larger is alone.

    Args:
        limit: Of a group's sizes.
        sized: Things in their order, each with its size.
    """
    groups: list[list[T]] = []
    held = 0
    for each, size in sized:
        if not groups or held + size > limit:
            groups.append([])
            held = 0
        groups[-1].append(each)
        held += size
    return groups
