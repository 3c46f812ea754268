"""What could make a good number worthless: confidence, length, position, leaks, twins, formulas.

Every figure states what it rests on; a warning says what was seen and what to look at. Invariant:
temperatures are fitted on validation items and judged on test items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from analysis.alignment import Margins
from analysis.leaks import compared, incomplete, leaks
from analysis.outcomes import Outcomes
from analysis.statistics.calibration import Calibration, calibrate, fit_temperature
from analysis.statistics.components import Floats
from analysis.statistics.paired import Comparison, compare_differences
from analysis.statistics.resampling import (
    Resampled,
    group_bootstrap,
    group_permutation,
    seed_permutation,
)
from analysis.tables import SweepTables

RESAMPLED_ARMS = 3
"""Arms whose difference from the baseline is tested by resampling as well."""
TWIN_PAIRS = 20
"""Pairs from which trials are compared by what they are right on; fewer agree by chance."""
CALIBRATED_ARMS = 24
"""Arms that are calibrated at most; a report shows no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCalibration:
    """An arm's confidence, of all its models together."""

    arm: str
    raw: Calibration
    """At temperature 1, as scores come."""
    scaled: Calibration | None
    """At each model's own temperature, fitted on validation; absent without validation scores."""
    temperatures: tuple[float, ...]
    """By seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthBias:
    """How much more often an arm prefers the longer response than the labels do."""

    arm: str
    excess: Comparison
    """Share of pairs in which the longer scores higher, minus the share in which it is better."""
    longer_better: float
    """Share of these pairs in which the labels prefer the longer response: what always choosing
    the longer would score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionBias:
    """How much more often than half a judge prefers the response it is shown first."""

    arm: str
    per_seed: tuple[float, ...]
    """From -0.5 (always the second) to 0.5."""

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(np.mean(self.per_seed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """An arm against the baseline by tests that assume no distribution."""

    arm: str
    comparison: Comparison
    bootstrap: Resampled
    """Interval for these models, whole groups drawn."""
    groups: Resampled
    """Test for these models: signs of whole groups flipped."""
    seeds: Resampled
    """Test for new seeds: signs of whole seeds flipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanity:
    """All checks of a sweep on one benchmark."""

    calibration: tuple[ArmCalibration, ...]
    length: tuple[LengthBias, ...]
    position: tuple[PositionBias, ...]
    resampled: tuple[Resampling, ...]
    """Of the first arms that are not the baseline."""
    warnings: tuple[str, ...]
    """In words, the gravest first."""
    compared: tuple[str, ...]
    """What warnings were looked for in, in words: where none is, nothing else is vouched for."""


def check_sanity(
    tables: SweepTables, outcomes: Outcomes, arms: Sequence[str] | None = None
) -> Sanity:
    """Check the arms of a sweep on a test benchmark.

    Args:
        tables: The sweep.
        outcomes: Its outcomes on the benchmark.
        arms: Which arms to calibrate and to look at for bias; the first `CALIBRATED_ARMS` if none
            are named. Warnings are of all arms.
    """
    shown = [arm for arm in (arms or outcomes.arms) if arm in outcomes.rows][:CALIBRATED_ARMS]
    selection = tables.selected_on
    test = tables.margins(outcomes.benchmark, purpose="reporting", arms=shown)
    validation = tables.margins(selection, purpose="selection", arms=shown)
    return Sanity(
        calibration=tuple(_calibration(arm, test, validation) for arm in shown),
        length=tuple(bias for arm in shown if (bias := _length_bias(arm, test)) is not None),
        position=_position_bias(tables, outcomes.benchmark),
        resampled=tuple(islice(resampled(shown, tables.baseline, outcomes), RESAMPLED_ARMS)),
        warnings=(
            *leaks(tables, test, validation),
            *_twins(outcomes),
            *_unscored(outcomes),
            *_repeated(tables, (outcomes.benchmark, selection)),
            *incomplete(tables, outcomes.benchmark),
        ),
        compared=(
            compared(tables, test, validation),
            _twins_looked_for(outcomes),
        ),
    )


def _calibration(arm: str, test: Margins, validation: Margins) -> ArmCalibration:
    rows = [row for row, trial in enumerate(test.trials) if trial[0] == arm]
    rows = [row for row in rows if np.isfinite(test.values[row]).any()]
    fitted = {
        trial: fit_temperature(validation.values[row])
        for row, trial in enumerate(validation.trials)
        if trial[0] == arm and np.isfinite(validation.values[row]).any()
    }
    known = [row for row in rows if test.trials[row] in fitted]
    scaled = None
    if known and len(known) == len(rows):
        temperatures = np.array([[fitted[test.trials[row]]] for row in rows])
        scaled = calibrate(_scaled(test.values[rows], temperatures))
    return ArmCalibration(
        arm=arm,
        raw=calibrate(test.values[rows]),
        scaled=scaled,
        temperatures=tuple(fitted[test.trials[row]] for row in known),
    )


def _scaled(margins: Floats, temperatures: Floats) -> Floats:
    """Margins by their temperatures; who is right stays known where one says 50 % of every pair."""
    undecided = np.isinf(temperatures)
    scaled = np.where(undecided, 1e-9 * np.sign(margins), margins / temperatures)
    return np.asarray(scaled, dtype=np.float64)


def _length_bias(arm: str, test: Margins) -> LengthBias | None:
    gap = np.sign(test.pairs["length_gap"].to_numpy(dtype=np.float64))
    unequal = gap != 0
    rows = [row for row, trial in enumerate(test.trials) if trial[0] == arm]
    values = test.values[rows][:, unequal]
    rows_known = np.isfinite(values).any(axis=1)
    if not rows_known.any() or not np.isfinite(values[rows_known]).all(axis=0).any():
        return None
    longer = gap[unequal] > 0  # whether the better response is the longer one
    prefers = np.where(values == 0, 0.5, (values > 0) == longer)
    prefers[~np.isfinite(values)] = np.nan
    return LengthBias(
        arm=arm,
        excess=compare_differences(
            prefers[rows_known] - longer,
            test.pairs["group_id"].to_numpy(dtype=object)[unequal],
            convention="ties count half",
        ),
        longer_better=float(longer.mean()),
    )


def resampled(
    arms: Sequence[str], baseline: str | None, outcomes: Outcomes
) -> Iterator[Resampling]:
    """Arms against the baseline without a formula, where they share seeds and pairs."""
    for arm in arms:
        seeds = sorted(set(outcomes.seeds(arm)) & set(outcomes.seeds(str(baseline))))
        if arm == baseline or not seeds:
            continue
        differences = outcomes.of(arm, seeds) - outcomes.of(str(baseline), seeds)
        if not np.isfinite(differences).all(axis=0).any():
            continue
        held = compare_differences(differences, outcomes.codes, convention=outcomes.convention)
        yield Resampling(
            arm=arm,
            comparison=held,
            bootstrap=group_bootstrap(differences, outcomes.codes),
            groups=group_permutation(differences, outcomes.codes),
            seeds=seed_permutation(held.per_seed),
        )


def _position_bias(tables: SweepTables, benchmark: str) -> tuple[PositionBias, ...]:
    found: dict[str, list[float]] = {}
    for trial in tables.succeeded():
        value = trial.metrics.get(f"eval/{benchmark}/position_bias")
        if value is not None and np.isfinite(value):
            found.setdefault(trial.arm, []).append(value)
    return tuple(PositionBias(arm=arm, per_seed=tuple(values)) for arm, values in found.items())


def _twins_looked_for(outcomes: Outcomes) -> str:
    if len(outcomes.pairs) < TWIN_PAIRS:
        return f"No trials were compared with each other, on fewer than {TWIN_PAIRS} pairs."
    return (
        f"{len(outcomes.trials)} trials were compared with each other by the pairs they are right "
        "on."
    )


def _twins(outcomes: Outcomes) -> list[str]:
    """Trials that were right on the very same pairs: what tells them apart changed nothing.

    Models that are right on all pairs, or on none, agree for that alone.
    """
    alike: dict[bytes, list[tuple[str, int]]] = {}
    for trial, row in zip(outcomes.trials, outcomes.values, strict=True):
        right, known = row == 1, np.isfinite(row)
        if 0 < right.sum() < known.sum():
            alike.setdefault(np.asarray(right).tobytes(), []).append(trial)
    said: list[str] = []
    if len(outcomes.pairs) < TWIN_PAIRS:
        return said
    for same in alike.values():
        arms = sorted({arm for arm, _ in same})
        if len(arms) > 1:
            said.append(
                f"{' and '.join(arms[:3])}{' and others' if len(arms) > 3 else ''} are right on "
                "the very same pairs: check that their setting reaches the model"
            )
        elif len(same) > 1:
            seeds = ", ".join(str(seed) for _, seed in same)
            said.append(
                f"seeds {seeds} of {arms[0]} are right on the very same pairs: the seed seems "
                "to change nothing, so they count as fewer than they look"
            )
    return said


def _unscored(outcomes: Outcomes) -> list[str]:
    scored = set(outcomes.trials)
    return [
        f"{arm} seed {seed}: {count} pairs have a score that is no number"
        + (", which leaves none; it is in no comparison" if (arm, seed) not in scored else "")
        for (arm, seed), count in outcomes.unscored.items()
    ]


def _repeated(tables: SweepTables, benchmarks: Sequence[str]) -> list[str]:
    """Responses that score tables hold more than once."""
    said = []
    for benchmark in benchmarks:
        _, layouts = tables.blocks(benchmark)
        items = max((layout.repeated for layout in layouts), key=len, default=[])
        if items:
            said.append(
                f"{len(items):,} rows on {benchmark}, such as of item {items[0]}, score a response "
                "a second time; the scores of one response are averaged, and count once"
            )
    return said
