"""Arms pause, go on and are stopped at rungs; whatever the curves, every sweep ends."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.engine.decision_kinds import DropTrial, PromoteArm, StartTrial, StopArm
from sweep.engine.fold import SweepFold
from sweep.engine.planning.early_stops import least_share
from sweep.engine.replay import replay
from sweep.engine.view import SweepView
from sweep.records.lifecycle import SweepState, TrialState
from sweep.replay.curves import CurveTable
from sweep.replay.driving import SimulatedDriver
from sweep.replay.journal import Journal
from sweep.replay.planning import ReplayPlan, plan_replay
from sweep.replay.replaying import journal_of
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import SweepSpec
from tests.replay.tables import decisions_in, random_table, spec_of, table_of

ASHA = {"kind": "asha", "reduction": 3, "first": "1/9"}


def run(
    spec: SweepSpec, table: CurveTable, *, workers: int = 2
) -> tuple[ReplayPlan, SimulatedDriver, Journal]:
    plan = plan_replay(spec, table)
    clock = SimulatedClock()
    journal = journal_of(plan, clock)
    driver = SimulatedDriver(plan, journal, clock, workers=workers)
    driver.run()
    return plan, driver, journal


def states(view: SweepView) -> dict[str, set[TrialState]]:
    found: dict[str, set[TrialState]] = {}
    for trial in view.trials:
        found.setdefault(trial.arm, set()).add(trial.state)
    return found


def test_the_best_third_goes_on_at_every_rung() -> None:
    table = table_of([[(9 - place) / 10] for place in range(9)])  # the best are fastest

    _, driver, _ = run(spec_of(scheduler=ASHA), table, workers=9)

    by_fraction = Counter(trial.step for trial in driver.view().trials)
    assert by_fraction == {1: 6, 3: 2, 9: 1}
    assert driver.ended is not None
    assert driver.ended.reason == "8 trials stopped early, the others succeeded"


def test_arms_are_judged_by_the_mean_of_their_seeds_and_not_by_a_lucky_one() -> None:
    lucky = [0.9, 0.0, 0.0]
    table = table_of([lucky, [0.5, 0.5, 0.5], [0.4, 0.4, 0.4]])

    _, driver, _ = run(spec_of(3, scheduler=ASHA), table)

    assert states(driver.view()) == {
        "c000": {TrialState.STOPPED_EARLY},
        "c001": {TrialState.SUCCEEDED},
        "c002": {TrialState.STOPPED_EARLY},
    }


def test_with_less_to_be_better_the_least_goes_on() -> None:
    table = table_of([[0.3], [0.1], [0.2]])
    turned = CurveTable(**{**vars(table), "mode": "min"})

    _, driver, _ = run(spec_of(scheduler=ASHA, objective={"mode": "min"}), turned)

    assert states(driver.view())["c001"] == {TrialState.SUCCEEDED}


def test_the_baseline_is_trained_to_its_end_and_takes_nobodys_place() -> None:
    table = table_of([[0.0], [0.5], [0.4], [0.3]])

    _, driver, _ = run(spec_of(scheduler=ASHA, baseline="c000"), table)

    ended = states(driver.view())
    assert ended["baseline"] == {TrialState.SUCCEEDED}
    assert ended["c001"] == {TrialState.SUCCEEDED}
    assert ended["c002"] == ended["c003"] == {TrialState.STOPPED_EARLY}


def test_a_training_whose_figures_are_lost_fails_and_holds_up_nobody() -> None:
    table = table_of([[math.nan], [0.2], [0.3], [0.1]])

    _, driver, _ = run(spec_of(scheduler=ASHA), table, workers=1)

    ended = states(driver.view())
    assert ended["c000"] == {TrialState.FAILED}
    assert ended["c002"] == {TrialState.SUCCEEDED}


def test_a_trial_that_goes_on_at_once_is_not_paused() -> None:
    table = table_of([[0.1], [0.9], [0.2]])  # they are tried in the order c002, c000, c001

    _, driver, journal = run(spec_of(scheduler=ASHA), table, workers=1)

    decided = decisions_in(journal.events(limit=None))
    assert len([each for each in decided if isinstance(each, StartTrial)]) == 3
    assert states(driver.view())["c001"] == {TrialState.SUCCEEDED}


@settings(max_examples=40, deadline=None)
@given(
    arms=st.integers(1, 14),
    seeds=st.integers(1, 3),
    workers=st.integers(1, 5),
    reduction=st.integers(2, 4),
    first=st.sampled_from(["1/9", "1/3", "1/4"]),
    lost=st.sampled_from([0.0, 0.05, 0.3]),
    baseline=st.booleans(),
    chance=st.integers(0, 1000),
)
def test_every_sweep_ends_with_every_arm_judged_and_its_log_replays(  # noqa: PLR0917
    arms: int,
    seeds: int,
    workers: int,
    reduction: int,
    first: str,
    lost: float,
    baseline: bool,
    chance: int,
) -> None:
    table = random_table(arms, seeds=seeds, seed=chance, lost=lost)
    scheduler = {"kind": "asha", "reduction": reduction, "first": first}
    spec = spec_of(seeds, scheduler=scheduler, **({"baseline": "c000"} if baseline else {}))

    plan, driver, journal = run(spec, table, workers=workers)

    view = driver.view()
    over = {TrialState.SUCCEEDED, TrialState.STOPPED_EARLY, TrialState.FAILED}
    assert {trial.state for trial in view.trials} <= over
    assert view.state in (SweepState.SUCCEEDED, SweepState.FAILED)
    if lost == 0.0:
        assert any(trial.state is TrialState.SUCCEEDED for trial in view.trials)
        assert view.state is SweepState.SUCCEEDED
    events = journal.events(limit=None)
    moments = list(replay(SweepFold(plan.sweep_id, plan.trials, spec), events))
    assert moments
    assert all(moment.agrees for moment in moments)
    decided = decisions_in(events)
    judged = [(d.arm, d.rung) for d in decided if isinstance(d, PromoteArm | StopArm)]
    assert len(judged) == len(set(judged))
    stopped = {d.arm for d in decided if isinstance(d, StopArm)}
    assert "baseline" not in stopped
    dropped = [d.identity for d in decided if isinstance(d, DropTrial)]
    assert len(dropped) == len(set(dropped))
    _nobody_better_was_stopped(view, reduction)


def _nobody_better_was_stopped(view: SweepView, reduction: int) -> None:
    """At every rung, whoever was stopped there is behind the best `1/reduction` there."""
    for rung in view.rungs:
        last = max(1, len(rung.ranked) // reduction)
        best = {key[2] for key in rung.ranked[:last]}
        stopped_here = {
            trial.arm for trial in view.trials if trial.stopped and trial.target == rung.rung
        }
        assert not best & stopped_here


@given(
    arms=st.integers(2, 30),
    reduction=st.integers(2, 4),
    workers=st.integers(1, 40),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_a_plan_with_rungs_never_takes_less_than_its_lower_end(
    arms: int, reduction: int, workers: int, seed: int
) -> None:
    ends = np.random.default_rng(seed).permutation(arms) / arms
    scheduler = {"kind": "asha", "reduction": reduction, "first": reduction**-2}
    rows = table_of([[end] for end in ends], steps=reduction**2 * 3)
    spec = spec_of(scheduler=scheduler)

    _, driver, _ = run(spec, rows, workers=workers)

    trained = sum(trial.fraction for trial in driver.view().trials)
    least = arms * least_share(arms, spec.scheduler, with_baseline=False)
    assert trained >= least - 1e-6
