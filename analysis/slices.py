"""Where arms are strong or weak: accuracy by category and source, and without the right images.

Slices are looked at, not decided on: their p-values are corrected over every arm and slice
together, and a difference that does not survive that is not called one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.effects import Effect, effects
from analysis.outcomes import PAIR_KEY, Outcomes
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
    """Seeing minus blind; absent when the two were scored for no common seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCheck:
    """What is left when every item gets another item's image."""

    benchmark: str
    shuffled: str
    pairs: int
    """Pairs both benchmarks hold; only these are compared."""
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
    found: list[tuple[Outcomes, Outcomes]] = []
    for name in tables.benchmarks_for("reporting", shuffled=True):
        shuffled = tables.outcomes(name, purpose="reporting", convention=convention)
        both = _on_shared_pairs(outcomes, shuffled)
        if both is not None:
            found.append(both)
    if not found:
        return None
    seeing, blind = max(found, key=lambda both: len(both[0].pairs))
    return ImageCheck(
        benchmark=outcomes.benchmark,
        shuffled=blind.benchmark,
        pairs=len(seeing.pairs),
        arms=tuple(_blind_arm(seeing, blind, arm) for arm in seeing.arms if arm in blind.arms),
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


def _on_shared_pairs(one: Outcomes, other: Outcomes) -> tuple[Outcomes, Outcomes] | None:
    """Both on the pairs both hold (in the same order, as `align` sorts them); none if none."""
    keys = [pd.MultiIndex.from_frame(each.pairs[list(PAIR_KEY)]) for each in (one, other)]
    masks = [np.asarray(mine.isin(theirs)) for mine, theirs in (keys, keys[::-1])]
    if not masks[0].any() or not set(one.arms) & set(other.arms):
        return None
    return one.where(masks[0]), other.where(masks[1])


def _blind_arm(seeing: Outcomes, blind: Outcomes, arm: str) -> BlindArm:
    seeds = sorted(set(seeing.seeds(arm)) & set(blind.seeds(arm)))
    drop = None
    if seeds:
        left, right = seeing.of(arm, seeds), blind.of(arm, seeds)
        drop = compare(left, right, seeing.groups, convention=seeing.convention)
    return BlindArm(
        arm=arm,
        seeing=arm_accuracy(seeing.of(arm), seeing.groups),
        blind=arm_accuracy(blind.of(arm), blind.groups),
        drop=drop,
    )
