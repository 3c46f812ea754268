"""Which arms have spent what each arm may spend."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sweep.engine.budgets.budget import SECONDS_PER_HOUR
from sweep.engine.decision_kinds import CloseArm
from sweep.engine.view import SweepView, TrialStanding


def closed_arms(view: SweepView) -> Iterator[CloseArm]:
    """Arms to be stopped now because a limit of `budget.per_arm` is reached, in plan order."""
    limits = view.budget.per_arm
    if limits.gpu_hours is None and limits.failures is None:
        return
    arms: dict[str, list[TrialStanding]] = defaultdict(list)
    for trial in view.trials:
        arms[trial.arm].append(trial)
    for arm, trials in arms.items():
        if any(trial.stopped for trial in trials) or all(trial.settled for trial in trials):
            continue
        reason = _reason(view, trials)
        if reason:
            yield CloseArm(arm=arm, reason=reason)


def seconds_until_closed(view: SweepView) -> float | None:
    """Wall seconds until a running arm reaches its limit of device-hours; None when none will."""
    limit = view.budget.per_arm.gpu_hours
    if limit is None:
        return None
    spent: dict[str, float] = defaultdict(float)
    devices: dict[str, int] = defaultdict(int)
    for trial in view.trials:
        spent[trial.arm] += _device_seconds(view, trial)
    for trial in view.running_here:
        devices[trial.arm] += trial.workers
    waits = [
        (limit * SECONDS_PER_HOUR - spent[arm]) / busy for arm, busy in devices.items() if busy
    ]
    return max(0.0, min(waits)) if waits else None


def _reason(view: SweepView, trials: list[TrialStanding]) -> str:
    limits = view.budget.per_arm
    failures = sum(trial.faults for trial in trials)
    if limits.failures is not None and failures >= limits.failures:
        return f"{failures} of its attempts failed, budget.per_arm.failures is {limits.failures}"
    hours = sum(_device_seconds(view, trial) for trial in trials) / SECONDS_PER_HOUR
    if limits.gpu_hours is not None and hours >= limits.gpu_hours:
        return (
            f"it spent {hours:.4g} device-hours, budget.per_arm.gpu_hours is {limits.gpu_hours:g}"
        )
    return ""


def _device_seconds(view: SweepView, trial: TrialStanding) -> float:
    """What this sweep paid for a trial, up to now."""
    running = 0.0
    if trial.ours and trial.started is not None:
        if trial.driver == view.observation.driver:
            running = max(0.0, view.observation.now - trial.started) * trial.workers
        else:
            running = trial.seconds * trial.workers  # its driver died; that far it is known
    return trial.device_seconds + running
