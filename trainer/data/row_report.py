"""`DataReport`: what became of the rows of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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


class LeftOut:
    """How often rows were left out for each reason, and the first row of each."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, int] = {}

    def add(self, number: int, reason: Reason) -> None:
        """Count one row, by its number from 1."""
        self._counts[reason.value] += 1
        self._first[reason.value] = min(number, self._first.get(reason.value, number))

    def __contains__(self, reason: Reason) -> bool:
        return reason.value in self._counts

    @property
    def counts(self) -> dict[str, int]:
        """By reason, the commonest first."""
        return dict(self._counts.most_common())

    @property
    def first_rows(self) -> dict[str, int]:
        """By reason."""
        return dict(self._first)
