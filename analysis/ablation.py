"""What a sweep says about its axes: every level against the baseline's, with noise and scope.

Invariant: arms are chosen on validation items and compared on test items; only trials that trained
to their end are compared, and who is left out is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.effects import (
    AxisEffects,
    Contrasts,
    Effect,
    axes_effects,
    effects,
    standing,
)
from analysis.outcomes import TOGETHER, Outcomes, refuse_shared_groups
from analysis.statistics.intervals import Accuracy, arm_accuracies, arm_accuracy
from analysis.statistics.paired import Convention
from analysis.tables import SweepTables
from sweep.records.lifecycle import TrialState
from sweep.records.rows import TrialView
from sweep.spec.objective_spec import ObjectiveSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """One arm on the test benchmark, and what it was chosen by."""

    arm: str
    axis: str | None
    accuracy: Accuracy | None
    """Absent when no seed succeeded or none was scored."""
    objective: float | None
    """Mean of the sweep's objective over seeds, on validation items."""
    seeds: tuple[int, ...]
    """Seeds the accuracy rests on."""
    against_baseline: Effect | None
    """p-values corrected over all arms; absent for the baseline itself."""
    standing: str
    """Trials by how they ended, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedNoise:
    """How far seeds of the same arm lie apart."""

    deviation: float
    """Standard deviation of accuracy between seeds, pooled over arms."""
    degrees: int
    arms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Censored:
    """An arm's trials that were stopped early."""

    arm: str
    seeds: tuple[int, ...]
    fraction: float
    """How far the furthest of them came, as a share of its training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """A sweep's effects on one benchmark."""

    benchmark: str
    baseline: str | None
    arms: tuple[ArmResult, ...]
    axes: tuple[AxisEffects, ...]
    best: str | None
    """Arm with the best objective on validation items."""
    ranked: tuple[str, ...]
    """Arms that have an objective, the best first."""
    seed_noise: SeedNoise | None
    censored: tuple[Censored, ...]
    """Trials stopped before their end: neither bad nor good, and in no test."""
    outcomes: Outcomes

    def arm(self, name: str) -> ArmResult:
        """The result of an arm by name."""
        return next(result for result in self.arms if result.arm == name)


def ablate(
    tables: SweepTables,
    benchmark: str | None = None,
    *,
    convention: Convention = "ties are wrong",
    alpha: float = 0.05,
) -> Ablation:
    """Compare every arm, and every level of every axis, with the baseline on a test benchmark.

    Args:
        tables: The sweep.
        benchmark: A test benchmark; the first one the sweep has when absent.
        convention: How tied scores count.
        alpha: 1 - alpha is the level of intervals and verdicts.

    Raises:
        InputError: If the benchmark's items are validation items, or of groups (same image, same
            prompt) that arms were chosen on.
    """
    name = benchmark or next(iter(tables.benchmarks_for("reporting")), "")
    _refuse_selection_items(tables, name)
    outcomes = tables.outcomes(name, purpose="reporting", convention=convention)
    best = best_arm(tables)
    known = Contrasts(outcomes, alpha=alpha)
    return Ablation(
        benchmark=name,
        baseline=tables.baseline,
        arms=_arm_results(tables, known),
        axes=axes_effects(tables, known),
        best=best,
        ranked=_ranked(tables),
        seed_noise=_seed_noise(outcomes),
        censored=_censored(tables),
        outcomes=outcomes,
    )


def _refuse_selection_items(tables: SweepTables, benchmark: str) -> None:
    selected_on = tables.selected_on
    refuse_shared_groups(
        tables.groups(selected_on, purpose="selection"),
        tables.groups(benchmark, purpose="reporting"),
        names=(f"validation benchmark {selected_on!r}", f"test benchmark {benchmark!r}"),
    )


def objectives(tables: SweepTables) -> dict[str, float]:
    """Mean objective over the succeeded seeds of every arm that has one, by arm."""
    objective = ObjectiveSpec.model_validate(tables.sweep.spec_json.get("objective", {}))
    column = f"eval/{objective.benchmark}/{objective.metric}"
    values: dict[str, list[float]] = {}
    for trial in tables.succeeded():
        value = trial.metrics.get(column)
        if value is not None and np.isfinite(value):
            values.setdefault(trial.arm, []).append(value)
    return {arm: float(np.mean(found)) for arm, found in values.items()}


def best_arm(tables: SweepTables) -> str | None:
    """The arm with the best mean objective, the earlier in the plan where two are equal.

    Arms with fewer finished seeds than half of the fullest are passed over: the best of many lucky
    single seeds is no recipe.
    """
    objective = ObjectiveSpec.model_validate(tables.sweep.spec_json.get("objective", {}))
    means = objectives(tables)
    fullest = max((tables.count(arm, "succeeded") for arm in means), default=0)
    eligible = [row.name for row in tables.arm_rows if row.name in means]
    eligible = [arm for arm in eligible if 2 * tables.count(arm, "succeeded") >= fullest]
    sign = 1 if objective.mode == "max" else -1
    return max(eligible, key=lambda arm: sign * means[arm], default=None)


def _ranked(tables: SweepTables) -> tuple[str, ...]:
    objective = ObjectiveSpec.model_validate(tables.sweep.spec_json.get("objective", {}))
    sign = 1 if objective.mode == "min" else -1
    means = objectives(tables)
    return tuple(sorted(means, key=lambda arm: sign * means[arm]))


def _arm_results(tables: SweepTables, known: Contrasts) -> tuple[ArmResult, ...]:
    baseline, outcomes = tables.baseline, known.outcomes
    means = objectives(tables)
    others = [row.name for row in tables.arm_rows if row.name != baseline]
    asked = [
        Effect(
            name=name,
            reference=str(baseline),
            arm_pairs=((name, str(baseline)),),
            note=_missing(tables, outcomes, name, baseline),
        )
        for name in others
    ]
    against = dict(zip(others, effects(known, asked), strict=True))
    accuracies = _accuracies(outcomes, known.alpha)
    return tuple(
        ArmResult(
            arm=row.name,
            axis=row.axis,
            accuracy=accuracies.get(row.name),
            objective=means.get(row.name),
            seeds=tuple(outcomes.seeds(row.name)),
            against_baseline=against.get(row.name),
            standing=standing(tables, row.name),
        )
        for row in tables.arm_rows
    )


def _accuracies(outcomes: Outcomes, alpha: float) -> dict[str, Accuracy]:
    """Of every arm whose seeds share an item; those alike are worked out together."""
    found: dict[str, Accuracy] = {}
    alike: dict[int, list[str]] = {}
    for arm in outcomes.arms:
        scored = np.isfinite(outcomes.of(arm))
        if len(scored) > 1 and scored.all():
            alike.setdefault(len(scored), []).append(arm)
        elif scored.all(axis=0).any():
            found[arm] = arm_accuracy(outcomes.of(arm), outcomes.codes, alpha=alpha)
    for arms in alike.values():
        for start in range(0, len(arms), TOGETHER):
            some = arms[start : start + TOGETHER]
            values = np.array([outcomes.of(arm) for arm in some])
            found |= zip(some, arm_accuracies(values, outcomes.codes, alpha=alpha), strict=True)
    return found


def _missing(tables: SweepTables, outcomes: Outcomes, arm: str, baseline: str | None) -> str:
    for name in (arm, baseline):
        if name is not None and not outcomes.seeds(name):
            ended = standing(tables, name)
            return f"{name} has no scores on {outcomes.benchmark or 'a test benchmark'} ({ended})"
    return "the two share no seed"


def _censored(tables: SweepTables) -> tuple[Censored, ...]:
    found: dict[str, list[TrialView]] = {}
    for trial in tables.trial_views:
        if trial.state is TrialState.STOPPED_EARLY:
            found.setdefault(trial.arm, []).append(trial)
    return tuple(
        Censored(
            arm=arm,
            seeds=tuple(trial.seed for trial in trials),
            fraction=max(trial.fraction for trial in trials),
        )
        for arm, trials in found.items()
    )


def _seed_noise(outcomes: Outcomes) -> SeedNoise | None:
    squares, degrees, arms = 0.0, 0, 0
    each = np.nanmean(outcomes.values, axis=1) if len(outcomes.trials) else np.zeros(0)
    for seeds in outcomes.rows.values():
        means = each[list(seeds.values())]
        if len(means) > 1:
            squares += float(((means - means.mean()) ** 2).sum())
            degrees += len(means) - 1
            arms += 1
    if not degrees:
        return None
    return SeedNoise(deviation=float(np.sqrt(squares / degrees)), degrees=degrees, arms=arms)
