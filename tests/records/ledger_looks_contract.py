"""What every ledger must tell those who look again and again, and what it need not read for it."""

from __future__ import annotations

from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from sweep.replay.working import SimulatedClock
from tests.records.rows import TTL, identity_of, register, report, stranger, trial_rows


class LedgerLooksContract:
    """Run by every database; subclasses give the `url` of an empty one."""

    def test_what_runs_is_told_without_what_does_not(
        self, ledger: Ledger, clock: SimulatedClock
    ) -> None:
        register(ledger)
        register(ledger, "other-1a2b3c4d", trials=trial_rows(2, first=3))
        for number, driver in ((3, "one"), (0, "two"), (1, "dead")):
            sweep_id = "other-1a2b3c4d" if number == 3 else "head-1a2b3c4d"
            ttl = 1.0 if driver == "dead" else TTL
            claimed = ledger.claim(identity_of(number), sweep_id, stranger(driver), ttl)
            assert claimed is not None
            ledger.record_report(claimed.attempt_id, report(10 * number))
        clock.now += 2.0

        # The last is a trial of both sweeps, run for the other one.
        running = ledger.running("head-1a2b3c4d")
        assert [(one.arm, one.seed, one.fraction) for one in running] == [
            ("arm-0", 0, 0.0),
            ("arm-1", 1, 0.3),
        ]
        views = {view.identity: view for view in ledger.trials("head-1a2b3c4d")}
        live = [identity for identity, view in views.items() if view.live]
        assert [one.identity for one in running] == live
        assert all(one.attempts == views[one.identity].attempts == 1 for one in running)

    def test_unfinished_are_sweeps_that_go_on_or_that_somebody_holds(self, ledger: Ledger) -> None:
        for number, name in enumerate(("open", "held", "over")):
            register(ledger, f"{name}-1a2b3c4d", trials=trial_rows(2, first=2 * number))
        ledger.acquire_sweep("held-1a2b3c4d", stranger(), TTL)
        for name in ("held", "over"):
            for state in (SweepState.RUNNING, SweepState.STOPPED):
                ledger.set_sweep_state(f"{name}-1a2b3c4d", state)

        listed = {row.sweep_id: row for row in ledger.sweeps()}
        unfinished = ledger.unfinished()

        assert {row.name for row in unfinished} == {"open", "held"}
        assert all(row == listed[row.sweep_id] for row in unfinished)
        assert all(row.trials == 2 for row in unfinished)

    def test_decisions_of_one_kind_are_told_alone(self, ledger: Ledger) -> None:
        register(ledger)
        for number in range(4):
            kind = "placed" if number % 2 else "looked"
            ledger.record_decision("head-1a2b3c4d", kind, {"number": number})

        placed = ledger.decisions("head-1a2b3c4d", kind="placed")

        assert [one.payload["number"] for one in placed] == [1, 3]
        after = ledger.decisions("head-1a2b3c4d", after=placed[0].seq, kind="placed")
        assert after == placed[1:]
