"""What every ledger must do with a sweep that is registered anew, or that grows."""

from __future__ import annotations

from dataclasses import replace

from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
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


class LedgerChangesContract:
    """Run by every database; subclasses give the `url` of an empty one."""

    def test_trials_that_are_not_done_are_laid_out_as_the_file_says_now(
        self, ledger: Ledger
    ) -> None:
        register(ledger, spec_json={"name": "head"})
        done = ledger.claim(identity_of(1), "head-1a2b3c4d", stranger("one"), TTL)
        assert done is not None
        ledger.finish_attempt(done.attempt_id, TrialState.SUCCEEDED, outcome())
        before = {view.identity: view.config_json for view in ledger.trials("head-1a2b3c4d")}

        asked = [replace(row, workers=2, config_json={"gang": 2}) for row in trial_rows(4)]
        register(ledger, spec_json={"name": "head", "resources": "auto"}, trials=asked)

        views = ledger.trials("head-1a2b3c4d")
        assert [view.workers for view in views] == [2, 1, 2, 2]
        assert [view.config_json == {"gang": 2} for view in views] == [True, False, True, True]
        assert views[1].config_json == before[identity_of(1)]

    def test_a_sweep_that_grows_is_told_how_far_others_have_trained_what_joins_it(
        self, ledger: Ledger
    ) -> None:
        register(ledger, "other-1a2b3c4d", trials=trial_rows(6))
        for number in (0, 4):
            attempt = ledger.claim(identity_of(number), "other-1a2b3c4d", stranger("one"), TTL)
            assert attempt is not None
            ledger.record_report(attempt.attempt_id, report(30, checkpoint=checkpoint(30)))
        register(ledger)

        ledger.add_trials("head-1a2b3c4d", trials=trial_rows(6))

        (*_, joined) = ledger.events(limit=None, sweep_id="head-1a2b3c4d")
        assert list(joined.payload["standings"]) == [identity_of(4)]
        told = joined.payload["standings"][identity_of(4)]
        assert (told["state"], told["step"], told["resumable"]) == ("running", 30, True)
        assert told["driver"] == "one"
