"""`Pace`: how long a stage trains, at which learning rates, and what it says on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_REPORT_EVERY = 50


@dataclass(slots=True, kw_only=True)
class Pace:
    """One stage's steps; they fix the result, the deadline only ends a stage early."""

    stage: str
    steps: int
    seed: int
    deadline: float
    """By `time.monotonic`."""
    say: Callable[[str], None]
    """Takes one line of progress."""
    keep: Callable[[], None]
    """Saves what there is, so that an interruption leaves usable weights."""
    _average: float | None = None

    def walk(self) -> Iterator[int]:
        """Steps from 1, until all are done or time is up."""
        for step in range(1, self.steps + 1):
            if time.monotonic() > self.deadline:
                self.say(f"{self.stage} stopped before step {step}: out of time")
                return
            yield step

    def learning_rate_factor(self, step: int) -> float:
        """Up over 5 % of the steps, then down to 2 % of the peak along a cosine."""
        warmup = max(1, self.steps // 20)
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, self.steps - warmup)
        return 0.02 + 0.49 * (1 + math.cos(math.pi * done))

    def report(self, step: int, loss: float, more: str = "") -> None:
        """Notes a step's loss; now and then says the running mean and keeps the weights."""
        before = loss if self._average is None else self._average
        self._average = 0.95 * before + 0.05 * loss
        if step % _REPORT_EVERY == 0 or step == self.steps:
            self.say(f"{self.stage} {step}/{self.steps} loss {self._average:.3f} {more}".rstrip())
        if step % (4 * _REPORT_EVERY) == 0:
            self.keep()
