"""Which split a group belongs to, and which rows belong to one group.

A split follows from the group's name alone, so it never changes when data is added, reordered or
drawn with another seed, and no group is ever in two splits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from trainer.evaluation_config import Split

_VALIDATION_BELOW = 0.1
_TEST_BELOW = 0.2


def split_of(group_id: str, *, salt: str = "") -> Split:
    """The split of a group: 80 % train, 10 % validation, 10 % test, by a stable hash.

    Args:
        group_id: Name of the group; groups with equal names are the same group.
        salt: Another text gives another, unrelated partition.
    """
    hashed = hashlib.sha256(f"split\0{salt}\0{group_id}".encode()).digest()
    position = int.from_bytes(hashed[:8], "big") / 2**64
    if position < _VALIDATION_BELOW:
        return "validation"
    return "test" if position < _TEST_BELOW else "train"


def connected_groups(ties: Iterable[Sequence[str]]) -> list[str]:
    """The group of every row, given the names that tie rows together.

    Two rows are in one group when a chain of shared names leads from one to the other. A group is
    called by the smallest name in it, so the order of the rows does not matter.

    Args:
        ties: For every row, at least one name (of an image, a prompt, a declared group).

    Raises:
        ValueError: If a row has no name.
    """
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        parents.setdefault(name, name)
        while parents[name] != name:
            parents[name] = parents[parents[name]]
            name = parents[name]
        return name

    rows = [tuple(names) for names in ties]
    for names in rows:
        if not names:
            raise ValueError("every row needs at least one name to group it by")
        first = root(names[0])
        for name in names[1:]:
            other = root(name)
            # The smaller name stays on top, so a group's name does not depend on row order.
            first, other = sorted((first, other))
            parents[other] = first
    return [root(names[0]) for names in rows]
