"""What is worth telling somebody who is not looking: decided from one progress to the next.

Pure: the same figures in the same order give the same notices. What had happened before the first
look is not told again, so that a sweep that is resumed does not repeat itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweep.engine.progress import FailedTrial, Progress
from sweep.records.lifecycle import SweepState
from sweep.spec.notify_spec import NotifySpec, Occasion

QUIET_SECONDS = 60.0
"""Between two notices of failures: those in between are told together."""
NAMED_FAILURES = 3
_LONGEST = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to tell."""

    occasion: Occasion
    text: str
    """One or two lines for people."""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, sweep_id: str, *, time: float) -> dict[str, Any]:
        """As it is sent: `text` is what chats show, and cannot mention or link anybody."""
        safe = self.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return {
            "text": f"rmsweep {sweep_id}: {safe}",
            "sweep": sweep_id,
            "occasion": self.occasion,
            "time": time,
            **self.facts,
        }


class NoticeBook:
    """Remembers what was told of one sweep by one driver."""

    def __init__(self, wanted: NotifySpec) -> None:
        self._wanted = wanted
        self._failures_told: int | None = None
        self._failures_at = -QUIET_SECONDS
        self._crossed: set[str] | None = None

    def see(self, figures: Progress, *, now: float) -> list[Notice]:
        """Notices of what is new in these figures.

        Args:
            figures: Of the sweep as it is now.
            now: Seconds of any clock that runs forward.
        """
        told = [*self._failures(figures, now), *self._budget(figures)]
        return [notice for notice in told if notice.occasion in self._wanted.about]

    def ended(self, state: SweepState, reason: str, figures: Progress | None) -> list[Notice]:
        """Notice of a sweep's end."""
        if "finish" not in self._wanted.about:
            return []
        said = f"{state.value}{f', {_brief(reason)}' if reason else ''}"
        facts: dict[str, Any] = {"state": state.value, "reason": _brief(reason)}
        if figures is not None:
            said = f"{said}. {_standing(figures)}"
            facts |= _facts(figures)
        return [Notice(occasion="finish", text=said, facts=facts)]

    def _failures(self, figures: Progress, now: float) -> list[Notice]:
        total = figures.failed_attempts
        if self._failures_told is None:
            self._failures_told = total
        new = total - self._failures_told
        if new <= 0 or now - self._failures_at < QUIET_SECONDS:
            return []
        self._failures_told, self._failures_at = total, now
        last: Sequence[FailedTrial] = figures.last_failures[: min(new, NAMED_FAILURES)]
        named = "; ".join(
            f"{_brief(trial.arm)} seed {trial.seed}: {_brief(trial.message)}" for trial in last
        )
        count = "1 attempt" if new == 1 else f"{new} attempts"
        text = f"{count} failed: {named}. {_states(figures)}."
        failed = [
            {"arm": _brief(t.arm), "seed": t.seed, "message": _brief(t.message)} for t in last
        ]
        return [Notice(occasion="failure", text=text, facts={"failed": failed} | _facts(figures))]

    def _budget(self, figures: Progress) -> list[Notice]:
        over = {
            spend.name: spend
            for spend in figures.spend
            if spend.limit and spend.spent >= self._wanted.budget_at * spend.limit
        }
        if self._crossed is None:
            self._crossed = set(over)
        new = [spend for name, spend in over.items() if name not in self._crossed]
        self._crossed |= set(over)
        return [
            Notice(
                occasion="budget",
                text=(
                    f"{spend.spent / (spend.limit or 1):.0%} of {spend.name.replace('_', ' ')} are "
                    f"spent: {spend.spent:.3g} of {spend.limit:g}; {figures.done:.0%} of the "
                    "training is done"
                ),
                facts={"limit": spend.name} | _facts(figures),
            )
            for spend in new
        ]


def _facts(figures: Progress) -> dict[str, Any]:
    best = figures.best
    return {
        "trials": {state.value: count for state, count in figures.by_state.items()},
        "done": figures.done,
        "best": None
        if best is None
        else {
            "arm": _brief(best.arm),
            "mean": best.mean,
            "spread": best.spread,
            "seeds": best.seeds,
        },
        "spend": {spend.name: [spend.spent, spend.limit] for spend in figures.spend},
    }


def _standing(figures: Progress) -> str:
    best = figures.best
    chosen = "" if best is None else f"; best {_brief(best.arm)} {best.mean:.4f} on validation"
    return f"{_states(figures)}{chosen}"


def _states(figures: Progress) -> str:
    counts = [
        f"{count} {state.value.replace('_', ' ')}" for state, count in figures.by_state.items()
    ]
    return f"Of {figures.trials} trials {', '.join(counts)}"


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
