"""Which axes the objective depends on, over all arms of a sweep: PED-ANOVA through Optuna.

The only module of the analysis that talks to Optuna. Invariant: an importance is shown beside what
shuffled results would give, since some axis always comes first.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.ablation import objectives
from analysis.tables import SweepTables
from sweep.spec.objective_spec import ObjectiveSpec

FEWEST_ARMS = 8
"""Below this many arms a quantile of the best holds too few to compare with the rest."""

SHUFFLES = 39
"""Shuffles of the results; the smallest p-value is one in forty."""


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
    """Importance of the axes for being among the best arms; none for few arms or one axis.

    Source:
        Watanabe, Bansal & Hutter (2023), PED-ANOVA (arXiv:2304.10255).
    """
    means = objectives(tables)
    rows = [row for row in tables.arm_rows if row.name in means]
    home = next((row.point for row in tables.arm_rows if row.name == tables.baseline), {})
    names = list(dict.fromkeys(axis for row in rows for axis in row.point))
    points = [{name: row.point.get(name, home.get(name, "")) for name in names} for row in rows]
    varied = [name for name in names if len({point[name] for point in points}) > 1]
    if len(rows) < FEWEST_ARMS or len(varied) < 2:
        return None
    objective = ObjectiveSpec.model_validate(tables.sweep.spec_json.get("objective", {}))
    values = np.array([means[row.name] for row in rows])
    weights = _weights(points, varied, values, objective.mode)
    generator = np.random.default_rng(0)
    shuffled = [
        _weights(points, varied, generator.permutation(values), objective.mode)
        for _ in range(SHUFFLES)
    ]
    total = sum(weights.values())
    found = [
        AxisImportance(
            axis=name,
            share=weights[name] / total if total > 0 else 0.0,
            p_value=(1 + sum(each[name] >= weights[name] for each in shuffled)) / (SHUFFLES + 1),
        )
        for name in varied
    ]
    return Importance(
        axes=tuple(sorted(found, key=lambda axis: -axis.share)),
        arms=len(rows),
        basis=f"{len(rows)} arms, mean {objective.metric} over seeds on {objective.benchmark}",
    )


def _weights(
    points: Sequence[Mapping[str, str]], names: Sequence[str], values: np.ndarray, mode: str
) -> dict[str, float]:
    import optuna
    from optuna.distributions import CategoricalDistribution
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    levels = {
        name: CategoricalDistribution(list(dict.fromkeys(point[name] for point in points)))
        for name in names
    }
    study = optuna.create_study(direction="maximize" if mode == "max" else "minimize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: point[name] for name in names},
                distributions=levels,
                value=float(value),
            )
            for point, value in zip(points, values, strict=True)
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
