"""`ScoredModels`: what a sweep's trials and a folder's models have in common, scores on benchmarks.

Invariant: whatever is read of a benchmark is read for a stated purpose, and its split is checked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from analysis.alignment import Margins, Row, align_margins, align_outcomes
from analysis.layouts import Block, Layout
from analysis.outcomes import Outcomes, Purpose, check_purpose
from analysis.statistics.paired import Convention


class ScoredModels(ABC):
    """Models of arms and seeds, and their scores on named benchmarks."""

    __slots__ = ()

    @abstractmethod
    def rows(self, arms: Sequence[str] | None = None) -> list[Row]:
        """Whose outcomes there are, in order; of some arms where they are named."""

    @abstractmethod
    def blocks(
        self, benchmark: str, arms: Sequence[str] | None = None
    ) -> tuple[Iterable[Block], list[Layout]]:
        """Scores on a benchmark, and the layouts they come in; both empty where there are none."""

    def outcomes(
        self, benchmark: str, *, purpose: Purpose, convention: Convention = "ties are wrong"
    ) -> Outcomes:
        """Who was right on which pair, of all models that were scored.

        Raises:
            InputError: If the benchmark's items are of a split this purpose may not see.
        """
        blocks, layouts = self.checked_blocks(benchmark, purpose)
        return align_outcomes(
            blocks, layouts, self.rows(), benchmark=benchmark, convention=convention
        )

    def margins(
        self, benchmark: str, *, purpose: Purpose, arms: Sequence[str] | None = None
    ) -> Margins:
        """By how much the better response of every pair scored higher, of the same models.

        Args:
            benchmark: A benchmark this purpose may use.
            purpose: Decides which split may be seen.
            arms: Only these arms' models; thousands of models take a gigabyte.

        Raises:
            InputError: If the benchmark's items are of a split this purpose may not see.
        """
        blocks, layouts = self.checked_blocks(benchmark, purpose, arms)
        return align_margins(blocks, layouts, self.rows(arms), benchmark=benchmark)

    def groups(
        self, benchmark: str, *, purpose: Purpose, arms: Sequence[str] | None = None
    ) -> set[str]:
        """Item groups that any of the models was scored on.

        Raises:
            InputError: If the benchmark's items are of a split this purpose may not see.
        """
        _, layouts = self.checked_blocks(benchmark, purpose, arms)
        return {
            group for layout in layouts for group in layout.rows["group_id"].unique().to_pylist()
        }

    def checked_blocks(
        self, benchmark: str, purpose: Purpose, arms: Sequence[str] | None = None
    ) -> tuple[Iterable[Block], list[Layout]]:
        """`blocks`, if the purpose may see the benchmark.

        Raises:
            InputError: If the benchmark's items are of a split this purpose may not see.
        """
        blocks, layouts = self.blocks(benchmark, arms)
        for layout in layouts:
            check_purpose(layout.rows, benchmark, purpose)
        return blocks, layouts
