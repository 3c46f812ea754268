"""`RaceGrowth`: further seeds for arms that may still be the best, round by round.

An arm leaves the race when its paired differences from the leader, seed by seed, show it to be
worse by a confidence sequence: looking after every round is allowed. With probability `1 - ALPHA`
the best arm is never sent away, however many rounds there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from analysis.statistics.sequences import difference_sequence
from sweep.engine.growing.growth import Addition, Space
from sweep.engine.view import SweepView, TrialStanding
from sweep.records.lifecycle import TrialState
from sweep.spec.sweep_spec import SweepSpec

ALPHA = 0.05
"""Chance that the best arm is ever sent away."""

ROUNDING = 1e-9
"""Differences of figures closer than this are one: 0.9 - 0.8 is not exactly 0.8 - 0.7 in binary."""

Results = Mapping[str, Mapping[int, float]]
"""Objective by arm and seed."""


class RaceGrowth:
    """A race at work."""

    arms_asked = 0

    def __init__(self, spec: SweepSpec, space: Space) -> None:
        replicates = spec.replicates
        assert replicates.at_most is not None
        self._key = spec.objective.key
        self._sign = 1.0 if spec.objective.mode == "max" else -1.0
        self._last = replicates.first_seed + replicates.at_most
        self._space = space

    def addition(self, view: SweepView) -> Addition | None:
        """One more seed for every contender, once all that run have ended."""
        if view.open_trials:
            return None
        arms = _by_arm(view)
        staying = [
            arm
            for arm in contenders(
                results_of(view, self._key), sign=self._sign, item=self._space.least_difference
            )
            if not any(trial.stopped or trial.dropped for trial in arms[arm])
        ]
        next_seeds = {arm: max(t.seed for t in arms[arm]) + 1 for arm in staying}
        if len(staying) < 2:
            return None
        trials = []
        for arm, seed in next_seeds.items():
            new = self._space.replicate(arm, seed=seed) if seed < self._last else None
            if new is not None:
                trials.append(new)
        if not trials:
            return None
        reason = f"{len(staying)} of {len(arms)} arms are still in contention"
        return Addition(trials=tuple(trials), reason=reason)

    def finished(self, view: SweepView) -> bool:
        """Whether what is settled leads to nothing more."""
        return self.addition(view) is None


def contenders(
    results: Results, *, sign: float, alpha: float = ALPHA, item: float = 0.0
) -> list[str]:
    """Arms that have not been shown to be worse than the leader.

    Args:
        results: Objective by arm and seed; arms without one are out.
        sign: 1 when more is better, -1 when less is.
        alpha: Chance that the best arm is ever left out.
        item: By how much one item moves the objective; differences spread by less are taken for
            equal, and then only their sign counts.
    """
    known = {arm: seeds for arm, seeds in results.items() if seeds}
    if len(known) < 2:
        return list(known)
    most = max(len(seeds) for seeds in known.values())
    # Only who raced to the end can lead: a mean over few seeds is easily a lucky one.
    leading = [arm for arm, seeds in known.items() if len(seeds) == most]
    leader = max(leading, key=lambda arm: sign * fmean(known[arm].values()))
    level = alpha / (len(known) - 1)
    staying = []
    for arm, seeds in known.items():
        shared = sorted(seeds.keys() & known[leader].keys())
        differences = [sign * (seeds[seed] - known[leader][seed]) for seed in shared]
        if (
            arm == leader
            or not differences
            or difference_sequence(differences, alpha=level, least_spread=item).high >= 0
            or (all_alike(differences, item) and sign_bound(len(differences)) > level)
        ):
            staying.append(arm)
    return staying


def all_alike(differences: Sequence[float], item: float = 0.0) -> bool:
    """Whether differences lie within one item, but for rounding: their spread says nothing then."""
    scale = max(map(abs, differences), default=0.0)
    return max(differences) - min(differences) <= item + ROUNDING * max(1.0, scale)


def sign_bound(count: int) -> float:
    """The least two-sided p that so many differences of one sign can have, whatever their size."""
    return float(2.0 ** (1 - count))


def results_of(view: SweepView, key: str) -> dict[str, dict[int, float]]:
    """The objective of every trial that succeeded, by arm and seed."""
    return {
        arm: {
            trial.seed: trial.metrics[key]
            for trial in trials
            if trial.state is TrialState.SUCCEEDED
            and math.isfinite(trial.metrics.get(key, math.nan))
        }
        for arm, trials in _by_arm(view).items()
    }


def _by_arm(view: SweepView) -> dict[str, list[TrialStanding]]:
    found: dict[str, list[TrialStanding]] = {}
    for trial in view.trials:
        found.setdefault(trial.arm, []).append(trial)
    return found
