"""Checks a ledger against the engine: every logged decision is taken again from what was known.

A driver logs its decisions with the last event it had seen, so events that arrived between looking
and writing do not disturb the replay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sweep.engine.decision_kinds import Decision, from_dict, observation_from
from sweep.engine.decisions import decide
from sweep.engine.fold import DECISIONS_KIND, SweepFold
from sweep.records.rows import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One logged moment of deciding, and what the engine decides there today."""

    seq: int
    """The event that holds the decisions."""
    logged: tuple[Decision, ...]
    again: tuple[Decision, ...]

    @property
    def agrees(self) -> bool:
        """Whether both are the same."""
        return self.logged == self.again


def replay(fold: SweepFold, events: Iterable[Event]) -> Iterator[Replayed]:
    """Take every decision in these events again.

    Args:
        fold: A new fold of the sweep; it is brought up to the last event.
        events: The sweep's events and those of its trials, oldest first.
    """
    ahead: list[Event] = []
    for event in events:
        mine = event.sweep_id == fold.sweep_id and event.kind == "decision"
        if mine and event.payload["kind"] == DECISIONS_KIND:
            entry = event.payload["decision"]
            ahead = _bring_up_to(fold, ahead, entry["seen"])
            yield Replayed(
                seq=event.seq,
                logged=tuple(from_dict(value) for value in entry["decisions"]),
                again=decide(fold.view(observation_from(entry))),
            )
        ahead.append(event)
    fold.apply_all(ahead)


def _bring_up_to(fold: SweepFold, ahead: list[Event], seen: int) -> list[Event]:
    """Apply what had been seen; the rest."""
    fold.apply_all(event for event in ahead if event.seq <= seen)
    return [event for event in ahead if event.seq > seen]
