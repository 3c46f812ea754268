"""How a sweep looks in a tracker: which runs, tags, params and metrics; no I/O.

A run per sweep, below it one per arm, below that one per seed. What can be filtered by stands on
every run itself, since trackers do not look at parents when they filter.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from infra.provenance import Provenance
from infra.tracking import MetricPoint, RunFacts, RunStatus
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import ArmRow, Json, ReportView, Spent, SweepRow, TrialView

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
NOTE = "mlflow.note.content"
"""Tag that MLflow shows as a run's description."""
THOUSANDTHS = 1000
_MACHINE_SETTINGS = ("evaluation", "machine")


def sweep_key(sweep_id: str) -> str:
    """Key of a sweep's run."""
    return sweep_id


def arm_key(sweep_id: str, arm: str) -> str:
    """Key of an arm's run."""
    return f"{sweep_id}/arm/{arm}".replace("'", "_")


def trial_key(sweep_id: str, identity: str) -> str:
    """Key of a trial's run."""
    return f"{sweep_id}/trial/{identity}"


def sweep_facts(sweep: SweepRow) -> RunFacts:
    """The run of a whole sweep."""
    spec = {key: value for key, value in sweep.spec_json.items() if key not in ("axes", "name")}
    question = str(sweep.spec_json.get("question") or "")
    tags = {**_sweep_tags(sweep), "sweep.kind": "sweep", "sweep.storage": sweep.storage}
    if question:
        tags[NOTE] = question
    axes = sweep.spec_json.get("axes") or {}
    params = {"axes": ", ".join(axes), **{f"spec.{key}": text for key, text in flat(spec)}}
    return RunFacts(
        key=sweep_key(sweep.sweep_id),
        name=sweep.sweep_id,
        tags=tags,
        params=params,
        started=sweep.created,
    )


def arm_facts(sweep: SweepRow, arm: ArmRow, trials: Sequence[TrialView]) -> RunFacts:
    """The run of an arm, below the sweep's."""
    settings = trials[0].config_json if trials else {}
    shared = {key: value for key, value in settings.items() if key != "seed"}
    return RunFacts(
        key=arm_key(sweep.sweep_id, arm.name),
        name=arm.name,
        parent_key=sweep_key(sweep.sweep_id),
        tags={**_sweep_tags(sweep), **_arm_tags(arm), "sweep.kind": "arm"},
        params=_params(arm, shared),
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
        params={**_params(arm, trial.config_json), "seed": str(trial.seed)},
        started=started,
    )


def trial_tags(trial: TrialView) -> dict[str, str]:
    """What changes about a trial while it goes on."""
    tags = {
        "sweep.state": trial.state.value,
        "sweep.reused": str(trial.reused).lower(),
        "sweep.attempts": str(trial.attempts),
        "sweep.workers": str(trial.workers),
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
                points.append(MetricPoint(name, value, report.step, report.time))
                points += _by_progress(name, value, report)
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
                for point in _by_progress(name, value, report):
                    values.setdefault((point.name, point.step), {})[identity] = value
    return [
        MetricPoint(name, statistics.fmean(each.values()), step, time)
        for (name, step), each in sorted(values.items())
        if len(each) == len(done)
    ]


def final_points(trial: TrialView) -> list[MetricPoint]:
    """What a trial ended with, at the step it ended at."""
    values = {name: value for name, value in trial.metrics.items() if _is_final(name)}
    values["cost/device_seconds"] = trial.device_seconds
    values["cost/paid_device_seconds"] = trial.paid_device_seconds
    values["progress"] = trial.fraction
    return [MetricPoint(name, value, trial.step, trial.changed) for name, value in values.items()]


def trial_status(trial: TrialView) -> RunStatus:
    """How a trial's run stands."""
    return _TRIAL_STATUS[trial.state]


def arm_points(trials: Sequence[TrialView]) -> list[MetricPoint]:
    """Mean and spread over the finished seeds of every final metric they all have."""
    done = [trial for trial in trials if trial.state is TrialState.SUCCEEDED]
    if not done:
        return []
    time = max(trial.changed for trial in done)
    common = set.intersection(*(set(trial.metrics) for trial in done))
    values = {
        name: [trial.metrics[name] for trial in done] for name in sorted(common) if _is_final(name)
    }
    points = [
        MetricPoint(name, statistics.fmean(each), len(done), time) for name, each in values.items()
    ]
    if len(done) > 1:
        points += [
            MetricPoint(f"{name}.std", statistics.stdev(each), len(done), time)
            for name, each in values.items()
        ]
    points.append(MetricPoint("seeds", len(done), len(done), time))
    cost = sum(trial.device_seconds for trial in trials)
    points.append(MetricPoint("cost/device_seconds", cost, len(done), time))
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


def flat(settings: Json, prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names and text, in their order."""
    found: list[tuple[str, str]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            found += flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", str(value)))
    return found


def _by_progress(name: str, value: float, report: ReportView) -> list[MetricPoint]:
    """The same figure by share of the training, so that arms of other lengths lie side by side."""
    if name != "train/loss" and not name.startswith("eval/"):
        return []
    step = round(THOUSANDTHS * report.fraction)
    return [MetricPoint(f"by_progress/{name}", value, step, report.time)]


def _is_final(name: str) -> bool:
    return name.startswith(("eval/", "cost/"))


def _params(arm: ArmRow, settings: Json) -> dict[str, str]:
    trained = {key: value for key, value in settings.items() if key not in _MACHINE_SETTINGS}
    levels = {axis: str(level) for axis, level in arm.point.items()}
    return levels | {f"config.{name}": text for name, text in flat(trained)}


def _sweep_tags(sweep: SweepRow) -> dict[str, str]:
    return {"sweep.id": sweep.sweep_id, "sweep.name": sweep.name}


def _arm_tags(arm: ArmRow) -> dict[str, str]:
    tags = {"sweep.arm": arm.name}
    if arm.axis is not None:
        tags |= {"sweep.axis": arm.axis, "sweep.level": arm.level or ""}
    return tags
