"""A plan for people: what varies, every arm or a digest of very many, and what it takes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from sweep.cli.console import counted, duration_text, out, print_table
from sweep.cli.plan_facts import footprints_of, plan_facts, size_text, trials_by_arm
from sweep.cli.stages_view import print_stages, stages_json, trial_json

if TYPE_CHECKING:
    from search_spaces.axes import Axis
    from sweep.engine.planning.arms import Arm
    from sweep.engine.planning.cost_model import Interval
    from sweep.engine.planning.plan import PlannedTrial, SweepPlan
    from sweep.engine.planning.price import PriceEstimate

ARMS_SHOWN = 40
"""More arms than this are shown by axis and level instead."""
LEVELS_SHOWN = 12
LONGEST_ARM = 48
ALIASES_SHOWN = 12
_DIGITS = 10


def print_plan(plan: SweepPlan, waits: dict[str, str]) -> None:
    """The plan: its arms, then the design's facts, then the price.

    Args:
        plan: What would be done.
        waits: By identity, what a trial waits for: another sweep that trains it now.
    """
    from sweep.engine.growing.rules import grows

    out.print(f"[bold]{plan.sweep_id}[/bold]  {escape(plan.spec.question)}")
    if len(plan.arms) <= ARMS_SHOWN:
        _print_arms(plan, waits)
    else:
        _print_levels(plan)
    print_stages(plan)
    for line in _design_lines(plan):
        out.print(line, style="dim", soft_wrap=True, markup=False)
    out.print(_counted(plan, waits))
    if grows(plan.spec):
        out.print(_grown(plan), style="yellow", soft_wrap=True)
    for label, text in plan_facts(plan):
        out.print(f"{label:<14}{text}")
    measured = plan.estimate.market.calibrated_on
    out.print(
        f"price from {measured} earlier trials"
        if measured
        else "price by arithmetic alone; it sharpens once a trial has been measured",
        style="dim",
    )


def _print_arms(plan: SweepPlan, waits: dict[str, str]) -> None:
    by_arm = trials_by_arm(plan)
    footprints = footprints_of(plan)
    # Arms that move on many axes are read by column, the others by name.
    by_column = max(len(arm.name) for arm in plan.arms) > LONGEST_ARM
    names = ["arm"] if not by_column else [axis.name.rpartition(".")[2] for axis in plan.axes]
    rows = []
    for arm in plan.arms:
        named = [arm.name] if not by_column else [arm.point.get(a.name, "-") for a in plan.axes]
        trials = by_arm[arm.name]
        finished = sum(trial.finished for trial in trials)
        waiting = sum(trial.identity in waits for trial in trials)
        rows.append(
            (
                *named,
                len(trials),
                finished or "",
                waiting or "",
                f"{trials[0].workers:g}",
                size_text(footprints[arm.name].device_gib),
                duration_text(trials[0].seconds.mid),
                "pending" if arm.pending else trials[0].identity[:_DIGITS],
            )
        )
    figures = ["seeds", "reused", "waits", "workers", "memory", "time each"]
    columns = [*names, *figures, "identity"]
    kept = [
        index
        for index, column in enumerate(columns)
        if column not in figures
        or (len({row[index] for row in rows}) > 1 if by_column else any(r[index] for r in rows))
    ]
    print_table(
        "",
        [columns[index] for index in kept],
        [[row[index] for index in kept] for row in rows],
        right=figures,
        wrap=names if by_column else None,
    )


def _print_levels(plan: SweepPlan) -> None:
    """One row per axis and level: how many arms have it and what they take."""
    by_arm = trials_by_arm(plan)
    rows: list[tuple[object, ...]] = []
    for axis in plan.axes:
        groups: dict[str, list[Arm]] = defaultdict(list)
        for arm in plan.arms:
            if axis.name in arm.point:
                groups[_level_group(axis, arm)].append(arm)
        shown = list(groups)[:LEVELS_SHOWN]
        for index, level in enumerate(shown):
            trials = [trial for arm in groups[level] for trial in by_arm[arm.name]]
            rows.append(_level_row(axis.name if index == 0 else "", level, groups[level], trials))
        if len(groups) > len(shown):
            rows.append(("", f"and {len(groups) - len(shown)} more levels", "", "", ""))
    columns = ("axis", "level", "arms", "trials", "time each")
    print_table("", columns, rows, right=("arms", "trials", "time each"))
    out.print(f"{len(plan.arms):,} arms are shown by level; --json lists them all", style="dim")


def _level_row(
    axis: str, level: str, arms: Sequence[Arm], trials: Sequence[PlannedTrial]
) -> tuple[object, ...]:
    least = min(trial.seconds.mid for trial in trials)
    most = max(trial.seconds.mid for trial in trials)
    span = duration_text(least)
    if most > 1.1 * least:
        span = f"{span} to {duration_text(most)}"
    return (axis, level, f"{len(arms):,}", f"{len(trials):,}", span)


def _level_group(axis: Axis, arm: Arm) -> str:
    """The level, or the whole range where levels were drawn."""
    if axis.domain is None:
        return arm.point[axis.name]
    own = axis.baseline_level
    return "baseline" if own is not None and own.name == arm.point[axis.name] else str(axis.domain)


def _design_lines(plan: SweepPlan) -> list[str]:
    """What can and cannot be told apart in the design."""
    facts = plan.design
    lines = []
    if facts.resolution is not None:
        lines.append(f"fraction of resolution {facts.resolution}; cannot be told apart:")
        shown = facts.aliases[:ALIASES_SHOWN]
        lines += [f"  {line}" for line in shown] or ["  nothing up to pairs of axes"]
        if len(facts.aliases) > len(shown):
            lines.append(f"  and {len(facts.aliases) - len(shown)} more groups; --json has all")
    if facts.left_out:
        lines.append(f"{facts.left_out:,} combinations break a rule and are left out")
    return [*lines, *facts.remarks]


def _counted(plan: SweepPlan, waits: dict[str, str]) -> str:
    finished = sum(trial.finished for trial in plan.trials)
    parts = [
        counted(len(plan.arms), "arm"),
        counted(len(plan.trials), "trial"),
        f"{finished:,} reused",
    ]
    for sweep, count in sorted(Counter(waits.values()).items()):
        parts.append(f"{count:,} under way in {sweep}")
    parts.append(f"{len(plan.to_execute) - len(waits):,} to train")
    return ", ".join(parts)


def _grown(plan: SweepPlan) -> str:
    """What is added while it runs, between the least and the most that can be."""
    from sweep.engine.planning.growth_price import growth_price

    certain = "the figures below are of what is certain"
    price = growth_price(plan)
    if price is None:
        return f"more trials are added as it runs; {certain}"
    trials = _between(price.least_trials, price.most_trials, ",d")
    hours = _between(price.least_hours, price.most_hours, ",.2f")
    return (
        f"as it runs, {trials} trials are added, {hours} device-hours: {price.why}; {certain}; "
        "the least that is added counts where the budget is checked"
    )


def _between(low: float, high: float, form: str) -> str:
    return f"{high:{form}}" if low == high else f"{low:{form}} to {high:{form}}"


def plan_json(plan: SweepPlan, waits: dict[str, str]) -> dict[str, Any]:
    """All of the plan, for programs."""
    from dataclasses import asdict

    from sweep.engine.growing.rules import grows
    from sweep.engine.planning.growth_price import growth_price

    growth = growth_price(plan)
    footprints = footprints_of(plan)
    return {
        "sweep": plan.sweep_id,
        "question": plan.spec.question,
        "pending": plan.pending,
        "grows": grows(plan.spec),
        "growth": None if growth is None else asdict(growth),
        "stages": stages_json(plan),
        "design": asdict(plan.design),
        "rungs": list(plan.spec.scheduler.rungs),
        "arms": [
            {
                "name": arm.name,
                "axis": arm.axis,
                "level": arm.level,
                "point": dict(arm.point),
                "footprint": asdict(footprints[arm.name]),
            }
            for arm in plan.arms
        ],
        "trials": [
            trial_json(trial) | {"waits_for": waits.get(trial.identity)} for trial in plan.trials
        ],
        "estimate": estimate_json(plan.estimate),
    }


def estimate_json(estimate: PriceEstimate) -> dict[str, Any]:
    """A plan's price, for programs."""
    return {
        "trials": estimate.trials,
        "device_hours": _interval_json(estimate.device_hours),
        "usd": _interval_json(estimate.usd),
        "makespan_hours": _interval_json(estimate.makespan_hours),
        "device": estimate.market.device,
        "devices": estimate.market.devices,
        "calibrated_on": estimate.market.calibrated_on,
    }


def _interval_json(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {"low": interval.low, "mid": interval.mid, "high": interval.high}
