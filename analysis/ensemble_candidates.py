"""Trials that may join an ensemble: scored on the same items, with scores that mean something.

Invariant: every candidate's margins are in units of its own spread over validation responses, so
that a model with large scores does not outvote the others; who is left out is said, with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.ensemble_weights import Panel, accuracy
from analysis.outcomes import PAIR_KEY
from analysis.statistics.components import Floats
from analysis.tables import SweepTables
from infra.errors import InputError
from sweep.records.rows import TrialView
from trainer.metrics import pair_outcomes, response_scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One trained model and how its scores are spread on validation responses."""

    trial: TrialView
    sweep_id: str
    store: str
    model_digest: str
    mean: float
    std: float
    accuracy: float
    """On the validation pairs all candidates share."""

    @property
    def label(self) -> str:
        """Arm and seed, for people."""
        return f"{self.trial.arm} seed {self.trial.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Candidates, best first, and their margins on validation and test pairs."""

    members: tuple[Candidate, ...]
    panel: Panel
    test: pd.DataFrame
    """One row per test pair: group_id."""
    test_margins: Floats
    """`(M, P)` -- as `panel.margins`, on test pairs; no pairs when there is no test benchmark."""
    left_out: tuple[str, ...]
    """`arm seed n: reason`, one per trial that could not join."""


def gather(
    sweeps: Sequence[SweepTables], *, validation: str, test: str | None, at_most: int
) -> Candidates:
    """The best trials of some sweeps by validation accuracy, with margins on both benchmarks.

    Raises:
        InputError: If fewer than two trials can join, or a benchmark is of the wrong split.
    """
    left_out: list[str] = []
    found: list[tuple[Candidate, pd.DataFrame, pd.DataFrame | None]] = []
    seen: set[str] = set()
    for tables in sweeps:
        for trial in tables.succeeded():
            if trial.identity in seen:
                continue
            seen.add(trial.identity)
            entry = _candidate(tables, trial, validation, test)
            if isinstance(entry, str):
                left_out.append(f"{trial.arm} seed {trial.seed}: {entry}")
            else:
                found.append(entry)
    found.sort(key=lambda entry: -entry[0].accuracy)
    kept = [
        entry
        for entry in found
        if _same_pairs(entry[1], found[0][1]) and _same_pairs(entry[2], found[0][2])
    ]
    odd = [entry[0] for entry in found if not any(entry is other for other in kept)]
    left_out += [f"{member.label}: scored on other items than the best trial" for member in odd]
    if len(kept) < 2:
        raise InputError(
            f"an ensemble needs at least 2 trained models scored on {validation!r}, there "
            f"{'is' if len(kept) == 1 else 'are'} {len(kept)}"
            + (f"; left out: {'; '.join(left_out[:5])}" if left_out else "")
        )
    kept = kept[:at_most]
    best_validation, best_test = kept[0][1], kept[0][2]
    return Candidates(
        members=tuple(entry[0] for entry in kept),
        panel=Panel(
            margins=np.array([_margins(entry[1], entry[0].std) for entry in kept]),
            groups=best_validation["group_id"].to_numpy(dtype=object),
        ),
        test=pd.DataFrame({"group_id": []}) if best_test is None else best_test[["group_id"]],
        test_margins=np.array(
            [
                np.zeros(0) if entry[2] is None else _margins(entry[2], entry[0].std)
                for entry in kept
            ]
        ),
        left_out=tuple(left_out),
    )


def _candidate(
    tables: SweepTables, trial: TrialView, validation: str, test: str | None
) -> tuple[Candidate, pd.DataFrame, pd.DataFrame | None] | str:
    """A candidate with its pairs on both benchmarks, or why it is none."""
    scored = tables.scores(trial, validation, purpose="selection")
    if scored is None or not scored.num_rows:
        return f"no scores on {validation}"
    reported = None if test is None else tables.scores(trial, test, purpose="reporting")
    if test is not None and reported is None:
        return f"no scores on {test}"
    if trial.model_digest is None:
        return "its model is not in the store"
    scores = response_scores(scored)["score"].to_numpy(dtype=np.float64)
    if not np.isfinite(scores).all():
        return "some of its scores are no numbers"
    deviation = float(scores.std())
    if deviation < 1e-12:
        return "it gives every response the same score"
    pairs = _pairs(pair_outcomes(scored))
    candidate = Candidate(
        trial=trial,
        sweep_id=tables.sweep_id,
        store=tables.score_tables.store_of(trial).uri,
        model_digest=trial.model_digest,
        mean=float(scores.mean()),
        std=deviation,
        accuracy=float(accuracy(_margins(pairs, deviation))),
    )
    return candidate, pairs, None if reported is None else _pairs(pair_outcomes(reported))


def _pairs(outcomes: pd.DataFrame) -> pd.DataFrame:
    return outcomes.sort_values(list(PAIR_KEY), kind="stable").reset_index(drop=True)


def _margins(pairs: pd.DataFrame, deviation: float) -> Floats:
    return np.asarray(pairs["margin_score"].to_numpy(dtype=np.float64) / deviation)


def _same_pairs(one: pd.DataFrame | None, other: pd.DataFrame | None) -> bool:
    if one is None or other is None:
        return one is other
    key = list(PAIR_KEY)
    return len(one) == len(other) and bool((one[key] == other[key]).to_numpy().all())
