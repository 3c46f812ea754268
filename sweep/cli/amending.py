"""Specs from the ledger, changed and checked, for the verbs that change a registered sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.errors import InputError
from infra.findings import InvalidSettings, hint, validate
from infra.yaml_source import Source, YamlDocument, read_value
from search_spaces.recipes import recipe_names
from sweep.cli.planning import plan_file
from sweep.cli.workplace import Workplace
from sweep.records.rows import SweepRow
from sweep.spec.files import SUFFIXES
from sweep.spec.load import sweep_of
from sweep.spec.overrides import apply_overrides
from sweep.spec.spec_checks import budget_findings
from sweep.spec.sweep_spec import BudgetSpec, StageBudgetSpec, SweepSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two sweeps that are compared."""

    name: str
    spec_json: Mapping[str, Any]
    trials: Mapping[str, tuple[str, int]]
    """Arm and seed by identity."""


def side(workplace: Workplace, name: str) -> Side:
    """A sweep in the ledger, or a sweep file.

    Raises:
        MissingError: If there is neither.
    """
    if Path(name).suffix in SUFFIXES or name in recipe_names():
        plan, _ = plan_file(workplace, name)
        return Side(
            name=name,
            spec_json=plan.spec.model_dump(mode="json"),
            trials={trial.identity: (trial.arm, trial.seed) for trial in plan.trials},
        )
    row = workplace.ledger.sweep(name)
    views = workplace.ledger.trials(row.sweep_id)
    return Side(
        name=row.sweep_id,
        spec_json=row.spec_json,
        trials={view.identity: (view.arm, view.seed) for view in views},
    )


def extended_spec(
    row: SweepRow, *, seeds: int | None, levels: Sequence[str], overrides: Sequence[str]
) -> SweepSpec:
    """What a sweep asks for with more seeds, more levels, or other changes.

    Raises:
        InputError: If nothing is changed, seeds are taken away, or an axis lists no levels.
        SpecError: If what comes out is no sweep.
    """
    data = _written(row)
    if seeds is not None:
        before = int(data["replicates"]["seeds"])
        if seeds < before:
            raise InputError(f"{row.sweep_id} has {before} seeds per arm; {seeds} would take away")
        data["replicates"]["seeds"] = seeds
    for addition in levels:
        _add_levels(row, data, addition)
    if seeds is None and not levels and not overrides:
        raise InputError("nothing to add: give --seeds, --levels AXIS=LEVEL or --set PATH=VALUE")
    return _changed(row, data, overrides)


def forked_spec(row: SweepRow, name: str, overrides: Sequence[str]) -> SweepSpec:
    """What a sweep asks for, under another name and with these changes.

    Raises:
        SpecError: If what comes out is no sweep.
    """
    return _changed(row, _written(row) | {"name": name}, overrides)


def written_spec(spec: SweepSpec, origin: str) -> str:
    """The spec as a sweep file, without what is as it would be anyway."""
    data = spec.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    return f"# Forked from {origin}.\n{text}"


def changed_budget(row: SweepRow, limits: Sequence[str]) -> dict[str, Any]:
    """A sweep's budget with these limits.

    Raises:
        InputError: If a limit is unknown, is no number it may be, or contradicts the sweep.
    """
    budget = BudgetSpec.model_validate(row.spec_json.get("budget") or {}).model_dump(mode="json")
    for limit in limits:
        key, equals, text = limit.partition("=")
        outer, _, name = key.rpartition(".")
        holder = _holder(row, budget, outer)
        if not equals:
            raise InputError(f"expected LIMIT=VALUE, such as hours=3, came '{limit}'")
        if holder is None or name not in holder or isinstance(holder[name], dict):
            names = _limit_names(row, budget)
            raise InputError(
                f"a budget has no '{key}'{hint(key, names)}; it has {', '.join(names)}"
            )
        holder[name] = None if text == "none" else read_value(text, limit)
    try:
        made = validate(BudgetSpec, budget)
    except InvalidSettings as error:
        raise InvalidSettings(error.findings, "this budget") from error
    # By the rules of a file: the sweep is planned with it when it is resumed.
    findings = budget_findings(
        SweepSpec.model_validate(row.spec_json).model_copy(update={"budget": made})
    )
    if findings:
        raise InvalidSettings(findings, "this budget")
    return made.model_dump(mode="json")


def limit_texts(budget: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Every limit that is set, such as `hours 3` and `per_arm.gpu_hours 2`."""
    texts = []
    for key, value in budget.items():
        if isinstance(value, Mapping):
            texts += limit_texts(value, f"{prefix}{key}.")
        elif value not in (None, 0) and key not in ("warn_at", "drain_at"):
            texts.append(f"{prefix}{key} {value:g}")
    return texts


def _holder(row: SweepRow, budget: dict[str, Any], outer: str) -> dict[str, Any] | None:
    """The part of a budget a limit stands in; that of a stage is made where there is none yet."""
    kind, _, stage = outer.partition(".")
    if kind == "per_stage" and stage in _stages(row):
        unlimited = StageBudgetSpec().model_dump(mode="json")
        made: dict[str, Any] = budget["per_stage"].setdefault(stage, unlimited)
        return made
    if not outer:
        return budget
    return budget["per_arm"] if outer == "per_arm" else None


def _stages(row: SweepRow) -> list[str]:
    return [str(stage["name"]) for stage in row.spec_json.get("design", {}).get("stages", ())]


def _limit_names(row: SweepRow, budget: Mapping[str, Any]) -> list[str]:
    inner = [f"per_arm.{name}" for name in budget["per_arm"]]
    of_stage = StageBudgetSpec.model_fields
    staged = [f"per_stage.{stage}.{name}" for stage in _stages(row) for name in of_stage]
    return [*(name for name in budget if not name.startswith("per_")), *inner, *staged]


def _written(row: SweepRow) -> dict[str, Any]:
    return SweepSpec.model_validate(row.spec_json).model_dump(mode="json")


def _add_levels(row: SweepRow, data: dict[str, Any], addition: str) -> None:
    name, equals, text = addition.partition("=")
    if not equals or name not in data["axes"]:
        known = hint(name, data["axes"])
        raise InputError(f"expected AXIS=LEVEL[,LEVEL], came '{addition}'{known}")
    entry = data["axes"][name]
    listed = entry if isinstance(entry, list) else entry["levels"]
    if not isinstance(listed, list):
        raise InputError(
            f"the axis {name} of {row.sweep_id} does not list values; add with "
            f"--set axes.{name}.levels.NAME={{...}}"
        )
    listed += [read_value(level, addition) for level in text.split(",")]


def _changed(row: SweepRow, data: dict[str, Any], overrides: Sequence[str]) -> SweepSpec:
    document = YamlDocument(data=data, source=Source(name=f"sweep {row.sweep_id}, changed"))
    if overrides:
        document = apply_overrides(document, overrides)
    return sweep_of(document).spec
