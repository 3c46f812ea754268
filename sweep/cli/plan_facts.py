"""What a plan takes: device-hours, money, time, storage and memory, a line each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sweep.cli.console import duration_text

if TYPE_CHECKING:
    from sweep.engine.planning.footprint import Footprint
    from sweep.engine.planning.plan import PlannedTrial, SweepPlan


def price_facts(plan: SweepPlan) -> Iterator[tuple[str, str]]:
    """Device-hours, money and wall time, one line each."""
    estimate = plan.estimate
    hours = estimate.device_hours
    yield "device-hours", f"{hours.mid:,.2f}  ({hours.low:,.2f} to {hours.high:,.2f})"
    if estimate.usd is not None:
        usd = estimate.usd
        yield "money", f"${usd.mid:,.2f}  (${usd.low:,.2f} to ${usd.high:,.2f})"
    if estimate.makespan_hours is not None:
        span = estimate.makespan_hours
        low, mid, high = (duration_text(3600 * each) for each in (span.low, span.mid, span.high))
        market = estimate.market
        yield "wall time", f"{mid}  ({low} to {high}) on {market.devices} x {market.device}"
    else:
        workers = max(trial.workers for trial in plan.trials)
        devices = estimate.market.devices
        never = f"never: a trial needs {workers:g} devices at once, there are {devices}"
        yield "wall time", f"{never} (--devices and --device price other clusters)"


def plan_facts(plan: SweepPlan) -> Iterator[tuple[str, str]]:
    """What the plan takes, one line each."""
    yield from price_facts(plan)
    footprints = footprints_of(plan)
    by_arm = trials_by_arm(plan)
    stored = sum(
        footprints[arm.name].stored_gib * sum(not trial.finished for trial in by_arm[arm.name])
        for arm in plan.arms
    )
    largest = max(footprints.values(), key=lambda each: each.device_gib)
    checkpoint = max(each.checkpoint_gib for each in footprints.values())
    models, one = size_text(stored), size_text(checkpoint)
    yield "storage", f"{models} of models; {one} the largest checkpoint"
    yield "memory", f"{size_text(largest.device_gib)} on a device of the largest trial (estimate)"
    scheduler = plan.spec.scheduler
    if scheduler.kind == "asha":
        shown = ", ".join(f"{rung:.3g}" for rung in scheduler.rungs)
        yield (
            "rungs",
            f"at {shown} of its training an arm is compared, one in {scheduler.reduction} goes on; "
            "the lower ends above count on that, the others do not",
        )


def trials_by_arm(plan: SweepPlan) -> dict[str, list[PlannedTrial]]:
    """Trials by the name of their arm."""
    by_arm: dict[str, list[PlannedTrial]] = defaultdict(list)
    for trial in plan.trials:
        by_arm[trial.arm].append(trial)
    return by_arm


def footprints_of(plan: SweepPlan) -> dict[str, Footprint]:
    """What a trial takes, by the name of its arm."""
    from sweep.engine.planning.footprint import footprint

    device = plan.estimate.market.device
    return {arm.name: footprint(arm.config, device=device) for arm in plan.arms}


def size_text(gib: float) -> str:
    """`1.2 TiB`, `3.4 GiB` or `512 MiB`."""
    if gib >= 1000:
        return f"{gib / 1024:,.1f} TiB"
    return f"{gib:,.1f} GiB" if gib >= 1 else f"{gib * 1024:,.0f} MiB"
