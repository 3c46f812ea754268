"""Models that may join an ensemble: trials of sweeps, and models scored elsewhere.

Invariant: who cannot join is said, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa

from analysis.ensembles.panel import RESPONSE_KEY
from analysis.foreign.tables import ForeignScores
from analysis.tables import SweepTables
from infra.settings import masked
from trainer.config import TrainerConfig
from trainer.evaluation.metrics import pair_outcomes, response_scores
from trainer.members.ensemble_file import ModelReference
from trainer.record import model_page_key

_COLUMNS = [*RESPONSE_KEY, "rank", "score", "group_id", "category", "source", "modality"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One model and its scores."""

    label: str
    """Arm and seed."""
    identity: str
    arm: str
    seed: int | None
    """Absent when weights of several are averaged."""
    models: tuple[ModelReference, ...]
    """Where it lies; several when weights are averaged, none when only scores are known."""
    config: TrainerConfig | None = field(default=None, repr=False)
    """What it was trained with; absent when that is not known, or several are averaged."""
    validation: pd.DataFrame = field(repr=False)
    """One row per response."""
    test: pd.DataFrame | None = field(repr=False)


def trial_candidates(
    sweeps: Sequence[SweepTables], *, validation: str, test: str | None, left_out: list[str]
) -> Iterator[Candidate]:
    """Trials that succeeded, the best recorded validation accuracy first; read one at a time.

    Args:
        sweeps: Where they may come from; a trial that is in several comes once.
        validation: Benchmark to choose on.
        test: Benchmark to be judged on later.
        left_out: Gets a line for every trial that cannot join.

    Raises:
        InputError: If a benchmark is of the wrong split.
    """
    metric = f"eval/{validation}/accuracy"
    trials = {trial.identity: (tables, trial) for tables in sweeps for trial in tables.succeeded()}
    recorded = sorted(
        trials.values(), key=lambda entry: -entry[1].metrics.get(metric, float("-inf"))
    )
    for tables, trial in recorded:
        label = f"{trial.arm} seed {trial.seed}"
        if trial.model_digest is None:
            left_out.append(f"{label}: it left no model")
            continue
        store = tables.score_tables.store_of(trial)
        if not store.exists(model_page_key(trial.identity)):
            left_out.append(f"{label}: its model is no longer in {masked(store.uri)}")
            continue
        scored = tables.scores(trial, validation, purpose="selection")
        reported = None if test is None else tables.scores(trial, test, purpose="reporting")
        if scored is None or (test is not None and reported is None):
            lacking = validation if scored is None else test
            left_out.append(f"{label}: no scores on {lacking}")
            continue
        yield Candidate(
            label=label,
            identity=trial.identity,
            arm=trial.arm,
            seed=trial.seed,
            models=(
                ModelReference(
                    identity=trial.identity,
                    store=store.uri,
                    model_digest=trial.model_digest,
                ),
            ),
            config=TrainerConfig.model_validate(trial.config_json),
            validation=response_frame(scored),
            test=None if reported is None else response_frame(reported),
        )


def foreign_candidates(
    foreign: ForeignScores, *, validation: str, test: str | None, left_out: list[str]
) -> Iterator[Candidate]:
    """Models scored elsewhere, the best on validation first.

    Args:
        foreign: Their score tables.
        validation: Benchmark to choose on.
        test: Benchmark to be judged on later.
        left_out: Gets a line for every model that cannot join.

    Raises:
        InputError: If a benchmark is of the wrong split.
    """
    found = []
    accuracies: dict[str, float] = {}
    for model in foreign.models:
        scored = foreign.scores(model, validation, purpose="selection")
        reported = None if test is None else foreign.scores(model, test, purpose="reporting")
        if scored is None or (test is not None and reported is None):
            lacking = validation if scored is None else test
            left_out.append(f"{model.label}: no scores on {lacking}")
            continue
        found.append(
            Candidate(
                label=model.label,
                identity=model.identity,
                arm=model.arm,
                seed=model.seed,
                models=(),
                validation=response_frame(scored),
                test=None if reported is None else response_frame(reported),
            )
        )
        accuracies[model.identity] = float(pair_outcomes(scored)["correct"].mean())
    yield from sorted(found, key=lambda each: -accuracies[each.identity])


def response_frame(table: pa.Table) -> pd.DataFrame:
    """A score table with one row per response, presentations of a judge averaged."""
    return response_scores(table.select([*_COLUMNS, "benchmark", "parsed"]))[_COLUMNS]
