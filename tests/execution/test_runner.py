"""Whole sweeps through Ray, with gangs that follow a script."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

import pytest

from infra.errors import BusyError, InputError
from infra.settings import Settings
from sweep.engine.decision_kinds import AddTrials
from sweep.engine.planning.plan import SweepPlan
from sweep.engine.progress import Progress
from sweep.execution.cluster import Cluster
from sweep.execution.patience import Patience
from sweep.execution.registration import register
from sweep.execution.runner import SweepResult, run_sweep
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import Holder, TrialView
from sweep.spec.sweep_spec import BudgetSpec
from tests.execution.plans import plan_of, race_of, staged_of, taken_again
from tests.execution.scripted import SCRIPTED, executions, script

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


def run(plan: SweepPlan, ledger: Ledger, settings: Settings) -> SweepResult:
    return run_sweep(plan, ledger, settings, execution=SCRIPTED)


def states(ledger: Ledger, plan: SweepPlan) -> list[str]:
    return [trial.state.value for trial in ledger.trials(plan.sweep_id)]


def running(ledger: Ledger, plan: SweepPlan) -> list[TrialView]:
    rows = ledger.sweeps()
    return ledger.trials(plan.sweep_id) if rows else []


def wait_until(holds: Callable[[], bool], *, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def test_every_trial_ends_in_the_ledger_with_metrics_model_and_cost(
    ledger: Ledger, settings: Settings
) -> None:
    plan = plan_of([script(seed=seed) for seed in range(4)])
    began = time.monotonic()

    result = run(plan, ledger, settings)

    assert (result.state, result.interrupted) == (SweepState.SUCCEEDED, False)
    for trial in ledger.trials(plan.sweep_id):
        assert trial.state is TrialState.SUCCEEDED
        assert trial.attempts == 1
        assert trial.metrics["eval/validation/accuracy"] >= 0.5
        assert trial.model_digest is not None
        assert 0 < trial.device_seconds < time.monotonic() - began


def test_actors_are_reused_so_that_ranks_are_forked_warm(
    ledger: Ledger, settings: Settings
) -> None:
    plan = plan_of([script(seed=seed) for seed in range(12)])

    run(plan, ledger, settings)

    ran = executions(settings.home / "store")
    assert len(ran) == 12
    assert len({process for _, _, process, _ in ran}) <= 2


def test_a_failing_trial_is_recorded_with_its_kind_and_the_others_go_on(
    ledger: Ledger, settings: Settings
) -> None:
    configs = [script(seed=0), script(seed=1, fails_at=2), script(seed=2)]
    plan = plan_of(configs)

    result = run(plan, ledger, settings)

    assert result.state is SweepState.FAILED
    assert "1 of 3 trials failed" in result.reason
    good, bad, other = ledger.trials(plan.sweep_id)
    assert (good.state, other.state) == (TrialState.SUCCEEDED, TrialState.SUCCEEDED)
    assert (bad.state, bad.error_kind, bad.attempts) == (TrialState.FAILED, "diverged", 1)
    assert "not finite at step 2" in (bad.error_message or "")
    assert bad.device_seconds > 0


def test_a_trial_whose_actor_dies_goes_on_from_its_checkpoint(
    ledger: Ledger, settings: Settings
) -> None:
    plan = plan_of([script(seed=0, exits_at=2)])

    result = run(plan, ledger, settings)

    assert result.state is SweepState.SUCCEEDED
    ends = [(view.state, view.error_kind) for view in ledger.attempts([plan.trials[0].identity])]
    assert ends == [("failed", "preempted"), ("succeeded", None)]
    assert [step for _, step, _, _ in executions(settings.home / "store")] == [0, 1]


def test_a_finished_sweep_is_not_executed_again_and_needs_no_cluster(
    ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of([script(seed=0)])
    run(plan, ledger, settings)
    monkeypatch.setattr("sweep.execution.runner.open_cluster", None)

    result = run(plan, ledger, settings)

    assert result.state is SweepState.SUCCEEDED
    assert len(executions(settings.home / "store")) == 1


def test_a_race_whose_first_seeds_are_all_reused_still_trains_the_next(
    ledger: Ledger, settings: Settings
) -> None:
    configs = {f"{arm} {seed}": script(seed=seed, steps=steps)
               for arm, steps in (("a", 2), ("b", 3)) for seed in range(2)}  # fmt: skip
    run(plan_of(configs, name="before"), ledger, settings)
    plan = race_of({"a": script(steps=2), "b": script(steps=3)}, initial=2, at_most=3)

    result = run(plan, ledger, settings)

    assert result.state is SweepState.SUCCEEDED
    assert len(plan.trials) == 4
    assert states(ledger, plan) == ["succeeded"] * 6
    assert len(executions(settings.home / "store")) == 6
    # Who has measured more since, and so expects other times, decides as was decided.
    later = race_of({"a": script(steps=2), "b": script(steps=3)}, initial=2, at_most=3, seconds=7.0)
    moments = taken_again(later, ledger)
    assert any(isinstance(each, AddTrials) for moment in moments for each in moment.again)
    assert all(moment.agrees for moment in moments)


def test_a_stage_goes_on_from_what_the_one_before_it_found(
    ledger: Ledger, settings: Settings
) -> None:
    plan = staged_of(
        script(steps=2, per_layer=0.05),
        {"head.layers": [1, 2, 3], "head.activation": ["silu", "tanh"]},
    )

    result = run(plan, ledger, settings)

    assert result.state is SweepState.SUCCEEDED
    heads = [
        (trial.config_json["head"]["layers"], trial.config_json["head"]["activation"])
        for trial in ledger.trials(plan.sweep_id)
    ]
    assert sorted(heads) == [(1, "silu"), (2, "silu"), (3, "silu"), (3, "tanh")]
    assert all(moment.agrees for moment in taken_again(plan, ledger))


def test_a_second_driver_of_the_same_sweep_is_refused(ledger: Ledger, settings: Settings) -> None:
    plan = plan_of([script(seed=0)])
    register(plan, ledger, settings)
    ledger.acquire_sweep(plan.sweep_id, Holder.here(), ttl_seconds=60)

    with pytest.raises(BusyError, match="is driven by process"):
        run(plan, ledger, settings)


def test_two_sweeps_at_once_train_what_they_share_once(ledger: Ledger, settings: Settings) -> None:
    shared = [script(seed=seed, step_seconds=0.2) for seed in range(3)]
    first = plan_of([*shared, script(seed=7)], name="first")
    second = plan_of([script(seed=8), *shared], name="second")
    results: dict[str, SweepResult] = {}

    def drive(plan: SweepPlan) -> None:
        with Ledger.open(settings.ledger_url) as own:
            results[plan.spec.name] = run(plan, own, settings)

    threads = [threading.Thread(target=drive, args=(plan,)) for plan in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {result.state for result in results.values()} == {SweepState.SUCCEEDED}
    ran = [identity for identity, *_ in executions(settings.home / "store")]
    assert len(ran) == len(set(ran)) == 5
    assert all(trial.attempts == 1 for trial in ledger.trials(second.sweep_id))


def test_a_stop_request_pauses_what_runs_and_starts_nothing(
    ledger: Ledger, settings: Settings
) -> None:
    plan = plan_of([script(seed=seed, steps=200, step_seconds=0.1) for seed in range(4)])

    def ask() -> None:
        with Ledger.open(settings.ledger_url) as own:
            wait_until(lambda: sum(t.step > 0 for t in running(own, plan)) == 2)
            own.request_stop(plan.sweep_id)

    asker = threading.Thread(target=ask)
    asker.start()
    result = run(plan, ledger, settings)
    asker.join()

    assert (result.state, result.interrupted) == (SweepState.STOPPED, False)
    assert sorted(states(ledger, plan)) == ["paused", "paused", "pending", "pending"]
    paused = [t for t in ledger.trials(plan.sweep_id) if t.state is TrialState.PAUSED]
    assert all(trial.checkpoint is not None and trial.step > 0 for trial in paused)


def test_a_trial_that_does_not_stop_within_the_grace_is_ended(
    ledger: Ledger, settings: Settings
) -> None:
    plan = plan_of([script(seed=0, steps=2, step_seconds=600)])

    def ask() -> None:
        wait_until(lambda: len(executions(settings.home / "store")) == 1)
        with Ledger.open(settings.ledger_url) as own:
            own.request_stop(plan.sweep_id)

    asker = threading.Thread(target=ask)
    asker.start()
    hasty = dataclasses.replace(SCRIPTED, patience=Patience(grace=4.0))
    result = run_sweep(plan, ledger, settings, execution=hasty)
    asker.join()

    assert result.state is SweepState.STOPPED
    assert states(ledger, plan) == ["paused"]
    assert ledger.trials(plan.sweep_id)[0].step == 0  # it never came to the end of a step


def test_a_spent_budget_ends_the_sweep_and_keeps_what_was_trained(
    ledger: Ledger, settings: Settings
) -> None:
    budget = BudgetSpec(trials=2)
    plan = plan_of([script(seed=seed) for seed in range(4)], budget=budget)

    result = run(plan, ledger, settings)

    assert result.state is SweepState.STOPPED
    assert "budget.trials" in result.reason
    assert states(ledger, plan) == ["succeeded", "succeeded", "pending", "pending"]


def test_a_hard_limit_stops_running_trials(ledger: Ledger, settings: Settings) -> None:
    budget = BudgetSpec(gpu_hours=4 / 3600)
    plan = plan_of(
        [script(seed=seed, steps=400, step_seconds=0.1) for seed in range(2)], budget=budget
    )

    result = run(plan, ledger, settings)

    assert result.state is SweepState.STOPPED
    assert states(ledger, plan) == ["paused", "paused"]
    spent = ledger.spent(plan.sweep_id)
    assert spent.device_seconds >= 4
    assert all(trial.fraction < 1 for trial in ledger.trials(plan.sweep_id))


def test_gangs_of_two_share_the_cluster_with_single_workers(
    ledger: Ledger, settings: Settings, cluster: Cluster
) -> None:
    del cluster
    configs = [script(seed=0), script(seed=1, workers=2), script(seed=2), script(seed=3, workers=2)]
    plan = plan_of(configs)

    result = run(plan, ledger, settings)

    assert result.state is SweepState.SUCCEEDED
    assert [trial.workers for trial in ledger.trials(plan.sweep_id)] == [1, 2, 1, 2]


def test_a_gang_no_machine_can_hold_is_refused_before_anything_starts(
    ledger: Ledger, settings: Settings
) -> None:
    plan = plan_of([script(seed=0), script(seed=1, workers=64)])

    with pytest.raises(InputError, match="64 worker"):
        run(plan, ledger, settings)

    assert states(ledger, plan) == ["pending", "pending"]


def test_progress_is_told_while_the_sweep_runs(ledger: Ledger, settings: Settings) -> None:
    plan = plan_of([script(seed=0, steps=20, step_seconds=0.1)])
    seen: list[Progress] = []

    run_sweep(plan, ledger, settings, on_progress=seen.append, execution=SCRIPTED)

    assert len(seen) >= 3
    assert any(0 < told.done < 1 for told in seen)
