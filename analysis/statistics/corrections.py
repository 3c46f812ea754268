"""P-values of a family of tests, corrected for there being many."""

from __future__ import annotations

import math
from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction; tests that could not be made (`None` or NaN) do not count.

    Raises:
        ValueError: If a p-value is outside 0 to 1.

    Source:
        Holm (1979). Equal to `statsmodels.stats.multitest.multipletests`, whose import and calls
        take longer than the rest of a report.
    """
    made = _made(p_values)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (value, index) in enumerate(sorted(made)):
        largest = max(largest, min(1.0, (len(made) - rank) * value))
        corrected[index] = largest
    return corrected


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Q-values: the share of false claims to expect among those with a q-value this small.

    For looking, not for claiming: it bounds the share of false findings in a long list, where
    Holm's correction bounds the chance of any. Tests that could not be made do not count.

    Raises:
        ValueError: If a p-value is outside 0 to 1.

    Source:
        Benjamini & Hochberg (1995); valid for independent and positively dependent tests, which
        comparisons with one baseline are.
    """
    made = sorted(_made(p_values), reverse=True)
    corrected: list[float | None] = [None] * len(p_values)
    smallest = 1.0
    for rank, (value, index) in enumerate(made):
        smallest = min(smallest, value * len(made) / (len(made) - rank))
        corrected[index] = smallest
    return corrected


def _made(p_values: Sequence[float | None]) -> list[tuple[float, int]]:
    made = [
        (float(value), index)
        for index, value in enumerate(p_values)
        if value is not None and not math.isnan(value)
    ]
    if any(not 0 <= value <= 1 for value, _ in made):
        raise ValueError(f"p-values lie between 0 and 1, got {[value for value, _ in made]}")
    return made
