"""The stages of a plan: what each trains if it starts from the baseline as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweep.cli.console import print_table

if TYPE_CHECKING:
    from sweep.engine.planning.plan import PlannedTrial, SweepPlan


def print_stages(plan: SweepPlan) -> None:
    """One row per stage, in the order they wait for one another; nothing without stages."""
    rows = [
        (
            stage["name"],
            ", ".join(stage["axes"]),
            stage["design"],
            f"{stage['to_train']:,}",
            f"{stage['device_hours']:,.2f}",
        )
        for stage in stages_json(plan)
    ]
    if rows:
        columns = ("stage", "varies", "design", "to train", "device-hours")
        print_table("", columns, rows, right=("to train", "device-hours"), wrap=("varies",))


def stages_json(plan: SweepPlan) -> list[dict[str, Any]]:
    """Every stage with what it adds to the trials of the plan."""
    from sweep.engine.planning.asked import device_hours

    design = plan.spec.design
    if design.kind != "staged":
        return []
    found = []
    for number, stage in enumerate(design.stages):
        added = [each.trial for each in plan.later if each.stage == number]
        trials = [trial for trial in added if not trial.finished]
        trials += plan.to_execute if number == 0 else ()
        found.append(
            {
                "name": stage.name,
                "axes": list(stage.axes),
                "design": stage.design.kind,
                "to_train": len(trials),
                "device_hours": device_hours(trials),
                "added": [trial_json(trial) for trial in added],
            }
        )
    return found


def trial_json(trial: PlannedTrial) -> dict[str, Any]:
    """One trial of a plan, for programs."""
    return {
        "identity": trial.identity,
        "arm": trial.arm,
        "seed": trial.seed,
        "workers": trial.workers,
        "seconds": trial.seconds.mid,
        "reused": trial.finished,
        "pending": trial.pending,
    }
