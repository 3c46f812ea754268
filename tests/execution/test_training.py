"""A sweep of real trainings, through Ray, forked ranks and the ledger."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from infra.object_store import open_store
from infra.settings import Settings
from infra.tracking import NullTracker
from sweep.engine.planning.plan import SweepPlan
from sweep.execution.evaluating import run_evaluations
from sweep.execution.reuse import evaluation_of
from sweep.execution.runner import Execution, SweepResult, run_sweep
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from tests.execution.plans import plan_of
from trainer.config import BackboneConfig, DataConfig, TrainerConfig
from trainer.evaluation_config import BenchmarkConfig
from trainer.record import record_key
from trainer.training.loop import report_steps

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]
REAL = Execution(open_tracker=lambda sweep, settings: NullTracker)
VALIDATION = BenchmarkConfig(split="validation", parts={"scenes": 20})
TEST = BenchmarkConfig(split="test", parts={"scenes": 20})


def small(*, seed: int = 0, **changes: Any) -> TrainerConfig:  # noqa: ANN401
    config: dict[str, Any] = {
        "seed": seed,
        "data": DataConfig(pairs=16),
        "backbone": BackboneConfig(scale="xs"),
        "strategy": {"batch_pairs": 8},
        "evaluation": {"benchmarks": {"validation": VALIDATION}},
    }
    return TrainerConfig.model_validate(config | changes)


def run(plan: SweepPlan, ledger: Ledger, settings: Settings) -> SweepResult:
    return run_sweep(plan, ledger, settings, execution=REAL)


def test_models_are_trained_measured_and_kept_and_a_gang_of_two_ends_clean(
    ledger: Ledger, settings: Settings
) -> None:
    plan = plan_of([small(seed=0), small(seed=1, machine={"workers": 2})])

    result = run(plan, ledger, settings)

    assert result.state is SweepState.SUCCEEDED, result.reason
    for trial in ledger.trials(plan.sweep_id):
        assert 0 <= trial.metrics["eval/validation/accuracy"] <= 1
        assert trial.model_digest is not None
        assert trial.device_seconds > 0
        keys = open_store(settings.storage).keys(f"trials/{trial.identity}/")
        assert any("/model/" in key for key in keys)


def test_a_reused_model_is_scored_on_the_benchmarks_it_lacks_and_not_trained_again(
    ledger: Ledger, settings: Settings
) -> None:
    first = plan_of([small()], name="first")
    both = {"benchmarks": {"validation": VALIDATION, "test": TEST}}
    second = plan_of([small(evaluation=both)], name="second")
    run(first, ledger, settings)

    result = run(second, ledger, settings)

    assert (result.state, result.unscored) == (SweepState.SUCCEEDED, {})
    (trial,) = ledger.trials(second.sweep_id)
    assert (trial.attempts, trial.reused) == (1, True)
    assert "eval/test/accuracy" in trial.metrics
    scored = [row.benchmark for row in ledger.evaluations([trial.identity])]
    assert scored == ["test_text_only", "test"]
    again = evaluation_of(trial, {"test": TEST})
    assert run_evaluations([again], ledger, settings) == {}
    assert len(ledger.evaluations([trial.identity])) == 2


def test_a_trial_that_cannot_be_trained_is_recorded_with_its_reason(
    ledger: Ledger, settings: Settings
) -> None:
    broken = {"sources": {"scenes": {"kind": "file", "settings": {"path": "nowhere.jsonl"}}}}
    plan = plan_of([small(data=broken | {"pairs": 16})])

    result = run(plan, ledger, settings)

    assert result.state is SweepState.FAILED
    (trial,) = ledger.trials(plan.sweep_id)
    assert trial.error_kind == "data"
    assert "nowhere.jsonl" in (trial.error_message or "")
    logs = open_store(settings.storage).keys(f"trials/{trial.identity}/logs/")
    assert logs


def test_a_stop_request_reaches_a_training_at_its_step_long_before_its_next_report(
    ledger: Ledger, settings: Settings
) -> None:
    config = small(strategy={"batch_pairs": 8, "epochs": 20_000})
    plan = plan_of([config])
    (trial,) = plan.trials

    def ask() -> None:
        store = open_store(settings.storage)
        while not store.exists(record_key(trial.identity)):
            time.sleep(0.05)
        with Ledger.open(settings.ledger_url) as own:
            own.request_stop(plan.sweep_id)

    asker = threading.Thread(target=ask)
    asker.start()
    result = run(plan, ledger, settings)
    asker.join()

    assert result.state is SweepState.STOPPED
    (view,) = ledger.trials(plan.sweep_id)
    assert view.state is TrialState.PAUSED
    assert view.checkpoint is not None
    assert 0 < view.checkpoint.step == view.step < min(report_steps(config))
