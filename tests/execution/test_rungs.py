"""Rungs through Ray: trials pause there, go on from their checkpoint, or are stopped for good."""

from __future__ import annotations

from collections import Counter

import pytest

from infra.settings import Settings
from sweep.engine.fold import SweepFold
from sweep.engine.replay import replay
from sweep.execution.runner import run_sweep
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.spec.scheduler_spec import AshaScheduler
from tests.execution.plans import plan_of
from tests.execution.scripted import SCRIPTED, accuracy_of, executions, script

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


def test_arms_that_fall_behind_are_stopped_and_the_others_go_on_from_their_checkpoint(
    ledger: Ledger, settings: Settings
) -> None:
    seeds = sorted(range(9), key=accuracy_of)  # the worst first: the best has to overtake
    plan = plan_of(
        [script(seed=seed, steps=9) for seed in seeds], scheduler=AshaScheduler(reduction=3)
    )

    result = run_sweep(plan, ledger, settings, execution=SCRIPTED)

    trials = ledger.trials(plan.sweep_id)
    states = Counter(trial.state for trial in trials)
    assert result.state is SweepState.SUCCEEDED
    assert set(states) == {TrialState.SUCCEEDED, TrialState.STOPPED_EARLY}
    assert states[TrialState.STOPPED_EARLY] >= 4
    assert trials[-1].state is TrialState.SUCCEEDED
    for trial in trials:
        expected = {1, 3} if trial.state is TrialState.STOPPED_EARLY else {9}
        assert trial.step in expected
        assert trial.step == 9 or trial.checkpoint is not None
    begun = [step for _, step, _, _ in executions(settings.home / "store")]
    assert set(begun) <= {0, 1, 3}
    assert begun.count(0) == 9
    moments = replay(
        SweepFold(plan.sweep_id, plan.trials, plan.spec),
        ledger.events(limit=None, sweep_id=plan.sweep_id),
    )
    assert all(moment.agrees for moment in moments)
