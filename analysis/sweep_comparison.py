"""Arms of several sweeps on the items all of them were scored on.

Invariant: accuracies beside each other are over the same pairs, and how many were left out is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.effects import Effect, effects
from analysis.outcomes import PAIR_KEY, Outcomes
from analysis.report.page import SweepPage
from analysis.statistics.intervals import Accuracy, arm_accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedArm:
    """One arm of one sweep, on the shared pairs."""

    sweep: str
    arm: str
    seeds: int
    accuracy: Accuracy
    against: Effect | None
    """Against the first sweep's baseline, corrected over all arms; absent for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepComparison:
    """What several sweeps say together."""

    arms: tuple[ComparedArm, ...]
    """Best accuracy first."""
    benchmarks: tuple[str, ...]
    pairs: int
    """Pairs every sweep was scored on."""
    left_out: int
    """Pairs that some sweep lacks."""
    reference: str
    problem: str = ""
    """Why there is nothing to compare."""


def compare_sweeps(pages: Sequence[SweepPage]) -> SweepComparison:
    """Every arm of every sweep on the pairs they share; sweeps without scores are left out."""
    scored = [page for page in pages if page.ablation.outcomes.arms]
    benchmarks = tuple(dict.fromkeys(page.ablation.benchmark for page in scored))
    nothing = SweepComparison(
        arms=(),
        benchmarks=benchmarks,
        pairs=0,
        left_out=0,
        reference="",
        problem="no sweep has scores",
    )
    if not scored:
        return nothing
    outcomes, left_out = _together([(_label(page), page.ablation.outcomes) for page in scored])
    if not len(outcomes.pairs):
        held = ", ".join(f"{_label(page)} on {page.ablation.benchmark}" for page in scored)
        return SweepComparison(
            arms=(), benchmarks=benchmarks, pairs=0, left_out=left_out, reference="",
            problem=f"the sweeps share no scored pair: {held}",
        )  # fmt: skip
    home = scored[0]
    reference = f"{_label(home)}: {home.ablation.baseline}"
    others = [name for name in outcomes.arms if name != reference]
    asked = [
        Effect(name=name, reference=reference, arm_pairs=((name, reference),)) for name in others
    ]
    against = dict(zip(others, effects(outcomes, asked), strict=True))
    arms = []
    for name in outcomes.arms:
        values = outcomes.of(name)
        if not np.isfinite(values).all(axis=0).any():
            continue
        sweep, _, arm = name.partition(": ")
        arms.append(
            ComparedArm(
                sweep=sweep,
                arm=arm,
                seeds=len(values),
                accuracy=arm_accuracy(values, outcomes.groups),
                against=against.get(name),
            )
        )
    return SweepComparison(
        arms=tuple(sorted(arms, key=lambda arm: -arm.accuracy.value)),
        benchmarks=benchmarks,
        pairs=len(outcomes.pairs),
        left_out=left_out,
        reference=reference,
    )


def _label(page: SweepPage) -> str:
    return page.tables.sweep_id


def _together(parts: Sequence[tuple[str, Outcomes]]) -> tuple[Outcomes, int]:
    """All trials on the pairs every part holds, and how many pairs some part lacks."""
    keys = [pd.MultiIndex.from_frame(part.pairs[list(PAIR_KEY)]) for _, part in parts]
    shared, every = keys[0], keys[0]
    for key in keys[1:]:
        shared, every = shared.intersection(key), every.union(key)
    places = [key.get_indexer(shared) for key in keys]
    first = parts[0][1]
    together = Outcomes(
        benchmark=first.benchmark,
        trials=tuple(
            (f"{label}: {arm}", seed) for label, part in parts for arm, seed in part.trials
        ),
        pairs=first.pairs.iloc[places[0]].reset_index(drop=True),
        values=np.concatenate(
            [part.values[:, place] for (_, part), place in zip(parts, places, strict=True)]
        ),
        convention=first.convention,
        tied=float(np.mean([part.tied for _, part in parts])),
    )
    return together, len(every) - len(shared)
