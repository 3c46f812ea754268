"""From the best trials of some sweeps to an ensemble: chosen on validation, judged once on test.

Invariant: no test item is seen before members and weights stand. Whether the ensemble pays is
said plainly, also when it does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from analysis.ensemble_candidates import Candidate, Candidates, gather
from analysis.ensemble_result import EnsembleResult, Evidence, Member
from analysis.ensemble_weights import (
    Method,
    accuracy,
    average_weights,
    best_single,
    combined,
    cross_validated,
    greedy_weights,
)
from analysis.outcomes import refuse_shared_groups
from analysis.statistics.components import Floats
from analysis.statistics.intervals import model_accuracy
from analysis.statistics.paired import compare
from analysis.statistics.verdicts import judge
from analysis.tables import SweepTables, read_sweep
from infra.errors import InputError
from infra.object_store import ObjectStore
from sweep.records.ledger import Ledger
from sweep.spec.sweep_spec import ObjectiveSpec

AVERAGED = 5
"""Members of a plain average."""
CANDIDATES = 25
"""Trials that greedy selection chooses from: Caruana et al. pick from the best of the library."""


def ensemble_sweep(  # noqa: PLR0913 -- all optional ones by name
    ledger: Ledger,
    store: ObjectStore,
    sweep_ids: Sequence[str],
    *,
    method: str = "auto",
    name: str | None = None,
    path: Path | None = None,
    test: str | None = None,
    bags: int = 0,
) -> EnsembleResult:
    """Choose an ensemble on validation items, judge it on test items, and write it down.

    Args:
        ledger: Where the sweeps are known.
        store: Gets the ensemble as `ensembles/<name>.json`; also the sweeps' files by default.
        sweep_ids: Sweeps whose trials may join.
        method: `average`, `greedy`, or `auto`: what does better in cross-validation.
        name: Of the ensemble; the first sweep's name and the method when absent.
        path: A file to write as well.
        test: Test benchmark to judge on; the first one all sweeps have when absent.
        bags: As `ensemble_weights.greedy_weights`.

    Raises:
        InputError: If the method or name is none, fewer than two models can join, or selection and
            report would share items.
        MissingError: If a sweep does not exist.
    """
    sweeps = [read_sweep(ledger, sweep_id, store=store) for sweep_id in sweep_ids]
    result = choose_ensemble(sweeps, method=method, name=name, test=test, bags=bags)
    data = json.dumps(result.to_json(), indent=2, allow_nan=False).encode() + b"\n"
    store.write(f"ensembles/{result.name}.json", data)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    payload = {"name": result.name, "key": f"ensembles/{result.name}.json", "store": store.uri}
    for tables in sweeps:
        ledger.enqueue_publication(
            tables.sweep_id, "ensemble", payload | {"headline": result.headline}
        )
    return result


def choose_ensemble(
    sweeps: Sequence[SweepTables],
    *,
    method: str = "auto",
    name: str | None = None,
    test: str | None = None,
    bags: int = 0,
) -> EnsembleResult:
    """As `ensemble_sweep`, from tables and without writing anything.

    Raises:
        InputError: As `ensemble_sweep`.
    """
    if method not in ("auto", "average", "greedy"):
        raise InputError(f"method must be auto, average or greedy, got {method!r}")
    if not sweeps:
        raise InputError("an ensemble needs at least one sweep to choose from, got none")
    validation = _validation_benchmark(sweeps)
    test = test or _shared_test_benchmark(sweeps)
    candidates = gather(sweeps, validation=validation, test=test, at_most=CANDIDATES)
    refuse_shared_groups(candidates.panel.groups, candidates.test["group_id"])
    compared = cross_validated(candidates.panel, AVERAGED, bags=bags)
    chosen: Method = (
        cast(Method, method)
        if method != "auto"
        else ("greedy" if compared["greedy"] > compared["average"] else "average")
    )
    weights = (
        average_weights(candidates.panel, AVERAGED)
        if chosen == "average"
        else greedy_weights(candidates.panel, bags=bags)
    )
    single = best_single(candidates.panel)
    margins = candidates.panel.margins
    members = [
        _member(candidate, float(weight))
        for candidate, weight in zip(candidates.members, weights, strict=True)
        if weight > 0
    ]
    return EnsembleResult(
        name=_checked_name(name or f"{sweeps[0].sweep.name}-{chosen}"),
        method=chosen,
        members=tuple(sorted(members, key=lambda member: -member.weight)),
        single=_member(candidates.members[single], 1.0),
        validation_benchmark=validation,
        validation_items=margins.shape[1],
        validation_accuracy=float(accuracy(combined(margins, weights))),
        cross_validated=compared,
        evidence=_evidence(candidates, weights, single, test),
        left_out=candidates.left_out,
        sweeps=tuple(tables.sweep_id for tables in sweeps),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _validation_benchmark(sweeps: Sequence[SweepTables]) -> str:
    """The benchmark the first sweep selects by, which every sweep must have."""
    objective = ObjectiveSpec.model_validate(sweeps[0].sweep.spec_json.get("objective", {}))
    lacking = [each.sweep_id for each in sweeps if objective.benchmark not in each.benchmarks]
    if lacking:
        raise InputError(
            f"ensembles are chosen on {objective.benchmark!r}, which {', '.join(lacking)} lacks; "
            f"run `rmsweep evaluate {lacking[0]} --benchmark {objective.benchmark}`"
        )
    return objective.benchmark


def _shared_test_benchmark(sweeps: Sequence[SweepTables]) -> str | None:
    shared = [
        name
        for name in sweeps[0].benchmarks_for("reporting")
        if all(name in each.benchmarks_for("reporting") for each in sweeps)
    ]
    return shared[0] if shared else None


def _member(candidate: Candidate, weight: float) -> Member:
    return Member(
        identity=candidate.trial.identity,
        arm=candidate.trial.arm,
        seed=candidate.trial.seed,
        weight=weight,
        store=candidate.store,
        model_digest=candidate.model_digest,
        mean=candidate.mean,
        std=candidate.std,
        validation_accuracy=candidate.accuracy,
    )


def _evidence(
    candidates: Candidates, weights: Floats, single: int, benchmark: str | None
) -> Evidence | None:
    margins = candidates.test_margins
    if benchmark is None or not margins.shape[1]:
        return None
    groups = candidates.test["group_id"].to_numpy(dtype=object)
    right = (combined(margins, weights) > 0).astype(float)
    alone = (margins[single] > 0).astype(float)
    comparison = compare(right, alone, groups)
    return Evidence(
        benchmark=benchmark,
        ensemble=model_accuracy(right, groups),
        single=model_accuracy(alone, groups),
        comparison=comparison,
        verdict=judge(
            comparison,
            general_p=None,
            fixed_p=None if comparison.fixed is None else comparison.fixed.p_value,
        ),
    )


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,126}", name):
        raise InputError(
            f"an ensemble's name has lower-case letters, digits, '.', '_' and '-', got {name!r}"
        )
    return name
