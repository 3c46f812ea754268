"""`SearchGrowth`: asks a sampler for a point whenever a device has nothing else to do.

Whatever was begun goes before what is new, so a point is asked for as late, and knowing as much, as
can be.
"""

from __future__ import annotations

from infra.errors import InputError, Problem, SpecError
from sweep.engine.growing.growth import Addition, Asked, Space
from sweep.engine.growing.optuna_search import Direction, OptunaSearch, make_sampler
from sweep.engine.view import ROUNDING, SweepView
from sweep.spec.design_spec import SearchDesign
from sweep.spec.sweep_spec import SweepSpec


class SearchGrowth:
    """A search design at work."""

    def __init__(self, spec: SweepSpec, design: SearchDesign, space: Space) -> None:
        better: Direction = "maximize" if spec.objective.mode == "max" else "minimize"
        others: list[Direction] = [
            "maximize" if each.mode == "max" else "minimize" for each in design.also
        ]
        self._search = OptunaSearch(
            space.axes,
            sampler=design.sampler,
            options=design.options,
            directions=[better, *others],
            seed=design.seed,
        )
        self._space = space
        first = spec.replicates.first_seed
        self._seeds = range(first, first + spec.replicates.seeds)
        self.arms_asked = design.trials

    def addition(self, view: SweepView) -> Addition | None:
        """One point with all its seeds, while some are left and a device is free."""
        number = _number_asked(view)
        if number >= self.arms_asked or _busy(view):
            return None
        point = self._search.propose(view.history)
        trials = [self._space.trial(point, seed=seed) for seed in self._seeds]
        made = tuple(trial for trial in trials if trial is not None)
        asked = Asked(number=number, point=point, arm=made[0].arm if made else None)
        reason = f"point {number + 1} of {self.arms_asked}"
        return Addition(trials=made, reason=reason, asked=asked)

    def finished(self, view: SweepView) -> bool:
        """Whether every point was asked for; with no device free, some may be left."""
        return _number_asked(view) >= self.arms_asked


def refuse_sampler(spec: SweepSpec) -> None:
    """Make the sampler of a search once: otherwise it is made when the baseline is paid for.

    Raises:
        SpecError: If it does not take its options, or a package it needs is missing.
    """
    if isinstance(spec.design, SearchDesign):
        try:
            make_sampler(spec.design.sampler, spec.design.options)
        except InputError as error:
            place = "design.options" if spec.design.options else "design.sampler"
            raise SpecError(f"sweep {spec.name}", [Problem(place, str(error))]) from error


def _number_asked(view: SweepView) -> int:
    return sum(isinstance(entry, Asked) for entry in view.history)


def _busy(view: SweepView) -> bool:
    """Whether no device is free, or something begun can have it."""
    used = sum(trial.workers for trial in view.running_here)
    if used >= view.devices - ROUNDING:
        return True
    return any(view.startable(view.trials[key[-1]]) for key in view.queue)
