"""What a progress display shows of a sweep, from one `SweepView`."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sweep.engine.planning.price import simulated_makespan
from sweep.engine.view import SweepView, TrialStanding
from sweep.records.lifecycle import TrialState

LEADING = 5
"""Arms a display names."""
LAST_FAILURES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """What the seeds of one arm reached on the objective."""

    arm: str
    mean: float
    """Over its seeds."""
    seeds: int
    """All of the arm's seeds; an arm that lacks one is not shown."""
    spread: float | None
    """Standard deviation over the seeds; None for a single one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What is used of one limit of the budget."""

    name: str
    """As in the sweep file, such as `gpu_hours`."""
    spent: float
    limit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTrial:
    """A trial whose last attempt failed, or that failed before it went on."""

    identity: str
    arm: str
    seed: int
    message: str
    """Kind and first line."""
    given_up: bool
    """Its last attempt failed, and it gets no other."""
    settled: bool
    """... or it has ended well since: nothing more is to be done for it."""
    pause: float = 0.0
    """Seconds it still waits before it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A sweep at a glance."""

    trials: int
    by_state: Mapping[TrialState, int]
    """Trials by state; states without one are left out."""
    running: tuple[TrialStanding, ...]
    """Trials at work, whoever runs them, in plan order."""
    abandoned: tuple[TrialStanding, ...]
    """Those that were at work when their driver died, and that nobody has taken up yet."""
    retried: int
    """Failed, and to be tried again."""
    reused: int
    """Succeeded without an attempt of this sweep."""
    done: float
    """Of all training, 0 to 1, weighted by what trials are expected to take."""
    best: ArmResult | None
    """Best complete arm on the objective; no verdict, only a glance."""
    leading: tuple[ArmResult, ...]
    """The best complete arms, best first."""
    complete_arms: int
    arms: int
    failed_attempts: int
    """Since the sweep was last started."""
    last_failures: tuple[FailedTrial, ...]
    """The latest first."""
    spend: tuple[Spend, ...]
    """Device-hours and wall clock always, the others if they are limited or priced."""
    seconds_left: float | None
    """Until the last trial ends at the pace so far; None before a trial has finished here."""


def progress(view: SweepView) -> Progress:
    """The display's figures."""
    results = arm_results(view)
    sign = 1.0 if view.objective.mode == "max" else -1.0
    # Ties go to the arm that is earlier in the plan: `max` keeps the first.
    best = max(results, key=lambda result: sign * result.mean, default=None)
    total = sum(trial.seconds_estimate * trial.workers for trial in view.trials)
    done = sum(trial.seconds_estimate * trial.workers * _fraction(trial) for trial in view.trials)
    states = Counter(trial.state for trial in view.trials)
    seen = view.observation
    held = [t.driver == seen.driver or t.identity in seen.held_elsewhere for t in view.in_flight]
    return Progress(
        trials=len(view.trials),
        by_state={state: states[state] for state in TrialState if states[state]},
        running=tuple(itertools.compress(view.in_flight, held)),
        abandoned=tuple(t for t, is_held in zip(view.in_flight, held, strict=True) if not is_held),
        retried=sum(_is_retried(trial) for trial in view.trials),
        reused=sum(t.state is TrialState.SUCCEEDED and not t.attempts for t in view.trials),
        done=done / total if total else 0.0,
        best=best,
        leading=tuple(sorted(results, key=lambda result: -sign * result.mean)[:LEADING]),
        complete_arms=len(results),
        arms=len({trial.arm for trial in view.trials}),
        failed_attempts=sum(len(trial.failures) for trial in view.trials),
        last_failures=_last_failures(view),
        spend=_spend(view),
        seconds_left=_seconds_left(view),
    )


def arm_results(view: SweepView) -> list[ArmResult]:
    """Arms all of whose seeds succeeded and have the objective, in plan order."""
    by_arm: dict[str, list[TrialStanding]] = {}
    for trial in view.trials:
        by_arm.setdefault(trial.arm, []).append(trial)
    key = view.objective.key
    results = []
    for arm, trials in by_arm.items():
        if all(t.state is TrialState.SUCCEEDED and key in t.metrics for t in trials):
            values = [trial.metrics[key] for trial in trials]
            spread = statistics.stdev(values) if len(values) > 1 else None
            mean = statistics.fmean(values)
            results.append(ArmResult(arm=arm, mean=mean, seeds=len(values), spread=spread))
    return results


def _last_failures(view: SweepView) -> tuple[FailedTrial, ...]:
    failed = [trial for trial in view.trials if trial.failures]
    latest = sorted(failed, key=lambda trial: -trial.waiting_since)[:LAST_FAILURES]
    return tuple(
        FailedTrial(
            identity=trial.identity,
            arm=trial.arm,
            seed=trial.seed,
            message=_said(trial),
            given_up=trial.given_up,
            settled=trial.settled,
            pause=0.0 if trial.settled else trial.rest(view.observation.now),
        )
        for trial in latest
    )


def _said(trial: TrialStanding) -> str:
    kind = trial.failures[-1].replace("_", " ")
    lines = (trial.error_message or "").strip().splitlines()
    # A traceback says what happened on its last line.
    return f"{kind}: {lines[-1].strip()}" if lines else kind


def _fraction(trial: TrialStanding) -> float:
    if trial.state is TrialState.SUCCEEDED or trial.stopped:
        return 1.0
    return trial.fraction if trial.settled else trial.kept


def _is_retried(trial: TrialStanding) -> bool:
    return trial.state is TrialState.FAILED and not trial.settled


def _spend(view: SweepView) -> tuple[Spend, ...]:
    budget, spent = view.budget, view.spent
    usd = spent.usd(budget)
    rows = [
        Spend(name="gpu_hours", spent=spent.device_hours, limit=budget.gpu_hours),
        Spend(name="hours", spent=spent.wall_hours, limit=budget.hours),
    ]
    if usd is not None:
        rows.append(Spend(name="usd", spent=usd, limit=budget.usd))
    if budget.trials is not None:
        rows.append(Spend(name="trials", spent=spent.trials_started, limit=budget.trials))
    if budget.failures is not None or spent.failures:
        rows.append(Spend(name="failures", spent=spent.failures, limit=budget.failures))
    return tuple(rows)


def _seconds_left(view: SweepView) -> float | None:
    """Of what is left, in plan order on its devices, at the pace of the trials finished here."""
    if not view.open_trials:
        return 0.0
    if view.pace is None:
        return None
    left = sorted(view.unsettled, key=lambda trial: trial.state is not TrialState.RUNNING)
    pace = view.pace
    pause = max((trial.rest(view.observation.now) for trial in left), default=0.0)
    training = simulated_makespan(
        ((t.seconds_estimate * pace * max(0.0, t.goal - _fraction(t)), t.workers) for t in left),
        devices=view.devices,
    )
    return None if training is None else max(pause, training)
