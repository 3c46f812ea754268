"""Durations as a reader takes them in."""

from __future__ import annotations

import pytest

from sweep.cli.console import duration_text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "-"),
        (11.6, "12 s"),
        (200, "3 min 20 s"),
        (3_900, "1 h 05 min"),
        (3600 * 99.0, "99 h 00 min"),
        (3600 * 100.5, "4 days 04 h"),
        (3600 * 57_736.1, "2,405 days 16 h"),
    ],
)
def test_a_duration_is_told_in_units_of_its_size(seconds: float | None, said: str) -> None:
    assert duration_text(seconds) == said
