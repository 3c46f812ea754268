"""What a whole sweep tells a webhook, and that it does not depend on one."""

from __future__ import annotations

import pytest

from infra.settings import Settings
from sweep.execution.runner import run_sweep
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from tests.execution.plans import plan_of
from tests.execution.scripted import SCRIPTED, script
from tests.webhook_receiver import SECRET, receiving

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


def test_a_sweep_tells_its_failures_and_its_end(ledger: Ledger, settings: Settings) -> None:
    plan = plan_of([script(seed=0), script(seed=1, fails_at=2)])

    with receiving() as receiver:
        told = settings.model_copy(update={"webhook": receiver.address})
        run_sweep(plan, ledger, told, execution=SCRIPTED)

    occasions = [message["occasion"] for message in receiver.messages]
    assert occasions[-1] == "finish"
    assert "failure" in occasions
    assert "not finite at step 2" in str(receiver.messages)
    assert receiver.messages[-1]["trials"] == {"succeeded": 1, "failed": 1}
    assert receiver.messages[-1]["text"].startswith(f"rmsweep {plan.sweep_id}: ")
    assert receiver.messages[-1]["sweep"] == plan.sweep_id
    assert SECRET not in str(ledger.sweep(plan.sweep_id))


def test_a_receiver_that_never_answers_neither_stalls_nor_fails_a_sweep(
    ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.execution.notifying.CLOSING_SECONDS", 0.1)
    plan = plan_of([script(seed=0)])

    with receiving() as receiver:
        receiver.answers += [0] * 20
        told = settings.model_copy(update={"webhook": receiver.address})
        result = run_sweep(plan, ledger, told, execution=SCRIPTED)

    assert result.state is SweepState.SUCCEEDED
    assert receiver.messages == []


def test_where_a_trial_runs_is_in_the_ledger(ledger: Ledger, settings: Settings) -> None:
    plan = plan_of([script(seed=0)])

    run_sweep(plan, ledger, settings, execution=SCRIPTED)

    placed = [d.payload for d in ledger.decisions(plan.sweep_id) if d.kind == "placed"]
    assert [each["identity"] for each in placed] == [plan.trials[0].identity]
    assert placed[0]["node"]
