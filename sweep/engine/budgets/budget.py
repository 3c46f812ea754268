"""What a sweep has used of its budget and whether it may go on; every limit is hard.

Spending only grows, so a verdict never gets kinder while the budget stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sweep.spec.sweep_spec import BudgetSpec

SECONDS_PER_HOUR = 3600.0

Allowance = Literal["go", "drain", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """What has been spent up to one moment, running attempts included."""

    device_seconds: float = 0.0
    """Devices times seconds of every attempt this sweep paid for."""
    wall_seconds: float = 0.0
    """Time any driver drove the sweep."""
    running_devices: int = 0
    """Devices at work now; they spend until they are stopped."""
    trials_started: int = 0
    """Distinct trials this sweep has executed, to the end or not."""
    failures: int = 0
    """Failed attempts since the sweep was last started, as `TrialStanding.faults` counts them."""

    @property
    def device_hours(self) -> float:
        """Device-hours spent."""
        return self.device_seconds / SECONDS_PER_HOUR

    @property
    def wall_hours(self) -> float:
        """Hours any driver drove the sweep."""
        return self.wall_seconds / SECONDS_PER_HOUR

    def usd(self, budget: BudgetSpec) -> float | None:
        """Money spent; None when a device-hour has no price."""
        price = budget.usd_per_gpu_hour
        return None if price is None else self.device_hours * price


@dataclass
class WallClock:
    """Time that any driver drove the sweep, from when drivers took it and let it go."""

    total: float = 0.0
    since: float | None = None
    last_sign: float = 0.0
    """The sweep's last event: as far as a driver that died is known to have lived."""

    def acquire(self, time: float) -> None:
        """A driver took the sweep, perhaps from one that died."""
        if self.since is not None:
            self.total += max(0.0, self.last_sign - self.since)
        self.since = time

    def release(self, time: float) -> None:
        """The driver let the sweep go."""
        self.total = self.seconds(time)
        self.since = None

    def seconds(self, now: float) -> float:
        """All of it up to now."""
        return self.total + (0.0 if self.since is None else max(0.0, now - self.since))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a sweep may start trials (go), only finish them (drain), or must stop them (stop)."""

    allowance: Allowance
    reason: str = ""


def device_seconds_limit(budget: BudgetSpec) -> float | None:
    """Device-seconds the sweep may spend, by hours or money, whichever is less.

    Raises:
        ValueError: If money is limited but a device-hour has no price.
    """
    limits = [] if budget.gpu_hours is None else [budget.gpu_hours]
    if budget.usd is not None:
        if budget.usd_per_gpu_hour is None:
            raise ValueError(
                f"budget.usd ({budget.usd:g}) needs budget.usd_per_gpu_hour, the price of one "
                "device-hour"
            )
        limits.append(budget.usd / budget.usd_per_gpu_hour)
    return min(limits) * SECONDS_PER_HOUR if limits else None


def wall_seconds_limit(budget: BudgetSpec) -> float | None:
    """Wall-clock seconds the sweep may take."""
    return None if budget.hours is None else budget.hours * SECONDS_PER_HOUR


def verdict(budget: BudgetSpec, spent: BudgetState) -> Verdict:
    """What the budget allows after this spending.

    Raises:
        ValueError: As `device_seconds_limit`.
    """
    if budget.failures is not None and spent.failures >= budget.failures:
        return Verdict(
            allowance="stop",
            reason=f"{spent.failures} attempts failed, budget.failures is {budget.failures}",
        )
    devices = device_seconds_limit(budget)
    if devices is not None and spent.device_seconds >= devices:
        return Verdict(allowance="stop", reason=_spent_all(budget, spent, devices))
    wall = wall_seconds_limit(budget)
    if wall is not None and spent.wall_seconds >= wall:
        return Verdict(
            allowance="stop",
            reason=f"{_hours(spent.wall_seconds)} of wall clock are used, budget.hours is "
            f"{budget.hours:g}",
        )
    if budget.trials is not None and spent.trials_started >= budget.trials:
        return Verdict(
            allowance="drain",
            reason=f"{spent.trials_started} trials were started, budget.trials is {budget.trials}",
        )
    return Verdict(allowance="go")


def seconds_until_spent(budget: BudgetSpec, spent: BudgetState) -> float | None:
    """Wall seconds until a limit is reached if what runs keeps running; None when none will be."""
    waits: list[float] = []
    devices = device_seconds_limit(budget)
    if devices is not None and spent.running_devices:
        waits.append((devices - spent.device_seconds) / spent.running_devices)
    wall = wall_seconds_limit(budget)
    if wall is not None:
        waits.append(wall - spent.wall_seconds)
    return max(0.0, min(waits)) if waits else None


def _spent_all(budget: BudgetSpec, spent: BudgetState, limit: float) -> str:
    by_money = (
        budget.usd is not None
        and budget.usd_per_gpu_hour is not None
        and limit < (budget.gpu_hours or float("inf")) * SECONDS_PER_HOUR
    )
    if by_money:
        return f"{spent.usd(budget):.2f} usd are spent, budget.usd is {budget.usd:g}"
    return f"{_hours(spent.device_seconds)} of devices are spent, budget.gpu_hours is " + (
        f"{budget.gpu_hours:g}"
    )


def _hours(seconds: float) -> str:
    return f"{seconds / SECONDS_PER_HOUR:.4g} h"
