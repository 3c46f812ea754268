"""The thread that publishes: a tracker that is down is told of where somebody looks."""

from __future__ import annotations

import pytest

from infra.errors import StoreError
from infra.object_store import LocalStore
from infra.tracking import NullTracker, Tracker
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from sweep.records.publisher import UNPUBLISHED_KIND, Publisher, unpublished_reason
from tests.records.head_sweep import SWEEP, register_head


def test_a_tracker_that_is_down_is_told_of_at_once_and_again_when_it_came(
    ledger: Ledger, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    register_head(ledger, store)
    ledger.set_sweep_state(SWEEP, SweepState.RUNNING)
    down = True

    def opened() -> Tracker:
        if down:
            raise StoreError("no MLflow answers at http://127.0.0.1:9")
        return NullTracker()

    def noted() -> list[str]:
        found = [one for one in ledger.decisions(SWEEP) if one.kind == UNPUBLISHED_KIND]
        return [one.payload["reason"] for one in found]

    with Publisher(ledger, SWEEP, opened, interval_seconds=0.01) as publisher:
        publisher.flush(20.0)
        publisher.flush(20.0)
        while_down = noted()
        down = False
        assert publisher.flush(20.0)

    assert while_down == ["no MLflow answers at http://127.0.0.1:9"]
    assert noted() == [*while_down, ""]
    told = [one for one in caplog.messages if "not shown yet" in one]
    assert len(told) == 1
    assert "nothing is lost" in told[0]


def test_what_an_earlier_driver_noted_is_taken_back_by_one_that_publishes(
    ledger: Ledger, store: LocalStore
) -> None:
    register_head(ledger, store)
    ledger.record_decision(SWEEP, UNPUBLISHED_KIND, {"reason": "it was down"})
    assert unpublished_reason(ledger.decisions(SWEEP)) == "it was down"

    with Publisher(ledger, SWEEP, NullTracker, interval_seconds=0.01) as publisher:
        assert publisher.flush(20.0)

    assert unpublished_reason(ledger.decisions(SWEEP)) == ""
