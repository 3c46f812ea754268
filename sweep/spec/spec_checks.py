"""What can be wrong in a sweep beside its axes: objective, budget, replicates, places."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

from infra.findings import Finding, hint
from infra.settings import is_tracking_address
from search_spaces.axes import Axis
from sweep.spec.axis_spec import AxisSpec
from sweep.spec.design_spec import SearchDesign, StagedDesign
from sweep.spec.sweep_spec import StageBudgetSpec, SweepSpec
from trainer.config import TrainerConfig
from trainer.evaluation_config import BenchmarkConfig

METRICS: dict[str, Literal["max", "min"]] = {"accuracy": "max", "ties": "min", "margin": "max"}
"""Metrics of `trainer.evaluation.metrics` a sweep can select by, and which way is better."""
BASELINE_TRAINED = frozenset(
    {"one_factor", "leave_one_out", "add_one_in", "tpe", "optuna", "staged"}
)
"""Kinds of design of which the baseline is an arm, whatever levels the axes have."""
_BY_SLICE = ("accuracy_category_", "accuracy_source_")
_REPORTED_ONLY = ("pairs", "longer_wins", "position_bias", "position_consistency", "parsed")


def objective_findings(spec: SweepSpec, baseline: TrainerConfig) -> list[Finding]:
    """Objectives that select by test items, or by what nobody measures."""
    objective = spec.objective
    benchmarks = baseline.evaluation.benchmarks
    findings = []
    benchmark = benchmarks.get(objective.benchmark)
    if benchmark is None:
        near = hint(objective.benchmark, benchmarks)
        message = f"unknown benchmark '{objective.benchmark}'{near}"
        findings.append(Finding(("objective", "benchmark"), message))
    elif benchmark.split != "validation":
        findings.append(
            Finding(("objective", "benchmark"), _held_out(objective.benchmark, benchmarks))
        )
    better = METRICS.get(objective.metric)
    if objective.metric.startswith(_BY_SLICE) and objective.metric not in _BY_SLICE:
        better = "max"
    if objective.metric in _REPORTED_ONLY:
        message = f"'{objective.metric}' is reported, but nothing is better for more or less of it"
        findings.append(Finding(("objective", "metric"), message))
    elif better is None:
        names = [*METRICS, "accuracy_category_<category>", "accuracy_source_<source>"]
        message = f"unknown metric '{objective.metric}'{hint(objective.metric, names)}"
        findings.append(Finding(("objective", "metric"), message))
    elif better != objective.mode:
        message = f"expected {better} for {objective.metric}, came {objective.mode}"
        findings.append(Finding(("objective", "mode"), message))
    return findings


def budget_findings(spec: SweepSpec) -> list[Finding]:
    """Limits that contradict each other or can never be met."""
    budget, findings = spec.budget, []
    if budget.usd is not None and budget.usd_per_gpu_hour is None:
        message = "a limit in dollars needs a price; give budget.usd_per_gpu_hour"
        findings.append(Finding(("budget", "usd"), message))
    if budget.warn_at > budget.drain_at:
        message = (
            f"a limit is told of ({budget.warn_at:g} of it) before nothing new begins "
            f"({budget.drain_at:g}); lower budget.warn_at, or raise budget.drain_at"
        )
        findings.append(Finding(("budget", "warn_at"), message))
    findings += _arm_budget_findings(spec)
    for stage, own in budget.per_stage.items():
        findings += _stage_budget_findings(spec, stage, own)
    if budget.trials is not None and budget.trials < spec.replicates.seeds:
        message = (
            f"{budget.trials} trials cannot hold one arm of {spec.replicates.seeds} seeds; "
            f"raise budget.trials or lower replicates.seeds"
        )
        findings.append(Finding(("budget", "trials"), message))
    return findings


def _arm_budget_findings(spec: SweepSpec) -> list[Finding]:
    own, seeds, findings = spec.budget.per_arm, spec.replicates.seeds, []
    if own.usd is not None and spec.budget.usd_per_gpu_hour is None:
        message = "a limit in dollars needs a price; give budget.usd_per_gpu_hour"
        findings.append(Finding(("budget", "per_arm", "usd"), message))
    if own.trials is not None and own.trials < seeds:
        message = (
            f"{own.trials} trials cannot hold an arm's {seeds} seeds; raise budget.per_arm.trials "
            "or lower replicates.seeds"
        )
        findings.append(Finding(("budget", "per_arm", "trials"), message))
    return findings


def _stage_budget_findings(spec: SweepSpec, stage: str, own: StageBudgetSpec) -> list[Finding]:
    location = ("budget", "per_stage", stage)
    if not isinstance(spec.design, StagedDesign):
        message = f"design {spec.design.kind} has no stages; use budget.per_arm, or design staged"
        return [Finding(location, message)]
    names = [each.name for each in spec.design.stages]
    if stage not in names:
        return [Finding(location, f"unknown stage '{stage}'{hint(stage, names)}")]
    if own.usd is not None and spec.budget.usd_per_gpu_hour is None:
        message = "a limit in dollars needs a price; give budget.usd_per_gpu_hour"
        return [Finding((*location, "usd"), message)]
    return []


def design_findings(spec: SweepSpec) -> list[Finding]:
    """Designs that need an axis of another kind."""
    kind = spec.design.kind
    if kind in ("leave_one_out", "add_one_in") and not any(
        isinstance(entry, AxisSpec) and entry.members is not None for entry in spec.axes.values()
    ):
        message = (
            f"design {kind} varies sets, and no axis is one; give an axis `members`, such as "
            "data_mix: {members: [scenes, digits, text]}"
        )
        return [Finding(("design",), message)]
    needs_axes = ("fractional", "random", "latin_hypercube", "tpe", "optuna")
    if not spec.axes and kind in needs_axes:
        return [Finding(("design",), f"design {kind} needs an axis; there is none")]
    return _stage_findings(spec)


def _stage_findings(spec: SweepSpec) -> list[Finding]:
    """Stages over axes there are not, and axes that no stage varies."""
    if not isinstance(spec.design, StagedDesign):
        return []
    findings = []
    staged = set()
    for number, stage in enumerate(spec.design.stages):
        staged |= set(stage.axes)
        for place, axis in enumerate(stage.axes):
            if axis not in spec.axes:
                message = f"unknown axis '{axis}'{hint(axis, spec.axes)}"
                location = ("design", "stages", number, "axes", place)
                findings.append(Finding(location, message))
    for axis, entry in spec.axes.items():
        if axis not in staged:
            message = "no stage varies it; name it in one, or drop it"
            findings.append(Finding(("axes", axis), message))
        if isinstance(entry, AxisSpec) and entry.within:
            message = (
                "no stage varies the axes of a sub-space; make them axes of their own with `when`, "
                "each in a stage"
            )
            findings.append(Finding(("axes", axis, "within"), message))
    return findings


def combination_findings(spec: SweepSpec) -> list[Finding]:
    """Ways to stop early, to add seeds and to search that would work against each other."""
    findings = []
    race = spec.replicates.race
    if race and spec.scheduler.kind != "none":
        message = (
            "a race compares arms that were trained to their end, and rungs stop them before; "
            "use replicates.seeds with a scheduler, or a race without"
        )
        findings.append(Finding(("replicates", "race"), message))
    if race and isinstance(spec.design, SearchDesign | StagedDesign):
        message = (
            f"design {spec.design.kind} adds arms while it runs, and a race needs all of them from "
            "its first round; use replicates.seeds"
        )
        findings.append(Finding(("replicates", "race"), message))
    staged = isinstance(spec.design, StagedDesign) and spec.design.adopt == "supported"
    if staged and spec.replicates.seeds == 1:
        message = (
            "adopt: supported asks the seeds whether an arm is better, and one seed cannot say; "
            "give replicates.seeds 2 or more, or adopt: best"
        )
        findings.append(Finding(("design", "adopt"), message))
    several = isinstance(spec.design, SearchDesign) and spec.design.also
    if several and spec.scheduler.kind != "none":
        message = "with several objectives nothing tells which arm is ahead; drop the scheduler"
        findings.append(Finding(("scheduler",), message))
    return findings


def scheduler_findings(
    spec: SweepSpec, baseline: TrainerConfig, axes: Sequence[Axis]
) -> list[Finding]:
    """Rungs that some arm is too short to tell apart."""
    rungs = spec.scheduler.rungs
    if not rungs:
        return []
    lengths = {"the baseline": baseline.total_steps}
    for axis in axes:
        for level in axis.tried_levels:
            lengths[f"{axis.name}={level.name}"] = level.applied(baseline).total_steps
    shortest, steps = min(lengths.items(), key=lambda each: each[1])
    stops = [0, *(round(part * steps) for part in rungs), steps]
    if all(before < after for before, after in itertools.pairwise(stops)):
        return []
    message = (
        f"rungs at {', '.join(f'{part:.3g}' for part in rungs)} of a training need a step each, "
        f"but {shortest} has only {steps} optimizer step{'s' if steps > 1 else ''}; raise "
        "scheduler.first, or train longer"
    )
    return [Finding(("scheduler", "first"), message)]


def place_findings(spec: SweepSpec) -> list[Finding]:
    """Storage and tracking servers of a kind there is none of."""
    findings = []
    storage, uri = spec.storage, spec.tracking.uri
    if storage != "auto" and not storage.startswith(("file:", "s3://")):
        message = f"expected auto, file:FOLDER or s3://BUCKET/PREFIX, came {storage!r}"
        findings.append(Finding(("storage",), message))
    if uri != "auto" and not is_tracking_address(uri):
        message = "expected auto, sqlite:///FILE or a server's http(s) address"
        findings.append(Finding(("tracking", "uri"), f"{message}, came {uri!r}"))
    return findings


def sweep_notes(spec: SweepSpec, baseline: TrainerConfig, axes: Sequence[Axis]) -> tuple[str, ...]:
    """What is allowed but worth knowing before a sweep is paid for."""
    notes = []
    if spec.replicates.seeds == 1:
        notes.append("one seed per arm: differences cannot be told from luck; 3 seeds or more can")
    if not axes:
        notes.append("no axes: only the baseline is trained")
    splits = {benchmark.split for benchmark in baseline.evaluation.benchmarks.values()}
    if "test" not in splits:
        notes.append("no benchmark with split test: the report has no items that chose nothing")
    trained = getattr(spec.design, "with_baseline", spec.design.kind in BASELINE_TRAINED)
    for axis in axes:
        if axis.baseline_level is None:
            so = "it is an arm of its own" if trained else "this design does not train it"
            notes.append(f"{axis.name}: no level is the baseline's own, {so}")
    return tuple(notes)


def _held_out(name: str, benchmarks: dict[str, BenchmarkConfig]) -> str:
    usable = [other for other, each in benchmarks.items() if each.split == "validation"]
    remedy = f"; use {', '.join(usable)}" if usable else "; add a benchmark with split validation"
    return f"'{name}' is a test benchmark, and test items must not select anything{remedy}"
