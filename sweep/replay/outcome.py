"""What a replayed sweep came to: regret, spend, and whether stopping early paid or lost.

The incumbent is the arm a user would take: the best, on the objective, of those trained to their
end. Regret is what the table's best configuration ends with, less what the incumbent does; never
negative, in the metric's own unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweep.engine.view import SweepView
from sweep.records.lifecycle import TrialState
from sweep.replay.curves import CurveTable
from sweep.replay.driving import SimulatedDriver, Traces
from sweep.replay.planning import ReplayPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """The best arm trained to its end, from some moment on."""

    spent_seconds: float
    """Device-seconds spent when it became known."""
    configuration: str
    value: float
    regret: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOutcome:
    """One replayed sweep."""

    sweep_id: str
    state: str
    reason: str
    configurations: int
    """Of the sweep."""
    finished: int
    """Trained to their end, all seeds."""
    stopped_early: int
    device_seconds: float
    makespan_seconds: float
    full_device_seconds: float
    """What training every arm of the sweep to its end takes."""
    best_configuration: str
    """Of the table, in hindsight."""
    best_value: float
    incumbents: tuple[Incumbent, ...]
    """Each better than the one before."""
    best_in_sweep: float | None
    """What the best of the sweep's own arms ends with: regret beyond it is the design's. None where
    none of them ends with a number, as when the table answers no point of a search."""
    early_stopping: str
    """`paid`, `lost` or `not used`, and why, in a sentence."""

    @property
    def regret(self) -> float | None:
        """Of the last incumbent; None when nothing was trained to its end."""
        return self.incumbents[-1].regret if self.incumbents else None


SLIGHT = 0.1
"""Standard deviations of the table's ends; giving up less than that for what is saved has paid."""


def replay_outcome(plan: ReplayPlan, driver: SimulatedDriver, *, seconds: float) -> ReplayOutcome:
    """What a driver that has ended leaves.

    Args:
        plan: What it was to do.
        driver: It.
        seconds: Simulated wall time it took.
    """
    assert driver.ended is not None
    view = driver.view()
    table = plan.table
    configurations = {t.arm: t.configuration for t in driver.trials}
    full = sum(trial.curve.total_seconds for trial in driver.trials)
    best, value = table.best
    means = [table.final_means[name] for name in configurations.values()]
    known = [table.sign * mean for mean in means if math.isfinite(mean)]
    in_sweep = table.sign * max(known) if known else None
    incumbents = _incumbents(view, driver.traces, table, configurations)
    stopped = len({trial.arm for trial in view.trials if trial.stopped})
    spent = view.spent.device_seconds
    return ReplayOutcome(
        sweep_id=plan.sweep_id,
        state=driver.ended.state.value,
        reason=driver.ended.reason,
        configurations=len(configurations),
        finished=len(_finished_arms(view)),
        stopped_early=stopped,
        device_seconds=spent,
        makespan_seconds=seconds,
        full_device_seconds=full,
        best_configuration=best,
        best_value=value,
        incumbents=incumbents,
        best_in_sweep=in_sweep,
        early_stopping=_early_stopping(
            incumbents, in_sweep, table, stopped, spent / full if full else 0.0
        ),
    )


def _finished_arms(view: SweepView) -> set[str]:
    open_arms = {t.arm for t in view.trials if t.state is not TrialState.SUCCEEDED}
    return {trial.arm for trial in view.trials} - open_arms


def _incumbents(
    view: SweepView, traces: Traces, table: CurveTable, configurations: dict[str, str]
) -> tuple[Incumbent, ...]:
    arm_of = {trial.identity: trial.arm for trial in view.trials}
    left: dict[str, int] = {}
    for trial in view.trials:
        left[trial.arm] = left.get(trial.arm, 0) + 1
    _, best_value = table.best
    found: list[Incumbent] = []
    for _, spent, identity in traces.finished:
        arm = arm_of[identity]
        left[arm] -= 1
        if left[arm]:
            continue
        value = table.final_means[configurations[arm]]
        if not found or table.sign * value > table.sign * found[-1].value:
            regret = max(0.0, table.sign * (best_value - value))
            found.append(
                Incumbent(
                    spent_seconds=spent,
                    configuration=configurations[arm],
                    value=value,
                    regret=regret,
                )
            )
    return tuple(found)


def _early_stopping(
    incumbents: Sequence[Incumbent],
    in_sweep: float | None,
    table: CurveTable,
    stopped: int,
    share: float,
) -> str:
    if not stopped:
        return "not used: no arm was stopped"
    if not incumbents or in_sweep is None:
        return f"lost: {stopped} arms were stopped and none was trained to its end"
    lost = table.sign * (in_sweep - incumbents[-1].value)
    spread = float(np.nanstd(list(table.final_means.values())))
    saved = f"{1 - share:.0%} of the training was saved"
    if lost <= 0:
        return f"paid: {saved} and the sweep's best arm was kept"
    worth = f"{lost:.4g} of the metric ({lost / spread:.2f} standard deviations of the table)"
    word = "paid" if lost <= SLIGHT * spread else "lost"
    return f"{word}: {saved} at the price of {worth}"
