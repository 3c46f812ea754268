"""Ways to ask for less of a plan: fewer seeds, an axis or a level given up, two of these together.

What keeps more trials is the cheaper way. Where no cut alone is enough, two are tried together, and
where those are not, everything but one axis.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from search_spaces.axes import Axis
from search_spaces.points import BASELINE
from sweep.engine.planning.asked import Asked, Limit, Trials
from sweep.engine.planning.plan import SweepPlan

MOST_CUT_BY_LEVEL = 2_000
"""In larger plans single levels are not tried: they save too little to matter."""
MOST_PAIRED = 8
"""Axes of which pairs are tried."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One way, and what is left."""

    text: str
    kept: Trials


@dataclass(frozen=True)
class Cuts:
    """All ways to cut a plan down for one limit."""

    plan: SweepPlan
    asked: Asked
    limit: Limit
    _standing: dict[str, Collection[str]] = field(default_factory=dict)

    def fitting(self, count: int) -> list[Cut]:
        """So many ways that fit and keep most trials; fewer where there are no more."""
        found: dict[tuple[str, ...], Cut] = {}
        for ways in (self._single(), self._paired(), self._last()):
            for cut in ways:
                if cut.kept and self.limit.fits(cut.kept):
                    found.setdefault(tuple(trial.identity for trial in cut.kept), cut)
            if len(found) >= count:
                break
        # Of cuts that keep as many, the one that was named first: seeds, then axes, then levels.
        return sorted(found.values(), key=lambda cut: -len(cut.kept))[:count]

    def largest(self) -> Cut | None:
        """The one that saves most, enough or not."""
        cuts = [Cut(f"drop the axis {a.name}", self._without(a)) for a in self.plan.axes]
        return min(cuts, key=lambda cut: self.limit.need(cut.kept) or 0.0, default=None)

    def _single(self) -> Iterator[Cut]:
        seeds = self._with_most_seeds("", self.asked.trials)
        if seeds is not None:
            yield seeds
        for axis in self.plan.axes:
            yield Cut(f"drop the axis {axis.name}", self._without(axis))
        if len(self.plan.trials) > MOST_CUT_BY_LEVEL:
            return
        for axis in self.plan.axes:
            for level in axis.levels if len(axis.levels) > 2 else ():
                if not level.is_baseline:
                    points = self.asked.points.items()
                    gone = {arm for arm, at in points if at.get(axis.name) == level.name}
                    kept = [trial for trial in self.asked.trials if trial.arm not in gone]
                    yield Cut(f"drop the level {axis.name}={level.name}", kept)

    def _paired(self) -> Iterator[Cut]:
        axes = self.plan.axes[:MOST_PAIRED]
        for axis in axes:
            seeds = self._with_most_seeds(f"drop the axis {axis.name} and ", self._without(axis))
            if seeds is not None:
                yield seeds
        for index, axis in enumerate(axes):
            for other in axes[index + 1 :]:
                text = f"drop the axes {axis.name} and {other.name}"
                yield Cut(text, self._without(axis, other))

    def _last(self) -> Iterator[Cut]:
        """One axis alone, with as many seeds as fit; then none."""
        for axis in self.plan.axes:
            others = [other for other in self.plan.axes if other is not axis]
            kept = self._without(*others)
            text = f"vary {axis.name} alone"
            yield Cut(text, kept)
            seeds = self._with_most_seeds(f"{text} and ", kept)
            if seeds is not None:
                yield seeds
        seeds = self._with_most_seeds("drop all axes and ", self._without(*self.plan.axes))
        if seeds is not None:
            yield seeds

    def _with_most_seeds(self, text: str, trials: Trials) -> Cut | None:
        """With the most seeds that fit; None when not even one does, or all do."""
        replicates = self.plan.spec.replicates
        first, low, high = replicates.first_seed, 0, replicates.seeds
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.limit.fits([trial for trial in trials if trial.seed < first + middle])
            low, high = (middle, high) if fits else (low, middle)
        if not low or self.limit.fits(trials):
            return None
        name = "replicates.initial" if replicates.race else "replicates.seeds"
        kept = [trial for trial in trials if trial.seed < first + low]
        return Cut(f"{text}set {name} to {low}", kept)

    def _without(self, *axes: Axis) -> Trials:
        """The trials left when these axes stay at the baseline (or at their first level)."""
        standing = [self._standing_on(axis) for axis in axes]
        return [t for t in self.asked.trials if all(t.arm in arms for arms in standing)]

    def _standing_on(self, axis: Axis) -> Collection[str]:
        """Arms that do not vary an axis."""
        found = self._standing.get(axis.name)
        if found is None:
            points = self.asked.points
            own = axis.baseline_level.name if axis.baseline_level is not None else BASELINE
            on_axis = {point.get(axis.name, own) for point in points.values()}
            kept = own if own in on_axis else axis.levels[0].name
            found = {arm for arm, point in points.items() if point.get(axis.name, kept) == kept}
            self._standing[axis.name] = found
        return found
