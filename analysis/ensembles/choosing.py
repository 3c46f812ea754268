"""From the best models to an ensemble: chosen on validation, judged once on test, written down.

Invariant: no test item is seen before members and rule stand. Whether the ensemble pays is said
plainly, also when it does not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from analysis.ensembles.asking import AUTO, DEFAULT, Asked, shared_benchmarks
from analysis.ensembles.candidates import (
    Candidate,
    Candidates,
    foreign_candidates,
    side_by_side,
    trial_candidates,
)
from analysis.ensembles.diversity import diversity
from analysis.ensembles.methods import METHODS, SINGLE, check_method
from analysis.ensembles.nested import (
    Fitted,
    HeldOut,
    against_single,
    cross_validate,
    fit_method,
    pick,
)
from analysis.ensembles.panel import Panel, outcomes
from analysis.ensembles.result import Compared, EnsembleResult, Evidence, Member
from analysis.foreign.tables import ForeignScores
from analysis.statistics.intervals import model_accuracy
from analysis.statistics.paired import compare
from analysis.statistics.verdicts import judge
from analysis.tables import SweepTables, read_sweep
from infra.errors import InputError, StoreError
from infra.object_store import ObjectStore
from sweep.records.ledger import Ledger
from trainer.members.combining import Combiner
from trainer.members.member_scores import used


def ensemble_sweep(
    ledger: Ledger,
    store: ObjectStore,
    sweep_ids: Sequence[str],
    *,
    foreign: ForeignScores | None = None,
    asked: Asked = DEFAULT,
    path: Path | None = None,
) -> EnsembleResult:
    """Choose an ensemble on validation items, judge it on test items, and write it down.

    Args:
        ledger: Where the sweeps are known.
        store: Gets the ensemble as `ensembles/<name>.json`; also the sweeps' files by default.
        sweep_ids: Sweeps whose trials may join.
        foreign: Models scored elsewhere that may join as well.
        asked: How to choose.
        path: A file to write as well.

    Raises:
        InputError: If the method or name is none, fewer than two models can join, or selection and
            report would share items.
        MissingError: If a sweep does not exist.
    """
    sweeps = [read_sweep(ledger, sweep_id, store=store) for sweep_id in sweep_ids]
    result = choose_ensemble(sweeps, foreign=foreign, asked=asked)
    data = result.to_bytes()
    store.write(f"ensembles/{result.name}.json", data)
    if path is not None:
        write_result(path, data)
    payload = {"name": result.name, "key": f"ensembles/{result.name}.json", "store": store.uri}
    for tables in sweeps:
        ledger.enqueue_publication(
            tables.sweep_id, "ensemble", payload | {"headline": result.headline}
        )
    return result


def write_result(path: Path, data: bytes) -> None:
    """Write a file, in words when that is impossible.

    Raises:
        InputError: If the place is none.
        StoreError: If the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except (IsADirectoryError, NotADirectoryError, FileExistsError, PermissionError) as error:
        raise InputError(f"the ensemble cannot be written to {path}: {error.strerror}") from error
    except OSError as error:
        raise StoreError(f"the ensemble cannot be written to {path}: {error}") from error


def choose_ensemble(
    sweeps: Sequence[SweepTables] = (),
    *,
    foreign: ForeignScores | None = None,
    asked: Asked = DEFAULT,
) -> EnsembleResult:
    """As `ensemble_sweep`, from tables and without writing anything.

    Raises:
        InputError: As `ensemble_sweep`.
    """
    check_method(asked.method, others=[AUTO])
    if not sweeps and foreign is None:
        raise InputError("an ensemble needs a sweep or a folder of score tables to choose from")
    validation, test = shared_benchmarks(sweeps, foreign, asked)
    left_out: list[str] = []
    found: list[Iterator[Candidate]] = []
    if foreign is not None:
        found.append(
            foreign_candidates(foreign, validation=validation, test=test, left_out=left_out)
        )
    found.append(trial_candidates(sweeps, validation=validation, test=test, left_out=left_out))
    candidates = side_by_side(itertools.chain(*found), at_most=asked.at_most, left_out=left_out)
    name = asked.name or (sweeps[0].sweep.name if sweeps else "scores")
    return from_candidates(
        candidates,
        method=asked.method,
        name=name,
        validation=validation,
        test=test,
        sweeps=tuple(tables.sweep_id for tables in sweeps),
    )


def from_candidates(
    candidates: Candidates,
    *,
    method: str,
    name: str,
    validation: str,
    test: str | None,
    sweeps: tuple[str, ...] = (),
) -> EnsembleResult:
    """Choose, fit and judge on what has been gathered.

    Raises:
        InputError: If the method does not apply to these models.
    """
    panel = candidates.validation
    asked = METHODS if method == AUTO else {key: METHODS[key] for key in (SINGLE, method)}
    held_out = cross_validate(panel, asked)
    chosen = pick(held_out) if method == AUTO else method
    fitted = fit_method(panel, METHODS[chosen])
    if fitted is None:
        raise InputError(
            f"method {method} does not apply here: it needs at least two kinds of items with "
            "enough groups each; use auto or another method"
        )
    best = int(panel.best_first[0])
    rows = np.flatnonzero(used(fitted.combiner.rule.weights))
    members, combiner = _members(candidates, fitted.combiner, rows)
    accuracies = panel.accuracies
    return EnsembleResult(
        name=_checked_name(name if name.endswith(chosen) else f"{name}-{chosen}"),
        method=chosen,
        setting=fitted.setting,
        members=members,
        combiner=combiner,
        single=_member(candidates.members[best], 1.0, float(accuracies[best])),
        candidates=panel.size,
        validation_benchmark=validation,
        validation_items=panel.pairs,
        validation_accuracy=_accuracy(panel, fitted),
        compared=_compared(panel, held_out),
        diversity=diversity(panel.right(panel.scores[rows])),
        evidence=_evidence(candidates.test, fitted, best, test),
        left_out=candidates.left_out,
        notes=candidates.notes,
        sweeps=sweeps,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _members(
    candidates: Candidates, combiner: Combiner, rows: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[tuple[Member, ...], Combiner]:
    """The members that count, heaviest first, and the combiner over them alone."""
    weights = np.asarray(combiner.rule.weights)
    order = rows[np.argsort(-np.abs(weights[rows]), kind="stable")]
    accuracies = candidates.validation.accuracies
    members = tuple(
        _member(candidates.members[row], float(weights[row]), float(accuracies[row]))
        for row in order
    )
    return members, combiner.only(order.tolist())


def _member(candidate: Candidate, weight: float, accuracy: float) -> Member:
    return Member(
        label=candidate.label,
        identity=candidate.identity,
        arm=candidate.arm,
        seed=candidate.seed,
        weight=weight,
        models=candidate.models,
        validation_accuracy=accuracy,
    )


def _accuracy(panel: Panel, fitted: Fitted) -> float:
    return float(outcomes(panel.combined(fitted.combiner), panel.convention).mean())


def _compared(panel: Panel, held_out: dict[str, HeldOut]) -> tuple[Compared, ...]:
    rows = []
    for name, held in held_out.items():
        comparison = against_single(panel, held_out, name)
        rows.append(
            Compared(
                method=name,
                accuracy=held.accuracy,
                loss=held.loss,
                against_single=None if name == SINGLE else comparison.fixed,
                difference=comparison.difference,
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.accuracy, row.loss)))


def _evidence(
    panel: Panel | None, fitted: Fitted, single: int, benchmark: str | None
) -> Evidence | None:
    if panel is None or benchmark is None or not panel.pairs:
        return None
    right = outcomes(panel.combined(fitted.combiner), panel.convention)
    alone = panel.right(panel.scores[single])
    comparison = compare(right, alone, panel.groups, convention=panel.convention)
    return Evidence(
        benchmark=benchmark,
        ensemble=model_accuracy(right, panel.groups),
        single=model_accuracy(alone, panel.groups),
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
