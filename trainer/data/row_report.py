"""`DataReport`: what became of the rows of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trainer.data.pair_rows import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """Rows kept and left out, and what is noteworthy about them."""

    path: str
    rows: int
    kept: int
    """Items; a published row may hold several."""
    dropped: Mapping[str, int]
    """Rows and items left out, by reason."""
    first_rows: Mapping[str, int]
    """The first row (from 1) of every reason."""
    groups: int
    splits: Mapping[str, int]
    """Kept items by split."""
    best_first: int
    """Kept items whose best response the file gives first."""
    contradicted: int
    """Rows that judge the same two responses to the same prompt the other way round."""

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.kept} items of {self.rows} rows, in {self.groups} groups"]
        lines += [
            f"  {count} left out: {reason} (first in row {self.first_rows[reason]})"
            for reason, count in self.dropped.items()
        ]
        return "\n".join(lines)

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def drop_counts(dropped: Sequence[tuple[int, Reason]]) -> tuple[dict[str, int], dict[str, int]]:
    """How often each reason came up, the commonest first, and the first row it came up in."""
    counts = Counter(reason.value for _, reason in dropped)
    first: dict[str, int] = {}
    for number, reason in dropped:
        first[reason.value] = min(number, first.get(reason.value, number))
    return dict(counts.most_common()), first
