"""`Chronicle`: what a sampler was asked and told, in the order it happened.

A point is told once, when the last seed of its arm is settled; a seed that is tried again later
changes nothing of it. Asks stand where the engine had got to when it asked, not where they were
written, so that what came in between is told after them, as it was.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from statistics import fmean

from sweep.engine.growing.growth import Asked, History, Told
from sweep.engine.view import TrialStanding
from sweep.records.lifecycle import TrialState
from sweep.spec.design_spec import SearchDesign
from sweep.spec.sweep_spec import SweepSpec


class Chronicle:
    """Asks and tells of one sweep, by objective."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.now = 0
        """The event that is being taken in."""
        self._keys = tuple(keys)
        self._entries: list[tuple[int, int, Asked | Told]] = []
        """Event, order among equals, entry."""
        self._waiting: dict[str, list[int]] = {}
        """Numbers that are not told yet, by arm."""
        self._history: History | None = ()
        self.asked = 0
        """Points asked for so far."""

    def ask(self, asked: Asked, *, seen: int) -> None:
        """A point was asked for after this event; asking for the same number again is silent."""
        if asked.number < self.asked:
            return
        self.asked = asked.number + 1
        self._insert(seen, asked)
        if asked.arm is None:
            self._insert(seen, Told(number=asked.number, state="failed"))
        else:
            self._waiting.setdefault(asked.arm, []).append(asked.number)

    def refresh(self, seeds: Sequence[TrialStanding]) -> None:
        """Tell what became of an arm, if it is over and somebody asked."""
        arm = seeds[0].arm
        if arm not in self._waiting or not all(trial.settled for trial in seeds):
            return
        for number in self._waiting.pop(arm):
            self._insert(self.now, _told(number, seeds, self._keys))

    @property
    def history(self) -> History:
        """All of it."""
        if self._history is None:
            self._history = tuple(entry for _, _, entry in self._entries)
        return self._history

    def _insert(self, event: int, entry: Asked | Told) -> None:
        bisect.insort(self._entries, (event, len(self._entries), entry), key=lambda each: each[:2])
        self._history = None


def objective_keys(spec: SweepSpec) -> list[str]:
    """Every objective's name among a trial's metrics."""
    also = spec.design.also if isinstance(spec.design, SearchDesign) else []
    return [spec.objective.key, *(each.key for each in also)]


def _told(number: int, seeds: Sequence[TrialStanding], keys: Sequence[str]) -> Told:
    """The mean over the seeds that succeeded; pruned when stopped early, failed without any."""
    done = [trial for trial in seeds if trial.state is TrialState.SUCCEEDED]
    values = tuple(
        fmean([trial.metrics.get(key, math.nan) for trial in done]) if done else math.nan
        for key in keys
    )
    reached = zip(*(trial.reached for trial in seeds if not trial.given_up), strict=True)
    intermediate = tuple(
        (rung, fmean(known))
        for rung, at_rung in enumerate(reached)
        if (known := [value for value in at_rung if value is not None])
        if math.isfinite(fmean(known))
    )
    if any(trial.stopped for trial in seeds):
        return Told(number=number, state="pruned", intermediate=intermediate)
    if not all(math.isfinite(value) for value in values):
        return Told(number=number, state="failed", intermediate=intermediate)
    return Told(number=number, state="complete", values=values, intermediate=intermediate)
