"""A real ledger whose time passes when a test says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sweep.records.ledger import Ledger
from sweep.replay.working import SimulatedClock
from tests.engine.simulation import open_ledger


@pytest.fixture(scope="module")
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory, clock: SimulatedClock) -> Iterator[Ledger]:
    # Making the tables takes longer than a test; every sweep and trial has a name of its own.
    with open_ledger(tmp_path_factory.mktemp("ledger"), clock) as ledger:
        yield ledger
