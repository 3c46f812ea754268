"""Arms of several sweeps, and models trained elsewhere, on the items all of them were scored on.

Invariant: accuracies beside each other are over the same pairs, and how many were left out is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.effects import Contrasts, Effect, effects
from analysis.foreign.tables import ForeignScores
from analysis.outcomes import PAIR_KEY, Outcomes, refuse_shared_groups
from analysis.report.page import SweepPage
from analysis.statistics.intervals import Accuracy, arm_accuracy
from infra.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedArm:
    """One arm of one sweep, on the shared pairs."""

    sweep: str
    also: tuple[str, ...]
    """Further sweeps that hold the very same trainings."""
    arm: str
    seeds: int
    accuracy: Accuracy
    against: Effect | None
    """Against the first sweep's baseline, corrected over all arms; absent for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepComparison:
    """What several sweeps, or a folder of scores, say together."""

    arms: tuple[ComparedArm, ...]
    """Best accuracy first."""
    benchmarks: tuple[str, ...]
    pairs: int
    """Pairs every source was scored on."""
    left_out: int
    """Pairs that some source lacks."""
    reference: str
    problem: str = ""
    """Why there is nothing to compare."""


def compare_sweeps(
    pages: Sequence[SweepPage], foreign: ForeignScores | None = None, *, benchmark: str = ""
) -> SweepComparison:
    """Every arm of every source on the pairs they share; sweeps without scores are left out.

    Args:
        pages: Sweeps; the first one's baseline is the reference.
        foreign: Models scored elsewhere; without a sweep the reference is the best on validation,
            where they were scored on it, else the first by name.
        benchmark: Of the foreign models; that of the first sweep when empty, where they have it.

    Raises:
        InputError: If the benchmark's items are validation items, or share groups with those.
    """
    scored = [page for page in pages if page.ablation.outcomes.arms]
    parts, also = _each_training_once(scored)
    reference = f"{_label(scored[0])}: {scored[0].ablation.baseline}" if scored else ""
    if foreign is not None:
        label, outcomes = _of_foreign(
            foreign, benchmark or (parts[0][1].benchmark if parts else "")
        )
        parts.append((label, outcomes))
        reference = reference or f"{label}: {_best(foreign, outcomes.arms)}"
    benchmarks = tuple(dict.fromkeys(part.benchmark for _, part in parts))
    nothing = SweepComparison(
        arms=(),
        benchmarks=benchmarks,
        pairs=0,
        left_out=0,
        reference="",
        problem="no sweep has scores",
    )
    if not parts:
        return nothing
    outcomes, left_out = _together(parts)
    if not len(outcomes.pairs):
        held = ", ".join(f"{label} on {part.benchmark}" for label, part in parts)
        return SweepComparison(
            arms=(), benchmarks=benchmarks, pairs=0, left_out=left_out, reference="",
            problem=f"there is no pair that all were scored on: {held}",
        )  # fmt: skip
    others = [name for name in outcomes.arms if name != reference]
    asked = [
        Effect(name=name, reference=reference, arm_pairs=((name, reference),)) for name in others
    ]
    against = dict(zip(others, effects(Contrasts(outcomes), asked), strict=True))
    arms = []
    for name in outcomes.arms:
        values = outcomes.of(name)
        if not np.isfinite(values).all(axis=0).any():
            continue
        sweep, _, arm = name.partition(": ")
        arms.append(
            ComparedArm(
                sweep=sweep,
                also=tuple(also.get(name, ())),
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


def _each_training_once(
    pages: Sequence[SweepPage],
) -> tuple[list[tuple[str, Outcomes]], dict[str, list[str]]]:
    """Outcomes without arms whose trainings an earlier sweep has; whose those are, by arm.

    The same models twice would be two tests of one question, and cost the others power.
    """
    seen: dict[frozenset[str], str] = {}
    also: dict[str, list[str]] = {}
    parts = []
    for page in pages:
        trainings: dict[str, set[str]] = {}
        for trial in page.tables.succeeded():
            trainings.setdefault(trial.arm, set()).add(trial.identity)
        new = []
        for arm in page.ablation.outcomes.arms:
            name, held = f"{_label(page)}: {arm}", frozenset(trainings[arm])
            first = seen.get(held, "")
            if first and not first.startswith(f"{_label(page)}: "):
                also.setdefault(first, []).append(_label(page))
                continue
            seen.setdefault(held, name)
            new.append(arm)
        if new:
            parts.append((_label(page), page.ablation.outcomes.only(new)))
    return parts, also


def _of_foreign(foreign: ForeignScores, asked: str) -> tuple[str, Outcomes]:
    held = foreign.benchmarks_for("reporting")
    if not held:
        raise InputError(
            f"{foreign.folder} has no test benchmark to compare on, only "
            f"{', '.join(foreign.splits)}; rows to report on have split test"
        )
    name = asked if asked in held else held[0]
    for validation in foreign.benchmarks_for("selection"):
        refuse_shared_groups(
            foreign.groups(validation, purpose="selection"),
            foreign.groups(name, purpose="reporting"),
            names=(f"validation benchmark {validation!r}", f"test benchmark {name!r}"),
        )
    label = foreign.folder.resolve().name.replace(": ", " ")
    return label, foreign.outcomes(name, purpose="reporting")


def _best(foreign: ForeignScores, arms: Sequence[str]) -> str:
    """The arm that is best on validation, else the first by name."""
    means: dict[str, float] = {}
    for name in foreign.benchmarks_for("selection")[:1]:
        chosen = foreign.outcomes(name, purpose="selection")
        means = {arm: float(np.nanmean(chosen.of(arm))) for arm in chosen.arms}
    return min(arms, key=lambda arm: (-means.get(arm, -1.0), arm))


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
