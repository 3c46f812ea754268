"""What a sweep has used of its budget and whether it may go on; every limit is hard.

Spending only grows, so a verdict never gets kinder while the budget stays the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sweep.spec.sweep_spec import BudgetSpec, PartBudgetSpec

SECONDS_PER_HOUR = 3600.0

Allowance = Literal["go", "drain", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """What has been spent up to one moment, running attempts included."""

    device_seconds: float = 0.0
    """Devices times seconds of every attempt this sweep paid for."""
    wall_seconds: float = 0.0
    """Time any driver drove the sweep."""
    running_devices: float = 0
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
    """The last thing a driver wrote: as far as one that died is known to have lived."""

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


def part_budget(budget: BudgetSpec, own: PartBudgetSpec) -> BudgetSpec:
    """What a stage or an arm may spend, in the form of a sweep's budget."""
    shared = ("usd_per_gpu_hour", "warn_at", "drain_at")
    return BudgetSpec(**own.model_dump(), **{name: getattr(budget, name) for name in shared})


def verdict(budget: BudgetSpec, spent: BudgetState, *, where: str = "budget") -> Verdict:
    """What the budget allows after this spending; `where` it stands in the sweep file.

    Raises:
        ValueError: As `device_seconds_limit`.
    """
    uses = tuple(_uses(budget, spent, where))
    for use in uses:
        if use.name != "trials" and use.spent >= use.limit:
            return Verdict(allowance="stop", reason=use.said)
    for use in uses:
        if use.name == "trials" and use.spent >= use.limit:
            return Verdict(allowance="drain", reason=use.said)
        if use.is_time and use.spent >= budget.drain_at * use.limit:
            reason = f"{use.said}; from {budget.drain_at:.0%} on nothing new begins"
            return Verdict(allowance="drain", reason=reason)
    return Verdict(allowance="go")


def warnings(
    budget: BudgetSpec, spent: BudgetState, *, where: str = "budget"
) -> Iterator[tuple[str, str]]:
    """Limits that come near, such as `budget.hours`, and what is spent of them."""
    for use in _uses(budget, spent, where):
        if use.spent >= budget.warn_at * use.limit:
            yield f"{where}.{use.name}", use.said


def seconds_until_spent(budget: BudgetSpec, spent: BudgetState) -> float | None:
    """Wall seconds until a limit is reached if what runs keeps running; None when none will be."""
    waits = _waits(budget, spent, share=1.0)
    return max(0.0, min(waits)) if waits else None


def seconds_until_told(budget: BudgetSpec, spent: BudgetState) -> float | None:
    """The same until the next part of a limit that is told, or from which nothing new begins."""
    shares = (budget.warn_at, budget.drain_at)
    waits = [wait for share in shares for wait in _waits(budget, spent, share=share) if wait > 0]
    return min(waits, default=None)


def _waits(budget: BudgetSpec, spent: BudgetState, *, share: float) -> list[float]:
    waits = []
    devices = device_seconds_limit(budget)
    if devices is not None and spent.running_devices:
        waits.append((share * devices - spent.device_seconds) / spent.running_devices)
    wall = wall_seconds_limit(budget)
    if wall is not None:
        waits.append(share * wall - spent.wall_seconds)
    return waits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    """One limit, what is used of it, and that in words."""

    name: str
    spent: float
    limit: float
    said: str

    @property
    def is_time(self) -> bool:
        """Of devices or of the clock, in seconds."""
        return self.name not in ("trials", "failures")


def _uses(budget: BudgetSpec, spent: BudgetState, where: str) -> Iterator[_Use]:
    """Every limit there is: failures, devices or money, the clock, trials."""
    if budget.failures is not None:
        said = f"{spent.failures} attempts failed, {where}.failures is {budget.failures}"
        yield _Use(name="failures", spent=spent.failures, limit=budget.failures, said=said)
    devices = device_seconds_limit(budget)
    if devices is not None:
        name, said = _of_devices(budget, spent, devices, where)
        yield _Use(name=name, spent=spent.device_seconds, limit=devices, said=said)
    wall = wall_seconds_limit(budget)
    if wall is not None:
        used = _hours(spent.wall_seconds)
        said = f"{used} of wall clock are used, {where}.hours is {budget.hours:g}"
        yield _Use(name="hours", spent=spent.wall_seconds, limit=wall, said=said)
    if budget.trials is not None:
        said = f"{spent.trials_started} trials were started, {where}.trials is {budget.trials}"
        yield _Use(name="trials", spent=spent.trials_started, limit=budget.trials, said=said)


def _of_devices(
    budget: BudgetSpec, spent: BudgetState, limit: float, where: str
) -> tuple[str, str]:
    by_money = (
        budget.usd is not None
        and budget.usd_per_gpu_hour is not None
        and limit < (budget.gpu_hours or float("inf")) * SECONDS_PER_HOUR
    )
    if by_money:
        return "usd", f"{spent.usd(budget):.2f} usd are spent, {where}.usd is {budget.usd:g}"
    hours = _hours(spent.device_seconds)
    return "gpu_hours", f"{hours} of devices are spent, {where}.gpu_hours is {budget.gpu_hours:g}"


def _hours(seconds: float) -> str:
    return f"{seconds / SECONDS_PER_HOUR:.4g} h"
