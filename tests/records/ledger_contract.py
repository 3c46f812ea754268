"""What every ledger must do with trials and the log, whatever database is behind it."""

from __future__ import annotations

import threading

import pytest

from infra.errors import BusyError, InputError, MissingError
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import Holder
from sweep.replay.working import SimulatedClock
from tests.records.rows import (
    TTL,
    checkpoint,
    identity_of,
    outcome,
    register,
    report,
    stranger,
    trial_rows,
)


class LedgerContract:
    """Run by every database; subclasses give the `url` of an empty one."""

    def test_a_trial_goes_from_claim_over_reports_to_success(
        self, ledger: Ledger, clock: SimulatedClock
    ) -> None:
        register(ledger)
        holder = Holder.here()
        ledger.acquire_sweep("head-1a2b3c4d", holder, TTL)

        attempt = ledger.claim(identity_of(1), "head-1a2b3c4d", holder, TTL, workers=2)

        assert attempt is not None
        assert (attempt.number, attempt.arm, attempt.seed) == (1, "arm-0", 1)
        assert attempt.config_json == {"seed": 1, "head": {"layers": 0}}
        assert attempt.storage == "file:/store"
        ledger.record_report(attempt.attempt_id, report(10, metrics={"train/loss": 0.5}))
        ledger.record_report(
            attempt.attempt_id, report(20, metrics={"train/loss": 0.4}, checkpoint=checkpoint(20))
        )
        running = ledger.trials("head-1a2b3c4d")[1]
        assert (running.state, running.live, running.step) == (TrialState.RUNNING, True, 20)
        assert ledger.at_work(map(identity_of, range(3))) == {identity_of(1)}
        clock.now += 30
        assert ledger.spent("head-1a2b3c4d").device_seconds == 60
        ledger.finish_attempt(attempt.attempt_id, TrialState.SUCCEEDED, outcome())
        done = ledger.trials("head-1a2b3c4d")[1]
        assert (done.state, done.fraction, done.model_digest) == ("succeeded", 1.0, "m" * 64)
        assert done.metrics == {"train/loss": 0.4, "eval/validation/accuracy": 0.75}
        assert done.checkpoint == checkpoint(20)
        assert (done.device_seconds, done.reused) == (60, False)
        assert ledger.claim(identity_of(1), "head-1a2b3c4d", holder, TTL, retry=True) is None
        spent = ledger.spent("head-1a2b3c4d")
        assert (spent.device_seconds, spent.wall_seconds) == (60, 30)
        assert (spent.attempts, spent.failures, spent.trials_started) == (1, 0, 1)

    def test_what_is_written_together_happens_as_one_or_not_at_all(self, ledger: Ledger) -> None:
        register(ledger)
        holder = Holder.here()
        before = len(ledger.events(limit=None))
        elsewhere: list[int] = []

        def look() -> None:
            elsewhere.append(len(ledger.events(limit=None)))

        with ledger.together():
            ledger.record_decision("head-1a2b3c4d", "decided", {"decisions": []})
            assert ledger.claim(identity_of(1), "head-1a2b3c4d", holder, TTL) is not None
            assert len(ledger.events(limit=None)) == before + 2
            other = threading.Thread(target=look)
            other.start()
            other.join()

        assert elsewhere == [before]
        assert len(ledger.events(limit=None)) == before + 2

        def claim_one_too_many() -> None:
            with ledger.together():
                ledger.claim(identity_of(0), "head-1a2b3c4d", holder, TTL)
                ledger.claim("nobody", "head-1a2b3c4d", holder, TTL)

        with pytest.raises(MissingError):
            claim_one_too_many()
        assert len(ledger.events(limit=None)) == before + 2
        assert ledger.trials("head-1a2b3c4d")[0].state is TrialState.PENDING

    def test_a_held_trial_is_not_claimed_again_while_its_driver_lives(
        self, ledger: Ledger, clock: SimulatedClock
    ) -> None:
        register(ledger)
        ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("one"), TTL)

        assert ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("two"), TTL) is None
        clock.now += TTL - 1
        ledger.heartbeat(stranger("one"), TTL)
        clock.now += TTL - 1
        assert ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("two"), TTL) is None

    def test_a_trial_of_a_dead_driver_is_taken_over_from_its_checkpoint(
        self, ledger: Ledger, clock: SimulatedClock
    ) -> None:
        register(ledger)
        lost = ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("one"), TTL)
        assert lost is not None
        ledger.record_report(lost.attempt_id, report(30, checkpoint=checkpoint(30)))
        ledger.record_report(lost.attempt_id, report(40))
        clock.now += TTL + 1

        taken = ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("two"), TTL)

        assert taken is not None
        assert (taken.number, taken.resume_from) == (2, checkpoint(30))
        first, second = ledger.attempts([identity_of(0)])
        assert (first.state, first.error_kind, second.state) == ("lost", "preempted", "running")
        assert first.device_seconds == 40
        assert ledger.spent("head-1a2b3c4d").failures == 0
        with pytest.raises(BusyError, match="is lost, not running"):
            ledger.record_report(lost.attempt_id, report(50))
        with pytest.raises(BusyError, match="is lost, not running"):
            ledger.finish_attempt(lost.attempt_id, TrialState.SUCCEEDED, outcome())

    def test_a_failed_trial_runs_again_only_on_request(self, ledger: Ledger) -> None:
        register(ledger)
        holder = Holder.here()
        attempt = ledger.claim(identity_of(0), "head-1a2b3c4d", holder, TTL)
        assert attempt is not None
        ledger.finish_attempt(
            attempt.attempt_id,
            TrialState.FAILED,
            error_kind="out_of_memory",
            error_message="does not fit",
        )

        assert ledger.claim(identity_of(0), "head-1a2b3c4d", holder, TTL) is None
        view = ledger.trials("head-1a2b3c4d")[0]
        assert (view.error_kind, view.error_message) == ("out_of_memory", "does not fit")
        again = ledger.claim(identity_of(0), "head-1a2b3c4d", holder, TTL, retry=True)
        assert again is not None
        assert again.number == 2
        assert ledger.trials("head-1a2b3c4d")[0].error_kind is None
        assert ledger.spent("head-1a2b3c4d").failures == 1

    def test_saying_the_same_end_twice_is_silent_another_end_is_refused(
        self, ledger: Ledger
    ) -> None:
        register(ledger)
        attempt = ledger.claim(identity_of(0), "head-1a2b3c4d", stranger(), TTL)
        assert attempt is not None
        ledger.finish_attempt(attempt.attempt_id, TrialState.PAUSED)
        before = ledger.events()

        ledger.finish_attempt(attempt.attempt_id, TrialState.PAUSED)

        assert ledger.events() == before
        with pytest.raises(BusyError, match="is paused, not running"):
            ledger.finish_attempt(attempt.attempt_id, TrialState.SUCCEEDED, outcome())
        with pytest.raises(InputError, match="got pending"):
            ledger.finish_attempt(attempt.attempt_id, TrialState.PENDING)

    def test_a_finished_trial_is_reused_by_another_sweep_which_pays_nothing(
        self, ledger: Ledger
    ) -> None:
        register(ledger, "one-00000001")
        attempt = ledger.claim(identity_of(0), "one-00000001", stranger(), TTL)
        assert attempt is not None
        ledger.finish_attempt(
            attempt.attempt_id, TrialState.SUCCEEDED, outcome(), device_seconds=70.0
        )

        register(ledger, "two-00000002", storage="file:/elsewhere")

        theirs, mine = ledger.trials("one-00000001")[0], ledger.trials("two-00000002")[0]
        assert (theirs.reused, theirs.paid_device_seconds) == (False, 70)
        assert (mine.reused, mine.paid_device_seconds, mine.device_seconds) == (True, 0, 70)
        assert mine.storage == "file:/store"
        assert ledger.spent("two-00000002").device_seconds == 0
        assert ledger.sweeps_of(identity_of(0)) == ["one-00000001", "two-00000002"]

    def test_a_trial_stopped_by_one_sweep_goes_on_for_another(self, ledger: Ledger) -> None:
        register(ledger, "one-00000001")
        register(ledger, "two-00000002", storage="file:/elsewhere")
        attempt = ledger.claim(identity_of(0), "one-00000001", stranger(), TTL)
        assert attempt is not None
        ledger.record_report(attempt.attempt_id, report(10, checkpoint=checkpoint(10)))
        ledger.finish_attempt(
            attempt.attempt_id, TrialState.STOPPED_EARLY, outcome(step=10, model_digest=None)
        )

        more = ledger.claim(identity_of(0), "two-00000002", stranger("two"), TTL)

        assert more is not None
        assert more.resume_from == checkpoint(10)
        assert more.storage == "file:/store"

    def test_only_drawn_moves_happen_to_a_trial_nobody_runs(self, ledger: Ledger) -> None:
        register(ledger)
        first, second = identity_of(0), identity_of(1)
        attempt = ledger.claim(second, "head-1a2b3c4d", stranger(), TTL)
        assert attempt is not None

        assert not ledger.move_trial(first, TrialState.STOPPED_EARLY)
        assert ledger.move_trial(first, TrialState.CANCELLED, sweep_id="head-1a2b3c4d")
        assert not ledger.move_trial(second, TrialState.CANCELLED)
        ledger.finish_attempt(attempt.attempt_id, TrialState.PAUSED)
        assert ledger.move_trial(second, TrialState.STOPPED_EARLY, reason="behind at a rung")
        with pytest.raises(InputError, match="got succeeded"):
            ledger.move_trial(first, TrialState.SUCCEEDED)

    def test_reports_of_a_later_attempt_replace_those_it_repeats(
        self, ledger: Ledger, clock: SimulatedClock
    ) -> None:
        register(ledger)
        first = ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("one"), TTL)
        assert first is not None
        ledger.record_report(first.attempt_id, report(10, metrics={"train/loss": 9.0}))
        ledger.record_report(
            first.attempt_id, report(10, metrics={"eval/validation/accuracy": 0.5})
        )
        ledger.record_report(first.attempt_id, report(20, metrics={"train/loss": 8.0}))
        clock.now += TTL + 1
        second = ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("two"), TTL)
        assert second is not None
        ledger.record_report(second.attempt_id, report(20, metrics={"train/loss": 7.0}))

        reports = ledger.reports([identity_of(0), identity_of(1)])

        assert list(reports) == [identity_of(0)]
        assert [(each.step, dict(each.metrics)) for each in reports[identity_of(0)]] == [
            (10, {"train/loss": 9.0, "eval/validation/accuracy": 0.5}),
            (20, {"train/loss": 7.0}),
        ]

    def test_decisions_evaluations_and_publications_are_kept_in_order(self, ledger: Ledger) -> None:
        register(ledger)

        ledger.record_decision("head-1a2b3c4d", "start", {"identity": identity_of(0)})
        ledger.record_decision("head-1a2b3c4d", "end", {"reason": "done"})
        ledger.record_evaluation(identity_of(0), "hard", "e" * 64, {"accuracy": 0.5})
        ledger.record_evaluation(identity_of(0), "hard", "e" * 64, {"accuracy": 0.6})
        ledger.enqueue_publication("head-1a2b3c4d", "report", {"name": "report"})

        assert [row.kind for row in ledger.decisions("head-1a2b3c4d")] == ["start", "end"]
        (evaluation,) = ledger.evaluations([identity_of(0)])
        assert (evaluation.benchmark, evaluation.metrics) == ("hard", {"accuracy": 0.6})
        assert ledger.trials("head-1a2b3c4d")[0].metrics == {"eval/hard/accuracy": 0.6}
        (publication,) = ledger.publications("head-1a2b3c4d")
        assert (publication.kind, publication.payload) == ("report", {"name": "report"})

    def test_every_write_leaves_an_event_without_gaps(self, ledger: Ledger) -> None:
        register(ledger)
        ledger.acquire_sweep("head-1a2b3c4d", stranger(), TTL)
        ledger.set_sweep_state("head-1a2b3c4d", SweepState.RUNNING)
        attempt = ledger.claim(identity_of(0), "head-1a2b3c4d", stranger(), TTL)
        assert attempt is not None
        ledger.record_report(attempt.attempt_id, report(10))
        ledger.finish_attempt(attempt.attempt_id, TrialState.SUCCEEDED, outcome())
        ledger.record_decision("head-1a2b3c4d", "end", {})
        ledger.record_evaluation(identity_of(0), "hard", "e" * 64, {"accuracy": 0.5})
        ledger.enqueue_publication("head-1a2b3c4d", "report", {})
        ledger.release_sweep("head-1a2b3c4d", stranger())
        register(ledger, "other-00000001", trials=trial_rows(2, first=100))

        events = ledger.events()
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        mine = [event.kind for event in ledger.events(sweep_id="head-1a2b3c4d")]
        assert mine == [
            "sweep_registered",
            "trials_added",
            "sweep_acquired",
            "sweep_state",
            "attempt_started",
            "report",
            "attempt_finished",
            "decision",
            "evaluation",
            "publication",
            "sweep_released",
        ]
        assert ledger.events(after=3, limit=2) == events[3:5]

    def test_a_cursor_never_moves_back(self, ledger: Ledger) -> None:
        assert ledger.cursor("mlflow") == 0

        ledger.set_cursor("mlflow", 7)
        ledger.set_cursor("mlflow", 3)

        assert ledger.cursor("mlflow") == 7
