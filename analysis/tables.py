"""A sweep's tables, from ledger and object store: the way into the analysis for notebooks.

Invariant: nothing here reads MLflow, starts anything, or changes a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from analysis.frames import arms_frame, curves_frame, trials_frame
from analysis.outcomes import SPLIT_OF, Outcomes, Purpose, align, check_purpose
from analysis.statistics.paired import Convention
from infra.errors import MissingObjectError
from infra.object_store import ObjectStore, open_store
from infra.settings import load_settings
from search_spaces.points import BASELINE
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
from sweep.records.rows import ArmRow, Spent, SweepRow, TrialView
from trainer.metrics import pair_outcomes
from trainer.scores import read_scores, score_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A benchmark as the sweep's trials were scored on it."""

    name: str
    split: str
    shuffle_images: bool = False
    parts: Mapping[str, int] = field(default_factory=dict)


class ScoreTables:
    """Score tables of trials, each read once from the store that holds it."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._stores = {store.uri: store}
        self._tables: dict[tuple[str, str], pa.Table | None] = {}

    def get(self, trial: TrialView, benchmark: str) -> pa.Table | None:
        """A trial's scores on a benchmark; none when it was not scored on it.

        Raises:
            InputError: If what lies there is no score table.
        """
        key = (trial.identity, benchmark)
        if key not in self._tables:
            try:
                data = self.store_of(trial).read(score_key(trial.identity, benchmark))
                self._tables[key] = read_scores(data)
            except MissingObjectError:
                self._tables[key] = None
        return self._tables[key]

    def store_of(self, trial: TrialView) -> ObjectStore:
        """The store that holds a trial's files."""
        uri = trial.storage or self.store.uri
        if uri not in self._stores:
            self._stores[uri] = open_store(uri)
        return self._stores[uri]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTables:
    """One sweep, read once; score tables are fetched when they are asked for."""

    sweep: SweepRow
    arm_rows: tuple[ArmRow, ...]
    trial_views: tuple[TrialView, ...]
    spent: Spent
    trials: pd.DataFrame
    """Columns `frames.TRIAL_COLUMNS`, then the last value of every metric."""
    arms: pd.DataFrame
    """Columns `frames.ARM_COLUMNS`, then the arm's level on every axis."""
    curves: pd.DataFrame
    """Columns `frames.CURVE_COLUMNS`."""
    benchmarks: Mapping[str, Benchmark]
    score_tables: ScoreTables

    @property
    def sweep_id(self) -> str:
        """The sweep's id."""
        return self.sweep.sweep_id

    @property
    def baseline(self) -> str | None:
        """Name of the arm the others are compared with: the first where none is the baseline."""
        names = [arm.name for arm in self.arm_rows]
        return BASELINE if BASELINE in names else (names[0] if names else None)

    def count(self, arm: str, ended: str) -> int:
        """How many of an arm's trials are in a column of `arms`, such as `failed`."""
        return int(self.arms.loc[self.arms["arm"] == arm, ended].sum())

    def succeeded(self) -> list[TrialView]:
        """Trials that trained to their end, in the order of the plan; others are not compared."""
        return [trial for trial in self.trial_views if trial.state is TrialState.SUCCEEDED]

    def scores(self, trial: TrialView, benchmark: str, *, purpose: Purpose) -> pa.Table | None:
        """A trial's score table; none when it was not scored on this benchmark.

        Raises:
            InputError: If its items are of a split this purpose may not see.
        """
        table = self.score_tables.get(trial, benchmark)
        if table is not None:
            check_purpose(table, benchmark, purpose)
        return table

    def outcomes(
        self, benchmark: str, *, purpose: Purpose, convention: Convention = "ties are wrong"
    ) -> Outcomes:
        """Who was right on which pair, of all trials that succeeded and were scored.

        Raises:
            InputError: If the benchmark's items are of a split this purpose may not see.
        """
        frames: dict[tuple[str, int], pd.DataFrame] = {}
        for trial in self.succeeded():
            table = self.scores(trial, benchmark, purpose=purpose)
            if table is not None and table.num_rows:
                frames[trial.arm, trial.seed] = pair_outcomes(table)
        return align(frames, benchmark=benchmark, convention=convention)

    def items(self, benchmark: str, *, purpose: Purpose) -> pd.DataFrame:
        """One row per trial and pair: arm, seed, identity and `trainer.metrics.pair_outcomes`.

        Raises:
            InputError: If the benchmark's items are of a split this purpose may not see.
        """
        frames = []
        for trial in self.succeeded():
            table = self.scores(trial, benchmark, purpose=purpose)
            if table is not None and table.num_rows:
                frame = pair_outcomes(table)
                frame.insert(0, "identity", trial.identity)
                frame.insert(0, "seed", trial.seed)
                frame.insert(0, "arm", trial.arm)
                frames.append(frame)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def benchmarks_for(self, purpose: Purpose, *, shuffled: bool = False) -> list[str]:
        """Names of the benchmarks a purpose may use, those with shuffled images apart."""
        return [
            held.name
            for held in self.benchmarks.values()
            if held.split == SPLIT_OF[purpose] and held.shuffle_images is shuffled
        ]


def read_sweep(ledger: Ledger, name_or_id: str, *, store: ObjectStore | None = None) -> SweepTables:
    """A sweep's tables from an open ledger.

    Args:
        ledger: Where the sweep is known.
        name_or_id: A sweep's id, a prefix of it, or the name of the newest one.
        store: Where files of trials that name no store lie; the sweep's own by default.

    Raises:
        MissingError: If there is no such sweep, naming near names.
    """
    sweep = ledger.sweep(name_or_id)
    views = tuple(ledger.trials(sweep.sweep_id))
    arm_rows = tuple(ledger.arms(sweep.sweep_id))
    identities = [view.identity for view in views]
    score_tables = ScoreTables(store or open_store(sweep.storage))
    added_later = [row.benchmark for row in ledger.evaluations(identities)]
    return SweepTables(
        sweep=sweep,
        arm_rows=arm_rows,
        trial_views=views,
        spent=ledger.spent(sweep.sweep_id),
        trials=trials_frame(sweep.sweep_id, views),
        arms=arms_frame(sweep.sweep_id, arm_rows, views),
        curves=curves_frame(ledger.reports(identities), views),
        benchmarks=_benchmarks(views, added_later, score_tables),
        score_tables=score_tables,
    )


def open_sweep(name_or_id: str, *, home: Path | str | None = None) -> SweepTables:
    """A sweep's tables from this machine's ledger, for notebooks.

    Args:
        name_or_id: As `read_sweep`.
        home: Instead of `RMSWEEP_HOME`.

    Raises:
        MissingError: If there is no such sweep, naming near names.
    """
    settings = load_settings() if home is None else load_settings({"RMSWEEP_HOME": str(home)})
    with Ledger.open(settings.ledger_url) as ledger:
        return read_sweep(ledger, name_or_id)


def _benchmarks(
    views: tuple[TrialView, ...], added_later: list[str], score_tables: ScoreTables
) -> dict[str, Benchmark]:
    found: dict[str, Benchmark] = {}
    for view in views:
        defined: Mapping[str, Any] = view.config_json.get("evaluation", {}).get("benchmarks", {})
        for name, definition in defined.items():
            found.setdefault(
                name,
                Benchmark(
                    name=name,
                    split=definition.get("split", "validation"),
                    shuffle_images=definition.get("shuffle_images", False),
                    parts=definition.get("parts", {}),
                ),
            )
    for name in dict.fromkeys(added_later):
        if name in found:
            continue
        for view in views:
            table = score_tables.get(view, name)
            if table is not None and table.num_rows:
                found[name] = Benchmark(name=name, split=table["split"][0].as_py())
                break
    return found
