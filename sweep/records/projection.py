"""How a sweep looks in a tracker: which runs, tags, params and metrics; no I/O.

A run per sweep, below it one per arm, below that one per seed. What can be filtered by stands on
every run itself, since trackers do not look at parents when they filter. Params are the axes,
since trackers compare runs by their params; all settings are in files beside the runs.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from infra.provenance import Provenance
from infra.tracking import MetricPoint, RunFacts, RunStatus
from sweep.records.charting import FINAL, by_progress, shown
from sweep.records.describing import NOTE, objective_name
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import ArmRow, ReportView, Spent, SweepRow, TrialView

_TRIAL_STATUS: Mapping[TrialState, RunStatus] = {
    TrialState.PENDING: "SCHEDULED",
    TrialState.RUNNING: "RUNNING",
    TrialState.PAUSED: "SCHEDULED",
    TrialState.SUCCEEDED: "FINISHED",
    TrialState.FAILED: "FAILED",
    TrialState.STOPPED_EARLY: "KILLED",
    TrialState.CANCELLED: "KILLED",
}
_SWEEP_STATUS: Mapping[SweepState, RunStatus] = {
    SweepState.PENDING: "SCHEDULED",
    SweepState.RUNNING: "RUNNING",
    SweepState.SUCCEEDED: "FINISHED",
    SweepState.FAILED: "FAILED",
    SweepState.STOPPED: "KILLED",
    SweepState.CANCELLED: "KILLED",
}
OVER: frozenset[RunStatus] = frozenset({"FINISHED", "FAILED", "KILLED"})
"""Statuses of runs that have an end."""
OFF = "-"
"""Level of an axis that does not matter for an arm; charts leave out runs that lack a param."""


def sweep_key(sweep_id: str) -> str:
    """Key of a sweep's run."""
    return sweep_id


def arm_key(sweep_id: str, arm: str) -> str:
    """Key of an arm's run; MLflow's filters can hold anything between quotes but a quote."""
    return f"{sweep_id}/arm/{arm}".replace("%", "%25").replace("'", "%27")


def trial_key(sweep_id: str, identity: str) -> str:
    """Key of a trial's run."""
    return f"{sweep_id}/trial/{identity}"


def sweep_facts(sweep: SweepRow) -> RunFacts:
    """The run of a whole sweep."""
    question = str(sweep.spec_json.get("question") or "")
    tags = {**_sweep_tags(sweep), "sweep.kind": "sweep", "sweep.storage": sweep.storage}
    if question:
        tags[NOTE] = question
    design = sweep.spec_json.get("design") or {}
    params = {
        "axes": ", ".join(sweep.spec_json.get("axes") or {}),
        "design": str(design.get("kind", "one_factor")),
        "objective": objective_name(sweep),
    }
    return RunFacts(
        key=sweep_key(sweep.sweep_id),
        name=sweep.sweep_id,
        tags=tags,
        params=params,
        started=sweep.created,
    )


def arm_facts(sweep: SweepRow, arm: ArmRow) -> RunFacts:
    """The run of an arm, below the sweep's."""
    return RunFacts(
        key=arm_key(sweep.sweep_id, arm.name),
        name=arm.name,
        parent_key=sweep_key(sweep.sweep_id),
        tags={**_sweep_tags(sweep), **_arm_tags(arm), "sweep.kind": "arm"},
        params=_levels(sweep, arm),
        started=sweep.created,
    )


def trial_facts(
    sweep: SweepRow, arm: ArmRow, trial: TrialView, *, started: float | None
) -> RunFacts:
    """The run of a trial, below its arm's."""
    return RunFacts(
        key=trial_key(sweep.sweep_id, trial.identity),
        name=f"{arm.name} seed {trial.seed}",
        parent_key=arm_key(sweep.sweep_id, arm.name),
        tags={
            **_sweep_tags(sweep),
            **_arm_tags(arm),
            "sweep.kind": "trial",
            "sweep.seed": str(trial.seed),
            "sweep.identity": trial.identity,
        },
        params={**_levels(sweep, arm), "seed": str(trial.seed)},
        started=started,
    )


def trial_tags(trial: TrialView) -> dict[str, str]:
    """What changes about a trial while it goes on."""
    tags = {
        "sweep.state": trial.state.value,
        "sweep.reused": str(trial.reused).lower(),
        "sweep.attempts": str(trial.attempts),
        "sweep.workers": f"{trial.workers:g}",
        "sweep.error_kind": trial.error_kind or "",
        "sweep.error": trial.error_message or "",
    }
    if trial.storage is not None:
        tags["sweep.files"] = f"{trial.storage.rstrip('/')}/trials/{trial.identity}"
    if trial.checkpoint is not None:
        tags["sweep.checkpoint_step"] = str(trial.checkpoint.step)
    if trial.model_digest is not None:
        tags["sweep.model_digest"] = trial.model_digest
    return tags


def provenance_tags(provenance: Provenance) -> dict[str, str]:
    """Where a trial comes from."""
    tags = {
        "sweep.commit": provenance.commit or "",
        "sweep.dirty_sha256": provenance.dirty_sha256 or "",
        "sweep.python": provenance.python,
        "sweep.host": provenance.host,
    }
    return tags | {f"sweep.package.{name}": text for name, text in provenance.packages.items()}


def report_points(reports: Iterable[ReportView], seqs: range) -> list[MetricPoint]:
    """Points of a trial's curve that some events told.

    What an attempt says again after it went on from a checkpoint is left out: a tracker would show
    the step twice.

    Args:
        reports: Of one trial, in the order they came, from its first report on.
        seqs: The events.
    """
    points: list[MetricPoint] = []
    said: set[tuple[str, int]] = set()
    for report in reports:
        for name, value in {**report.metrics, "progress": report.fraction}.items():
            if (name, report.step) not in said and report.seq in seqs:
                points.append(MetricPoint(shown(name), value, report.step, report.time))
                points += by_progress(name, value, report)
            said.add((name, report.step))
    return points


def arm_curves(
    trials: Sequence[TrialView], reports: Mapping[str, Sequence[ReportView]]
) -> list[MetricPoint]:
    """Mean over the finished seeds of an arm, where all of them reported."""
    done = [trial.identity for trial in trials if trial.state is TrialState.SUCCEEDED]
    values: dict[tuple[str, int], dict[str, float]] = {}
    time = 0.0
    for identity in done:
        for report in reports.get(identity, ()):
            time = max(time, report.time)
            for name, value in report.metrics.items():
                for point in by_progress(name, value, report):
                    values.setdefault((point.name, point.step), {})[identity] = value
    return [
        MetricPoint(name, statistics.fmean(each.values()), step, time)
        for (name, step), each in sorted(values.items())
        if len(each) == len(done)
    ]


def final_points(trial: TrialView, said: Iterable[ReportView] = ()) -> list[MetricPoint]:
    """What a trial ended with: where it had a course, at the end of that."""
    courses = {name for report in said for name in report.metrics} | {"progress"}
    values = {name: value for name, value in trial.metrics.items() if _is_final(name)}
    values["cost/device_seconds"] = trial.device_seconds
    values["cost/paid_device_seconds"] = trial.paid_device_seconds
    values["progress"] = trial.fraction
    return [
        MetricPoint(shown(name), value, trial.step if name in courses else FINAL, trial.changed)
        for name, value in values.items()
    ]


def trial_status(trial: TrialView) -> RunStatus:
    """How a trial's run stands."""
    return _TRIAL_STATUS[trial.state]


def arm_points(trials: Sequence[TrialView], objective: str) -> list[MetricPoint]:
    """Mean over the finished seeds of every final metric they all have; spread of accuracies."""
    done = [trial for trial in trials if trial.state is TrialState.SUCCEEDED]
    if not done:
        return []
    time = max(trial.changed for trial in done)
    common = set.intersection(*(set(trial.metrics) for trial in done))
    values = {
        name: [trial.metrics[name] for trial in done] for name in sorted(common) if _is_final(name)
    }
    points = [
        MetricPoint(shown(name), statistics.fmean(each), FINAL, time)
        for name, each in values.items()
    ]
    if len(done) > 1:
        points += [
            MetricPoint(f"{shown(name)}.std", statistics.stdev(each), FINAL, time)
            for name, each in values.items()
            if name.endswith("/accuracy") or name == objective
        ]
    points.append(MetricPoint("seeds", len(done), FINAL, time))
    cost = sum(trial.device_seconds for trial in trials)
    points.append(MetricPoint("cost/device_seconds", cost, FINAL, time))
    return points


def arm_status(trials: Sequence[TrialView], sweep: SweepRow) -> RunStatus:
    """How an arm's run stands: over when all its seeds are, or the sweep is."""
    statuses = {trial_status(trial) for trial in trials}
    if statuses <= OVER or _SWEEP_STATUS[sweep.state] in OVER:
        for status in ("FINISHED", "FAILED"):
            if status in statuses:
                return status
        return "KILLED"
    return "SCHEDULED" if statuses == {"SCHEDULED"} else "RUNNING"


def sweep_status(sweep: SweepRow) -> RunStatus:
    """How a sweep's run stands."""
    return _SWEEP_STATUS[sweep.state]


def sweep_state_tags(sweep: SweepRow) -> dict[str, str]:
    """What changes about a sweep while it goes on."""
    return {"sweep.state": sweep.state.value, "sweep.reason": sweep.reason}


def sweep_points(trials: Sequence[TrialView], spent: Spent, *, time: float) -> list[MetricPoint]:
    """What a sweep has done and spent; steps count its finished trials."""
    done = sum(trial.state is TrialState.SUCCEEDED for trial in trials)
    values = {
        "cost/device_seconds": spent.device_seconds,
        "cost/wall_seconds": spent.wall_seconds,
        "trials": len(trials),
        "trials/succeeded": done,
        "trials/failed": sum(trial.state is TrialState.FAILED for trial in trials),
        "trials/stopped_early": sum(trial.state is TrialState.STOPPED_EARLY for trial in trials),
        "trials/reused": sum(trial.reused for trial in trials),
        "attempts": spent.attempts,
        "attempts/failed": spent.failures,
    }
    return [MetricPoint(name, value, done, time) for name, value in values.items()]


def _is_final(name: str) -> bool:
    return name.startswith(("eval/", "cost/"))


def _levels(sweep: SweepRow, arm: ArmRow) -> dict[str, str]:
    """The arm's level on every axis of the sweep."""
    axes = dict.fromkeys([*(sweep.spec_json.get("axes") or {}), *arm.point])
    return {axis: str(arm.point.get(axis, OFF)) for axis in axes}


def _sweep_tags(sweep: SweepRow) -> dict[str, str]:
    return {"sweep.id": sweep.sweep_id, "sweep.name": sweep.name}


def _arm_tags(arm: ArmRow) -> dict[str, str]:
    tags = {"sweep.arm": arm.name}
    if arm.axis is not None:
        tags |= {"sweep.axis": arm.axis, "sweep.level": arm.level or ""}
    return tags
