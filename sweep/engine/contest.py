"""`Contest`: the arms of a sweep on their way over the rungs, by the standings of their trials.

It turns what trials have reached into what arms have; `sweep.engine.rungs` ranks and judges.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

from search_spaces.points import BASELINE
from sweep.engine.rungs import RungBoard, RungStanding
from sweep.engine.view import TrialStanding
from sweep.records.lifecycle import TrialState


class Contest:
    """Boards by field; does nothing when there are no rungs."""

    def __init__(self, rungs: Sequence[float], *, sign: float) -> None:
        self._rungs = tuple(rungs)
        self._sign = sign
        self._boards: dict[int, RungBoard] = {}

    def steps(self, total_steps: int) -> tuple[int, ...]:
        """Steps of the rungs in so long a training (`trainer.training.loop.evaluation_steps`)."""
        return tuple(round(part * total_steps) for part in self._rungs)

    def join(self, trial: TrialStanding) -> None:
        """A trial's arm competes."""
        if self._rungs and trial.arm != BASELINE:
            self._board(trial.stage).join(trial.arm)

    def refresh(self, trials: Sequence[TrialStanding]) -> None:
        """Take in how the trials of one arm, all of its seeds, stand now."""
        first = trials[0]
        if not self._rungs or any(trial.stopped for trial in trials):
            return
        over = all(trial.settled for trial in trials)
        board = self._board(first.stage)
        last = len(self._rungs) if over else min(first.target + 1, len(self._rungs))
        for rung in range(first.target, last):
            mean = _mean_at(rung, trials)
            if mean is None:
                board.withdraw(first.arm, rung)
            elif first.arm != BASELINE:
                position = trials[0].position
                board.complete(first.arm, rung, mean=mean, position=position, waits=not over)
            elif not over:
                board.reference_waits(first.arm, rung)
        if first.arm != BASELINE:
            board.set_over(first.arm, over=over, rung=first.target)

    def decided(self, trial: TrialStanding, *, goes_on: bool) -> None:
        """The arm of this trial was judged at the rung it stands at."""
        self._board(trial.stage).decided(trial.arm, trial.target, goes_on=goes_on)

    def withdrawn(self, trial: TrialStanding) -> None:
        """The arm of this trial competes no longer, from the rung it is on its way to."""
        if trial.target >= len(self._rungs):
            return
        board = self._board(trial.stage)
        complete = board.is_complete(trial.arm, trial.target)
        if complete or trial.arm == BASELINE:  # the baseline takes nobody's place, so leaves none
            self.decided(trial, goes_on=trial.arm == BASELINE)
        else:
            board.set_over(trial.arm, over=True, rung=trial.target)

    def standings(self, to_come: int = 0) -> tuple[RungStanding, ...]:
        """Every rung of every field; `to_come`: arms that will still join the last field."""
        last = max(self._boards, default=0)
        return tuple(
            standing
            for field, board in self._boards.items()
            for standing in board.standings(to_come=to_come if field == last else 0)
        )

    def _board(self, field: int) -> RungBoard:
        if field not in self._boards:
            self._boards[field] = RungBoard(len(self._rungs), field=field, sign=self._sign)
        return self._boards[field]


def _mean_at(rung: int, trials: Iterable[TrialStanding]) -> float | None:
    """The arm's mean at a rung, once all its living seeds are there."""
    values = []
    for trial in trials:
        if trial.given_up:
            continue
        value = trial.reached[rung]
        if value is not None:
            values.append(value)
        elif trial.state is not TrialState.SUCCEEDED:
            return None
    if not values:
        return None
    return fmean(values) if all(map(math.isfinite, values)) else math.nan
