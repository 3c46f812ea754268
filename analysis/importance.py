"""Which axes the objective depends on, over all arms of a sweep: PED-ANOVA through Optuna.

The only module of the analysis that talks to Optuna. Invariant: an importance is shown beside what
shuffled results would give, since some axis always comes first.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.ablation import objectives
from analysis.tables import SweepTables
from sweep.spec.objective_spec import ObjectiveSpec

if TYPE_CHECKING:  # Optuna takes a second to import, and the analysis starts without it
    from optuna.distributions import BaseDistribution

FEWEST_ARMS = 8
"""Below this many arms a quantile of the best holds too few to compare with the rest."""

SHUFFLES = (19, 39)
"""Fewest and most shuffles of the results; with 19 the smallest p-value is one in twenty."""

CELLS = 80_000
"""Arms times axes times shuffles that are worth a reader's wait: about ten seconds."""

MOST_LEVELS = 12
"""Beyond this many levels, numbers are taken as points of a range, not as names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisImportance:
    """An axis's share of what decides whether an arm is among the best."""

    axis: str
    share: float
    """All axes' shares sum to 1, also where none matters."""
    p_value: float
    """How often shuffled results make the axis look as important."""

    @property
    def above_chance(self) -> bool:
        """Whether the axis is more than shuffled results make it look."""
        return self.p_value <= 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """Axes by importance, the most important first."""

    axes: tuple[AxisImportance, ...]
    arms: int
    basis: str


def importance(tables: SweepTables) -> Importance | None:
    """Importance of the axes for being among the best arms.

    None for few arms or one axis, and none where arms differ from the baseline in one axis at a
    time: the method takes axes as drawn independently, and such a sweep's effects say all there is.

    Source:
        Watanabe, Bansal & Hutter (2023), PED-ANOVA (arXiv:2304.10255).
    """
    means = objectives(tables)
    rows = [row for row in tables.arm_rows if row.name in means]
    home = next((row.point for row in tables.arm_rows if row.name == tables.baseline), {})
    names = list(dict.fromkeys(axis for row in rows for axis in row.point))
    points = [{name: row.point.get(name, home.get(name, "")) for name in names} for row in rows]
    varied = [name for name in names if len({point[name] for point in points}) > 1]
    one_at_a_time = all(
        sum(point[name] != home.get(name, "") for name in varied) <= 1 for point in points
    )
    if len(rows) < FEWEST_ARMS or len(varied) < 2 or one_at_a_time:
        return None
    objective = ObjectiveSpec.model_validate(tables.sweep.spec_json.get("objective", {}))
    values = np.array([means[row.name] for row in rows])
    weights = _weights(points, varied, values, objective.mode)
    generator = np.random.default_rng(0)
    shuffles = int(np.clip(CELLS // (len(rows) * len(varied)), *SHUFFLES))
    shuffled = [
        _weights(points, varied, generator.permutation(values), objective.mode)
        for _ in range(shuffles)
    ]
    total = sum(weights.values())
    found = [
        AxisImportance(
            axis=name,
            share=weights[name] / total if total > 0 else 0.0,
            p_value=(1 + sum(each[name] >= weights[name] for each in shuffled)) / (shuffles + 1),
        )
        for name in varied
    ]
    return Importance(
        axes=tuple(sorted(found, key=lambda axis: -axis.share)),
        arms=len(rows),
        basis=(
            f"{len(rows)} arms, mean {objective.metric} over seeds on {objective.benchmark}; "
            f"results shuffled {shuffles:,} times"
        ),
    )


def _weights(
    points: Sequence[Mapping[str, str]], names: Sequence[str], values: np.ndarray, mode: str
) -> dict[str, float]:
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    columns = {name: _column([point[name] for point in points]) for name in names}
    study = optuna.create_study(direction="maximize" if mode == "max" else "minimize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: held[row] for name, (_, held) in columns.items()},
                distributions={name: kind for name, (kind, _) in columns.items()},
                value=float(value),
            )
            for row, value in enumerate(values)
        ]
    )
    # The best fifth, so that a sweep of a dozen arms has more than one arm to look at.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = PedAnovaImportanceEvaluator(target_quantile=0.2)
        found = get_param_importances(
            study, evaluator=evaluator, params=list(names), normalize=False
        )
    return {name: float(found.get(name, 0.0)) for name in names}


def _column(levels: Sequence[str]) -> tuple[BaseDistribution, Sequence[str | float]]:
    """How Optuna sees an axis, and its value in every arm."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    distinct = list(dict.fromkeys(levels))
    if len(distinct) > MOST_LEVELS:
        try:
            numbers = [float(level) for level in levels]
        except ValueError:
            return CategoricalDistribution(distinct), levels
        low, high = min(numbers), max(numbers)
        if np.isfinite([low, high]).all():
            return FloatDistribution(low, high, log=low > 0 and high > 100 * low), numbers
    return CategoricalDistribution(distinct), levels
