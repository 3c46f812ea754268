"""Accuracy against cost: the arms that no other arm beats in both.

Invariant: cost is what one trial of the arm takes on average, whoever paid for it; accuracy is on
test items, with its interval, so that a front made of noise can be seen as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.ablation import ArmResult
from analysis.statistics.intervals import Accuracy
from analysis.tables import SweepTables


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoArm:
    """An arm's place."""

    arm: str
    device_seconds: float
    """Mean over its succeeded trials."""
    usd: float | None
    """The same in money, where the price of a device-hour is known."""
    accuracy: Accuracy
    on_front: bool
    """No arm is at least as good in both and better in one."""
    beaten_by: str | None
    """The best arm that is, where there is one."""


def pareto(tables: SweepTables, arms: Sequence[ArmResult]) -> tuple[ParetoArm, ...]:
    """Arms with an accuracy and a cost, the cheapest first."""
    seconds: dict[str, list[float]] = {}
    for trial in tables.succeeded():
        seconds.setdefault(trial.arm, []).append(trial.device_seconds)
    price = (tables.sweep.spec_json.get("budget") or {}).get("usd_per_gpu_hour")
    costs = {arm: float(np.mean(found)) for arm, found in seconds.items()}
    placed = [
        (costs[result.arm], result.accuracy, result.arm)
        for result in arms
        if result.accuracy is not None and result.arm in costs
    ]
    placed.sort(key=lambda entry: (entry[0], -entry[1].value))
    found: list[ParetoArm] = []
    best: tuple[float, float, str] | None = None
    for cost, accuracy, arm in placed:
        # Sorted by cost, so an arm is beaten by the best so far unless it is better, or its equal.
        equal = best is not None and (cost, accuracy.value) == best[:2]
        beaten = best is not None and accuracy.value <= best[1] and not equal
        found.append(
            ParetoArm(
                arm=arm,
                device_seconds=cost,
                usd=None if price is None else cost / 3600 * price,
                accuracy=accuracy,
                on_front=not beaten,
                beaten_by=best[2] if beaten and best is not None else None,
            )
        )
        if best is None or accuracy.value > best[1]:
            best = (cost, accuracy.value, arm)
    return tuple(found)
