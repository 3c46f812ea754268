"""States of trials and sweeps, and the moves between them that are allowed.

The ledger changes a state only by `UPDATE ... WHERE state IN (states_before(target))`, so a move
that is not drawn here cannot happen, whoever races. A trial that succeeded never moves again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class TrialState(StrEnum):
    """Where a trial stands; one state per identity, whatever sweeps it belongs to."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED_EARLY = "stopped_early"
    CANCELLED = "cancelled"


class SweepState(StrEnum):
    """Where a sweep stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    CANCELLED = "cancelled"


LOST = "lost"
"""State of an attempt whose driver died; its trial went back to `paused`."""

_T = TrialState
TRIAL_MOVES: Mapping[TrialState, frozenset[TrialState]] = {
    _T.PENDING: frozenset({_T.RUNNING, _T.CANCELLED}),
    _T.RUNNING: frozenset({_T.PAUSED, _T.SUCCEEDED, _T.FAILED, _T.STOPPED_EARLY, _T.CANCELLED}),
    _T.PAUSED: frozenset({_T.RUNNING, _T.STOPPED_EARLY, _T.CANCELLED}),
    # Stopping or cancelling is one sweep's decision; another sweep may want the same trial.
    _T.STOPPED_EARLY: frozenset({_T.RUNNING}),
    _T.CANCELLED: frozenset({_T.RUNNING}),
    _T.FAILED: frozenset({_T.RUNNING}),
    _T.SUCCEEDED: frozenset(),
}
"""Allowed next states of a trial. `failed` runs again only when a retry is asked for."""

_S = SweepState
_ENDED = frozenset({_S.SUCCEEDED, _S.FAILED, _S.STOPPED, _S.CANCELLED})
SWEEP_MOVES: Mapping[SweepState, frozenset[SweepState]] = {
    _S.PENDING: frozenset({_S.RUNNING, _S.CANCELLED}),
    _S.RUNNING: _ENDED,
    # An ended sweep may be resumed or extended.
    **{state: frozenset({_S.RUNNING}) for state in _ENDED},
}
"""Allowed next states of a sweep."""

ENDED_SWEEP_STATES = _ENDED
ATTEMPT_END_STATES = TRIAL_MOVES[TrialState.RUNNING]
"""How an attempt may be said to end."""


def trial_states_before(target: TrialState, *, retry: bool = True) -> tuple[TrialState, ...]:
    """States a trial may leave for the target; without `retry`, `failed` is not among them."""
    return tuple(
        state
        for state, targets in TRIAL_MOVES.items()
        if target in targets and (retry or state is not TrialState.FAILED)
    )


def sweep_states_before(target: SweepState) -> tuple[SweepState, ...]:
    """States a sweep may leave for the target."""
    return tuple(state for state, targets in SWEEP_MOVES.items() if target in targets)
