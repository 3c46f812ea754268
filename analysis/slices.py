"""Where arms are strong or weak: accuracy by category and source, and without the right images.

Slices are looked at, not decided on: their p-values are corrected over every arm and slice
together, and a difference that does not survive that is not called one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.effects import Effect, effects
from analysis.outcomes import Outcomes
from analysis.statistics.components import Floats
from analysis.statistics.corrections import holm
from analysis.statistics.intervals import Accuracy, arm_accuracy, cluster_bootstrap
from analysis.statistics.paired import Comparison, Convention, compare
from analysis.statistics.verdicts import judge
from analysis.tables import SweepTables

By = Literal["category", "source"]
"""Columns of the score table that cut a benchmark into slices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceCell:
    """One arm on one slice."""

    accuracy: float
    difference: float | None
    """From the baseline; absent for the baseline itself."""
    verdict: str
    """As `Verdict.text`, corrected over all cells; empty for the baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceTable:
    """Accuracy of every arm on every slice of a benchmark."""

    by: By
    slices: tuple[str, ...]
    pairs: tuple[int, ...]
    """Pairs per slice."""
    arms: tuple[str, ...]
    cells: dict[tuple[str, str], SliceCell]
    """By (arm, slice)."""
    macro: dict[str, tuple[float, float, float]]
    """By arm: mean over slices, each counting the same, and its bootstrap interval over groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindArm:
    """One arm with the right images and with shuffled ones."""

    arm: str
    seeing: Accuracy
    blind: Accuracy
    drop: Comparison | None
    """Seeing minus blind on the same pairs; absent when the two share none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCheck:
    """What is left when every item gets another item's image."""

    benchmark: str
    shuffled: str
    arms: tuple[BlindArm, ...]


def slice_table(outcomes: Outcomes, baseline: str | None, by: By = "category") -> SliceTable | None:
    """Accuracy by slice; none when there are fewer than two slices to tell apart."""
    labels = outcomes.pairs[by].to_numpy(dtype=object)
    names = sorted({str(label) for label in labels if label})
    if len(names) < 2 or not outcomes.arms:
        return None
    cells: dict[tuple[str, str], SliceCell] = {}
    asked: list[tuple[str, str, Effect, Outcomes]] = []
    for name in names:
        part = outcomes.where(labels == name)
        for arm in outcomes.arms:
            values = part.of(arm)
            if np.isnan(values).all():
                continue
            cells[arm, name] = SliceCell(
                accuracy=float(np.nanmean(values)), difference=None, verdict=""
            )
            if baseline is not None and arm != baseline:
                effect = Effect(name=arm, reference=baseline, arm_pairs=((arm, baseline),))
                asked.append((arm, name, effects(part, [effect])[0], part))
    _add_differences(cells, [(arm, name, effect) for arm, name, effect, _ in asked])
    return SliceTable(
        by=by,
        slices=tuple(names),
        pairs=tuple(int((labels == name).sum()) for name in names),
        arms=tuple(outcomes.arms),
        cells=cells,
        macro={arm: _macro(outcomes, arm, by, names) for arm in outcomes.arms},
    )


def image_check(
    tables: SweepTables, outcomes: Outcomes, *, convention: Convention = "ties are wrong"
) -> ImageCheck | None:
    """Accuracy with and without the right images; none when no benchmark shuffles them."""
    held = tables.benchmarks.get(outcomes.benchmark)
    blind = [
        name
        for name in tables.benchmarks_for("reporting", shuffled=True)
        if held is None or not held.parts or tables.benchmarks[name].parts == held.parts
    ]
    if not blind:
        return None
    shuffled = tables.outcomes(blind[0], purpose="reporting", convention=convention)
    arms = [arm for arm in outcomes.arms if arm in shuffled.arms]
    if not arms:
        return None
    return ImageCheck(
        benchmark=outcomes.benchmark,
        shuffled=blind[0],
        arms=tuple(_blind_arm(outcomes, shuffled, arm) for arm in arms),
    )


def _add_differences(
    cells: dict[tuple[str, str], SliceCell], asked: list[tuple[str, str, Effect]]
) -> None:
    found = [(arm, name, effect.comparison) for arm, name, effect in asked]
    general = holm([c.general.p_value if c and c.general else None for _, _, c in found])
    fixed = holm([c.fixed.p_value if c and c.fixed else None for _, _, c in found])
    for (arm, name, comparison), general_p, fixed_p in zip(found, general, fixed, strict=True):
        if comparison is None:
            continue
        verdict = judge(comparison, general_p=general_p, fixed_p=fixed_p)
        cells[arm, name] = SliceCell(
            accuracy=cells[arm, name].accuracy,
            difference=comparison.difference,
            verdict=verdict.text,
        )


def _macro(outcomes: Outcomes, arm: str, by: By, names: list[str]) -> tuple[float, float, float]:
    values = np.nanmean(outcomes.of(arm), axis=0)
    labels = outcomes.pairs[by].to_numpy(dtype=object)
    scored = np.isfinite(values)
    members = np.array([labels[scored] == name for name in names], dtype=np.float64)

    def mean_over_slices(numbers: Floats, weights: Floats) -> Floats:
        right = (weights * numbers) @ members.T
        count = weights @ members.T
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.mean(right / count, axis=1), dtype=np.float64)

    groups = outcomes.groups[scored]
    value = float(mean_over_slices(values[scored], np.ones((1, int(scored.sum()))))[0])
    low, high = cluster_bootstrap(values[scored], groups, mean_over_slices, draws=1000)
    return value, low, high


def _blind_arm(outcomes: Outcomes, shuffled: Outcomes, arm: str) -> BlindArm:
    seeds = sorted(set(outcomes.seeds(arm)) & set(shuffled.seeds(arm)))
    key = ["item_id", "chosen", "rejected"]
    here = {tuple(row): place for place, row in enumerate(outcomes.pairs[key].to_numpy())}
    there = {tuple(row): place for place, row in enumerate(shuffled.pairs[key].to_numpy())}
    shared = [pair for pair in here if pair in there]
    drop = None
    if shared and seeds:
        left = outcomes.of(arm, seeds)[:, [here[pair] for pair in shared]]
        right = shuffled.of(arm, seeds)[:, [there[pair] for pair in shared]]
        groups = outcomes.groups[[here[pair] for pair in shared]]
        drop = compare(left, right, groups, convention=outcomes.convention)
    return BlindArm(
        arm=arm,
        seeing=arm_accuracy(outcomes.of(arm), outcomes.groups),
        blind=arm_accuracy(shuffled.of(arm), shuffled.groups),
        drop=drop,
    )
