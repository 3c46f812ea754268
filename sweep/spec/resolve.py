"""From what a sweep file asks for to what will be varied: baseline and axes settled and checked.

Everything that can be known without data, devices or a ledger is checked here, at once, so that a
sweep that resolves fails later only for reasons outside its file.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import BackboneError, SpecError
from infra.findings import Finding, InvalidSettings, validate
from infra.yaml_source import Source, YamlDocument
from search_spaces.axes import Axis
from search_spaces.name_checks import name_findings
from search_spaces.rules import Rule, constraint_rule, exclusion_rule
from sweep.spec.axis_checks import axes_findings, rule_findings
from sweep.spec.axis_requests import reference_of, resolve_axes
from sweep.spec.baseline import baseline_config
from sweep.spec.load import sweep_document, sweep_of
from sweep.spec.spec_checks import (
    budget_findings,
    combination_findings,
    design_findings,
    objective_findings,
    place_findings,
    scheduler_findings,
    sweep_notes,
)
from sweep.spec.sweep_spec import SweepSpec
from trainer.catalog import backbone_folder
from trainer.config import TrainerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSweep:
    """A sweep whose every name means something."""

    spec: SweepSpec
    baseline: TrainerConfig
    """What arms are compared with; of a leave-one-out design that with every member in."""
    axes: tuple[Axis, ...]
    """In the order of the file, sub-spaces after the axis they belong to."""
    rules: tuple[Rule, ...] = ()
    """What every arm must meet."""
    asked: TrainerConfig | None = None
    """The baseline as written; None when it is `baseline`."""
    notes: tuple[str, ...] = ()
    """What is allowed but worth knowing, such as a single seed."""


def resolve(spec: SweepSpec, source: Source | None = None) -> ResolvedSweep:
    """The sweep with its baseline settled and its axes as patches.

    Args:
        spec: The sweep, from a file or built in Python.
        source: Where it was read; gives problems their lines and relative baselines their folder.

    Raises:
        SpecError: With every problem at once.
    """
    where = source or Source(name=f"sweep {spec.name}")
    findings: list[Finding] = []
    asked = _baseline(spec, where.folder, findings)
    baseline = _reference(spec, asked)
    placed = resolve_axes(
        spec.axes, design=spec.design, asked=asked, baseline=baseline, findings=findings
    )
    axes = tuple(each.axis for each in placed)
    rules = _rules(spec, axes, findings)
    if baseline is not None:
        findings += objective_findings(spec, baseline)
        findings += design_findings(spec)
        found = axes_findings(spec, placed, baseline)
        findings += found or rule_findings(rules, axes, baseline)
        findings += scheduler_findings(spec, baseline, axes)
    findings += combination_findings(spec) + budget_findings(spec) + place_findings(spec)
    if findings or baseline is None:
        raise where.error(findings)
    return ResolvedSweep(
        spec=spec,
        baseline=baseline,
        axes=axes,
        rules=rules,
        asked=None if asked is baseline else asked,
        notes=sweep_notes(spec, baseline, axes),
    )


def resolve_file(name: str | Path, overrides: Sequence[str] = ()) -> ResolvedSweep:
    """The resolved sweep of a file or a shipped recipe.

    Args:
        name: Path of a sweep file, or name of a shipped recipe.
        overrides: `path=value` put in before the file is checked.

    Raises:
        SpecError: With every problem, by line.
        MissingError: If there is no such file or recipe.
    """
    document = sweep_document(name, overrides)
    try:
        file = sweep_of(document)
    except SpecError as error:
        raise _with_the_rest(error, document) from error
    return resolve(file.spec, file.source)


def _with_the_rest(error: SpecError, document: YamlDocument) -> SpecError:
    """The error with what is wrong in the parts of the file that can be read."""
    if not isinstance(error.__cause__, InvalidSettings):
        return error
    data = copy.deepcopy(document.data)
    for finding in error.__cause__.findings:
        section, *inside = finding.location or ("",)
        axes = data.get("axes")
        if section == "axes" and inside and isinstance(axes, dict):
            axes.pop(inside[0], None)
        else:
            data.pop(str(section), None)
    data.setdefault("name", "sweep")
    try:
        resolve(validate(SweepSpec, data), document.source)
    except InvalidSettings:
        return error
    except SpecError as rest:
        problems = {str(problem): problem for problem in (*error.problems, *rest.problems)}
        ordered = sorted(
            problems.values(), key=lambda problem: (problem.file or "", problem.line or 0)
        )
        return SpecError(error.source, ordered)
    return error


def _baseline(
    spec: SweepSpec, folder: Path | None, findings: list[Finding]
) -> TrainerConfig | None:
    """The settled baseline, or None when it has problems."""
    try:
        baseline = baseline_config(spec, folder)
    except InvalidSettings as error:
        findings += error.findings
        return None
    if "seed" in spec.set:
        message = "a sweep's seeds are its replicates; set replicates.first_seed instead"
        findings.append(Finding(("set", "seed"), message))
    findings += _names_in(baseline, spec)
    return baseline


def _names_in(config: TrainerConfig, spec: SweepSpec) -> list[Finding]:
    """Sources and backbones of the baseline that nobody knows."""
    findings = name_findings(config)
    try:
        backbone_folder(config.backbone)
    except BackboneError as error:
        findings.append(Finding(("backbone",), str(error)))
    return [Finding(_origin(each, spec), each.message) for each in findings]


def _origin(finding: Finding, spec: SweepSpec) -> tuple[str | int, ...]:
    """Where in the sweep file a setting of the baseline was written."""
    path = ".".join(str(part) for part in finding.location)
    for section, written in (("set", spec.set), ("baseline", spec.baseline)):
        if isinstance(written, dict):
            for key in written:
                if path == key or path.startswith(f"{key}.") or key.startswith(f"{path}."):
                    return (section, key)
    return ("baseline",)


def _reference(spec: SweepSpec, asked: TrainerConfig | None) -> TrainerConfig | None:
    if asked is None:
        return None
    try:
        return reference_of(spec.design, spec.axes, asked)
    except InvalidSettings:
        return asked  # the axis itself is refused, with its place


def _rules(spec: SweepSpec, axes: Sequence[Axis], findings: list[Finding]) -> tuple[Rule, ...]:
    """Constraints and exclusions; what they ask about may be an axis that could not be read."""
    if findings:
        return ()
    rules = []
    for index, text in enumerate(spec.constraints):
        try:
            rules.append(constraint_rule(text, ("constraints", index), axes))
        except InvalidSettings as error:
            findings += [each.under("constraints", index) for each in error.findings]
    for index, combination in enumerate(spec.exclude):
        try:
            rules.append(exclusion_rule(combination, ("exclude", index), axes))
        except InvalidSettings as error:
            findings += [each.under("exclude", index) for each in error.findings]
    return tuple(rules)
