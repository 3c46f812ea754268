"""What a simulated driver works with: the clock it moves, and one attempt on a recorded curve."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sweep.records.rows import Attempt, TrialRow
from sweep.replay.curves import CurveTable
from sweep.replay.planning import RecordedTrial

EPOCH = 1_000_000_000.0
"""Where simulated time begins, in seconds since 1970."""


class SimulatedClock:
    """Seconds since 1970 that pass when they are told to."""

    def __init__(self, now: float = EPOCH) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now


@dataclass(slots=True, kw_only=True)
class Work:
    """One running attempt."""

    attempt: Attempt
    trial: RecordedTrial
    started: float
    from_seconds: float
    """Where on the curve it began."""
    stops: tuple[int, ...]
    """Steps at which it reports, rising; the last is its end."""
    told: int
    """Step of its last report."""
    slowness: float = 1.0
    """Times the seconds its curve says: a straggler's machine."""

    def time_of(self, step: int) -> float:
        """When it will have done a step."""
        return self.started + self.slowness * (
            self.trial.curve.seconds_at(step) - self.from_seconds
        )

    def seconds_by(self, now: float) -> float:
        """Where on the curve it is by now."""
        return self.from_seconds + (now - self.started) / self.slowness

    def step_by(self, now: float) -> int:
        """Steps it has done by now."""
        return self.trial.curve.step_at(self.seconds_by(now))


def trial_rows(trials: Iterable[RecordedTrial], table: CurveTable) -> list[TrialRow]:
    """Trials as a ledger registers them."""
    return [
        TrialRow(
            identity=trial.identity,
            arm=trial.arm,
            seed=trial.seed,
            config_json=dict(table.configurations[trial.configuration]),
            workers=trial.workers,
        )
        for trial in trials
    ]
