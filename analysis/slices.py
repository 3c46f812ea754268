"""Where arms are strong or weak: by category, source, length, margin, and without the right images.

Slices are looked at, not decided on: their p-values are corrected over every arm and slice
together, and a difference that does not survive that is not called one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from analysis.outcomes import PAIR_KEY, Outcomes, contrasts
from analysis.statistics.components import Floats
from analysis.statistics.corrections import holm
from analysis.statistics.intervals import Accuracy, arm_accuracy
from analysis.statistics.paired import Comparison, Convention, compare
from analysis.statistics.resampling import FEWEST_GROUPS
from analysis.statistics.verdicts import deciding_p, verdict_of
from analysis.tables import SweepTables

LENGTHS = ("better is shorter", "equally long", "better is longer")
"""Slices by length, in characters."""

MACRO_TOGETHER = 64
"""Arms whose macro averages are drawn at once, so that it is one product of matrices."""

MACRO_DRAWS = 1000
"""Bootstrap draws of whole groups behind the interval of a mean over slices."""

By = Literal["category", "source", "modality", "length", "margin"]
"""What cuts a benchmark into slices: a column of the score table, which response is longer, or by
how much the labels prefer the better one, in thirds."""


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
    macro: dict[str, tuple[float, tuple[float, float] | None]]
    """By arm that was scored on all slices: mean over slices, each counting the same, and its
    bootstrap interval over groups, absent where they are too few to draw from."""


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
    basis: str
    """What the accuracies with the right images rest on, in words; those without, on the same."""
    arms: tuple[BlindArm, ...]


def slice_table(outcomes: Outcomes, baseline: str | None, by: By = "category") -> SliceTable | None:
    """Accuracy by slice; none when there are fewer than two slices to tell apart."""
    if not outcomes.arms:
        return None
    labels, every = slice_labels(outcomes, by)
    names = [name for name in every if (labels == name).any()]
    if len(names) < 2:
        return None
    cells: dict[tuple[str, str], SliceCell] = {}
    compared: list[tuple[str, str, Comparison | None]] = []
    others = [arm for arm in outcomes.arms if baseline is not None and arm != baseline]
    for name in names:
        part = outcomes.where(labels == name)
        found = contrasts(part, [((arm, str(baseline)),) for arm in others])
        compared += [(arm, name, each) for arm, each in zip(others, found, strict=True)]
        scored = np.isfinite(part.values)
        right = np.where(scored, part.values, 0.0).sum(axis=1)
        for arm, seeds in part.rows.items():
            count = scored[list(seeds.values())].sum()
            if count:
                accuracy = float(right[list(seeds.values())].sum() / count)
                cells[arm, name] = SliceCell(accuracy=accuracy, difference=None, verdict="")
    _add_differences(cells, compared)
    return SliceTable(
        by=by,
        slices=tuple(names),
        pairs=tuple(int((labels == name).sum()) for name in names),
        arms=tuple(outcomes.arms),
        cells=cells,
        macro=_macro(outcomes, labels, names),
    )


def slice_tables(
    outcomes: Outcomes, baseline: str | None, ways: Sequence[By]
) -> tuple[SliceTable, ...]:
    """Accuracy by slice, one table for each way that cuts the pairs otherwise than those before."""
    found: list[SliceTable] = []
    seen: set[bytes] = set()
    for by in ways:
        table = slice_table(outcomes, baseline, by=by)
        cut = pd.factorize(slice_labels(outcomes, by)[0])[0].tobytes() if table else b""
        if table is not None and cut not in seen:
            seen.add(cut)
            found.append(table)
    return tuple(found)


def slice_labels(outcomes: Outcomes, by: By) -> tuple[NDArray[np.object_], list[str]]:
    """`(P)` -- the slice of every pair, empty where it is in none, and all slices in order."""
    if by == "margin":
        return _margin_thirds(outcomes.pairs["margin"].to_numpy(dtype=np.float64))
    if by == "length":
        gap = np.sign(outcomes.pairs["length_gap"].to_numpy(dtype=np.float64)).astype(int)
        lengths: NDArray[np.object_] = np.array(LENGTHS, dtype=object)[gap + 1]
        return lengths, list(LENGTHS)
    held: NDArray[np.object_] = outcomes.pairs[by].astype(str).to_numpy(dtype=object)
    return held, sorted(set(held) - {""})


def _margin_thirds(margins: Floats) -> tuple[NDArray[np.object_], list[str]]:
    """Pairs by the labels' margin, about a third in each slice; a value is never cut in two."""
    labels = np.full(len(margins), "", dtype=object)
    known = np.isfinite(margins)
    if not known.any():
        return labels, []
    bounds = np.unique(np.quantile(margins[known], (1 / 3, 2 / 3), method="lower"))
    bounds = bounds[bounds < margins[known].max()]
    texts = [f"{bound:g}" for bound in bounds]
    if not texts:
        return labels, []
    names = [f"up to {texts[0]}", *map(" to ".join, pairwise(texts)), f"above {texts[-1]}"]
    labels[known] = np.array(names, dtype=object)[np.searchsorted(bounds, margins[known])]
    return labels, names


def image_check(
    tables: SweepTables, outcomes: Outcomes, *, convention: Convention = "ties are wrong"
) -> ImageCheck | None:
    """Accuracy with and without the right images; none when no benchmark shuffles them.

    Arms come in the order of the plan.
    """
    found: list[tuple[Outcomes, Outcomes]] = []
    for name in tables.benchmarks_for("reporting", shuffled=True):
        shuffled = tables.outcomes(name, purpose="reporting", convention=convention)
        both = _on_shared_pairs(outcomes, shuffled)
        if both is not None:
            found.append(both)
    if not found:
        return None
    seeing, blind = max(found, key=lambda both: len(both[0].pairs))
    names = [
        row.name for row in tables.arm_rows if row.name in seeing.rows and row.name in blind.rows
    ]
    return ImageCheck(
        benchmark=outcomes.benchmark,
        shuffled=blind.benchmark,
        pairs=len(seeing.pairs),
        basis=seeing.only(names).basis,
        arms=tuple(_blind_arm(seeing, blind, name) for name in names),
    )


def _add_differences(
    cells: dict[tuple[str, str], SliceCell], found: list[tuple[str, str, Comparison | None]]
) -> None:
    deciding = holm([deciding_p(comparison) for _, _, comparison in found])
    fixed = holm([c.fixed.p_value if c and c.fixed else None for _, _, c in found])
    for (arm, name, comparison), decided, fixed_p in zip(found, deciding, fixed, strict=True):
        if comparison is None:
            continue
        verdict = verdict_of(comparison, decided, fixed_p)
        cells[arm, name] = SliceCell(
            accuracy=cells[arm, name].accuracy,
            difference=comparison.difference,
            verdict=verdict.text,
        )


def _macro(
    outcomes: Outcomes, labels: NDArray[np.object_], names: list[str]
) -> dict[str, tuple[float, tuple[float, float] | None]]:
    """Mean over slices and its percentile interval, whole groups drawn, the same for every arm."""
    groups = int(outcomes.codes.max()) + 1
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(groups, np.full(groups, 1 / groups), size=MACRO_DRAWS)
    weights = np.vstack([np.ones(groups), drawn])
    places = [np.flatnonzero(labels == name) for name in names]
    members = [
        sparse.csr_array(
            (np.ones(len(place)), (place, outcomes.codes[place])), (len(labels), groups)
        )
        for place in places
    ]
    found: dict[str, tuple[float, tuple[float, float] | None]] = {}
    for start in range(0, len(outcomes.arms), MACRO_TOGETHER):
        arms = outcomes.arms[start : start + MACRO_TOGETHER]
        scored = [np.isfinite(outcomes.of(arm)) for arm in arms]
        right = np.array(
            [
                np.where(known, outcomes.of(arm), 0.0).sum(axis=0)
                for arm, known in zip(arms, scored, strict=True)
            ]
        )
        count = np.array([known.sum(axis=0) for known in scored], dtype=np.float64)
        alike = bool((count == count[:1]).all())  # and so are their sums over drawn groups
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = [
                (weights @ (right @ member).T)
                / (weights @ ((count[:1] if alike else count) @ member).T)
                for member in members
            ]
        means = np.mean(shares, axis=0)  # (draws, arms)
        for column, arm in enumerate(arms):
            value = float(means[0, column])
            if not np.isfinite(value):
                continue
            low, high = np.nanquantile(means[1:, column], (0.025, 0.975))
            found[arm] = value, (float(low), float(high)) if groups >= FEWEST_GROUPS else None
    return found


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
        drop = compare(left, right, seeing.codes, convention=seeing.convention)
    return BlindArm(
        arm=arm,
        seeing=arm_accuracy(seeing.of(arm), seeing.codes),
        blind=arm_accuracy(blind.of(arm), blind.codes),
        drop=drop,
    )
