"""A sweep's tables, from ledger and object store: the way into the analysis for notebooks.

Invariant: nothing here reads MLflow, starts anything, or changes a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from analysis.alignment import Row
from analysis.frames import (
    ARM_COLUMNS,
    ITEM_COLUMNS,
    arms_frame,
    curves_frame,
    items_frames,
    trials_frame,
)
from analysis.layouts import Block, Layout
from analysis.outcomes import SPLIT_OF, Purpose, check_purpose
from analysis.score_tables import ScoreTables
from analysis.scored_models import ScoredModels
from infra.object_store import ObjectStore, open_store
from infra.settings import load_settings
from search_spaces.points import BASELINE
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
from sweep.records.rows import ArmRow, Spent, SweepRow, TrialView
from sweep.spec.objective_spec import ObjectiveSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A benchmark as the sweep's trials were scored on it."""

    name: str
    split: str
    shuffle_images: bool = False
    parts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SweepTables(ScoredModels):
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
        return self._counts.get((arm, ended), 0)

    @cached_property
    def _counts(self) -> Mapping[tuple[str, str], int]:
        counted = [name for name in ARM_COLUMNS if name in self.arms.select_dtypes("number")]
        by_arm = self.arms.groupby("arm", sort=False)[counted].sum()
        return {
            (str(arm), name): int(number)
            for name in counted
            for arm, number in by_arm[name].items()
        }

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

    def items(self, benchmark: str, *, purpose: Purpose) -> pd.DataFrame:
        """One row per trial and pair: `ITEM_COLUMNS`; see `item_batches` where that is too much.

        Raises:
            InputError: If the benchmark's items are of a split this purpose may not see.
        """
        frames = list(self.item_batches(benchmark, purpose=purpose))
        return (
            pd.concat(frames, ignore_index=True)
            if frames
            else pd.DataFrame(columns=list(ITEM_COLUMNS))
        )

    def item_batches(self, benchmark: str, *, purpose: Purpose) -> Iterator[pd.DataFrame]:
        """`items`, some trials at a time, so that thousands of trials need little memory.

        Raises:
            InputError: If the benchmark's items are of a split this purpose may not see.
        """
        blocks, _ = self.checked_blocks(benchmark, purpose)
        return items_frames(blocks, self.rows())

    def rows(self, arms: Sequence[str] | None = None) -> list[Row]:
        """Trials that succeeded, those of some arms where they are named."""
        return [
            Row(trial.identity, trial.arm, trial.seed)
            for trial in self.succeeded()
            if arms is None or trial.arm in arms
        ]

    def blocks(
        self, benchmark: str, arms: Sequence[str] | None = None
    ) -> tuple[Iterator[Block], list[Layout]]:
        """Scores of the trials that succeeded; what is not compacted yet is compacted first."""
        if not benchmark:  # the sweep has none for some purpose
            return iter(()), []
        trials = self.succeeded()
        compacted = self.score_tables.compacted(trials, benchmark)
        if arms is not None:
            wanted = set(arms)
            trials = [trial for trial in trials if trial.arm in wanted]
        members = self.score_tables.members(trials, benchmark)
        return compacted.blocks(members), compacted.layouts_of(members)

    @property
    def selected_on(self) -> str:
        """The benchmark that arms are chosen by; empty where the sweep has none to select on.

        It is the objective's where that was scored; a sweep whose file names none has the first.
        """
        held = self.benchmarks_for("selection")
        asked = ObjectiveSpec.model_validate(self.sweep.spec_json.get("objective", {})).benchmark
        return asked if asked in held else next(iter(held), "")

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
    evaluations = ledger.evaluations(identities)
    score_tables = ScoreTables(store or open_store(sweep.storage), sweep.sweep_id, evaluations)
    added_later = list(dict.fromkeys(row.benchmark for row in evaluations))
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
    for name in added_later:
        if name in found:
            continue
        for view in views:
            table = score_tables.get(view, name)
            if table is not None and table.num_rows:
                found[name] = Benchmark(name=name, split=table["split"][0].as_py())
                break
    return found
