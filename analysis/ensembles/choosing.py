"""From the best models to an ensemble: chosen on validation, judged once on test, written down.

Invariant: no test item is seen before members and rule stand. Whether the ensemble pays is said
plainly, also when it does not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from analysis.ensembles.asking import AUTO, DEFAULT, Asked, shared_benchmarks
from analysis.ensembles.candidates import Candidate, foreign_candidates, trial_candidates
from analysis.ensembles.diversity import diversity
from analysis.ensembles.joining import Candidates, side_by_side
from analysis.ensembles.merging import MERGED, Merging, ScoreMerge, merged_candidates
from analysis.ensembles.methods import METHODS, SINGLE, check_method
from analysis.ensembles.nested import (
    Fitted,
    HeldOut,
    against_single,
    cross_validate,
    fit_method,
    inner_folds,
    pick,
)
from analysis.ensembles.panel import Panel, outcomes
from analysis.ensembles.result import Compared, EnsembleResult, Evidence, Member, write_result
from analysis.foreign.tables import ForeignScores
from analysis.short_names import with_short_names
from analysis.statistics.intervals import model_accuracy
from analysis.statistics.paired import compare
from analysis.statistics.verdicts import judge
from analysis.tables import SweepTables, read_sweep
from infra.errors import InputError
from infra.object_store import ObjectStore
from sweep.records.ledger import Ledger
from trainer.members.combining import Combiner
from trainer.members.member_scores import used


def ensemble_sweep(  # noqa: PLR0913 -- all by name
    ledger: Ledger,
    store: ObjectStore,
    sweep_ids: Sequence[str],
    *,
    foreign: ForeignScores | None = None,
    asked: Asked = DEFAULT,
    score_merge: ScoreMerge | None = None,
    path: Path | None = None,
) -> EnsembleResult:
    """Choose an ensemble on validation items, judge it on test items, and write it down.

    Args:
        ledger: Where the sweeps are known.
        store: Gets the ensemble as `ensembles/<name>.json`; also the sweeps' files by default.
        sweep_ids: Sweeps whose trials may join.
        foreign: Models scored elsewhere that may join as well.
        asked: How to choose.
        score_merge: Scores averages of weights, so that they can be chosen; those scored before
            take part without.
        path: A file to write as well.

    Raises:
        InputError: If the method or name is none, fewer than two models can join, or selection and
            report would share items.
        MissingError: If a sweep does not exist.
    """
    sweeps = [with_short_names(read_sweep(ledger, sweep_id, store=store)) for sweep_id in sweep_ids]
    merging = Merging(store=store, score=score_merge)
    result = choose_ensemble(sweeps, foreign=foreign, asked=asked, merging=merging)
    data = result.to_bytes()
    store.write(f"ensembles/{result.name}.json", data)
    if path is not None:
        write_result(path, data)
    payload = {"name": result.name, "key": f"ensembles/{result.name}.json", "store": store.uri}
    for tables in sweeps:
        ledger.enqueue_publication(
            tables.sweep_id,
            "ensemble",
            payload | {"headline": f"{result.headline} {result.basis}".strip()},
        )
    return result


def choose_ensemble(
    sweeps: Sequence[SweepTables] = (),
    *,
    foreign: ForeignScores | None = None,
    asked: Asked = DEFAULT,
    merging: Merging | None = None,
) -> EnsembleResult:
    """As `ensemble_sweep`, from tables and without writing the ensemble.

    Args:
        sweeps: Whose trials may join.
        foreign: Models scored elsewhere that may join as well.
        asked: How to choose.
        merging: Where scores of averaged weights come from; the first sweep's store when absent.

    Raises:
        InputError: As `ensemble_sweep`.
    """
    check_method(asked.method, others=[AUTO, MERGED])
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
    candidates = side_by_side(itertools.chain(*found), at_most=asked.pool, left_out=left_out)
    name = asked.name or (sweeps[0].sweep.name if sweeps else "scores")
    merged, said = None, list[str]()
    if sweeps:
        merging = merging or Merging(store=sweeps[0].score_tables.store)
        merged, said = merged_candidates(candidates, merging, validation=validation, test=test)
    return from_candidates(
        replace(candidates, notes=(*candidates.notes, *said)),
        merged=merged,
        method=asked.method,
        at_most=asked.at_most,
        name=name,
        validation=validation,
        test=test,
        sweeps=tuple(tables.sweep_id for tables in sweeps),
    )


def from_candidates(  # noqa: PLR0913 -- all by name
    candidates: Candidates,
    *,
    method: str,
    at_most: int,
    name: str,
    validation: str,
    test: str | None,
    sweeps: tuple[str, ...] = (),
    merged: Candidates | None = None,
) -> EnsembleResult:
    """Choose, fit and judge on what has been gathered.

    Args:
        candidates: Models to combine.
        method: By name, or `auto`.
        at_most: Models a method is shown.
        name: Of the ensemble.
        validation: Name of the benchmark that is chosen on.
        test: Name of the benchmark that is judged on.
        sweeps: Where the models come from.
        merged: Averages of the models' weights, on the same pairs.

    Raises:
        InputError: If the method does not apply to these models.
    """
    panel = candidates.validation
    held_out = _held_out(panel, merged, method, at_most)
    chosen = pick(held_out) if method == AUTO else method
    if chosen == MERGED and merged is not None:
        source, fitted = merged, fit_method(merged.validation, METHODS[SINGLE])
    else:
        source = candidates.first(at_most)
        inner = inner_folds(panel, at_most=at_most)
        fitted = fit_method(source.validation, METHODS[chosen], inner=inner)
    if fitted is None:
        raise InputError(
            f"method {method} does not apply here: it needs at least two kinds of items with "
            "enough groups each; use auto or another method"
        )
    best = 0  # they come best first
    rows = np.flatnonzero(used(fitted.combiner.rule.weights))
    members, combiner = _members(source, fitted.combiner, rows)
    return EnsembleResult(
        name=_checked_name(name if name.endswith(chosen) else f"{name}-{chosen}"),
        method=chosen,
        setting=fitted.setting,
        members=members,
        combiner=combiner,
        single=_member(candidates.members[best], 1.0, float(panel.accuracies[best])),
        candidates=panel.size,
        validation_benchmark=validation,
        validation_items=panel.pairs,
        validation_accuracy=_accuracy(source.validation, fitted),
        compared=_compared(panel, held_out),
        diversity=diversity(source.validation.right(source.validation.scores[rows])),
        evidence=_evidence(source.test, candidates.test, fitted, best, test),
        left_out=candidates.left_out,
        notes=candidates.notes,
        sweeps=sweeps,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _held_out(
    panel: Panel, merged: Candidates | None, method: str, at_most: int
) -> dict[str, HeldOut]:
    """Methods on pairs they have not seen, simplest first; folds follow from the groups alone."""
    if method == MERGED and merged is None:
        raise InputError(
            "no average of weights could be scored: that takes two trained models or more of one "
            "architecture, whose weights are in the store, and `rmsweep ensemble --merge`"
        )
    asked = METHODS if method == AUTO else {n: METHODS[n] for n in METHODS if n in (SINGLE, method)}
    found = cross_validate(panel, asked, at_most=at_most)
    if method not in (AUTO, MERGED) or merged is None:
        return found
    best_merge = cross_validate(merged.validation, {SINGLE: METHODS[SINGLE]})[SINGLE]
    return {SINGLE: found.pop(SINGLE), MERGED: best_merge, **found}


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
    chosen: Panel | None, panel: Panel | None, fitted: Fitted, single: int, benchmark: str | None
) -> Evidence | None:
    """What was chosen, on its own panel, against the best single member of the models' panel."""
    if chosen is None or panel is None or benchmark is None or not panel.pairs:
        return None
    right = outcomes(chosen.combined(fitted.combiner), panel.convention)
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
