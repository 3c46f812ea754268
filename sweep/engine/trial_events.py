"""What an event of one attempt makes of the standing of its trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sweep.engine.budgets.tally import failure_kind
from sweep.engine.view import (
    HARMLESS_KINDS,
    OF_THE_PLACE,
    PAUSES,
    PREEMPTED,
    RETRYABLE_KINDS,
    TrialStanding,
)
from sweep.records.lifecycle import TrialState
from sweep.records.rows import Event


def started(trial: TrialStanding, event: Event, *, ours: bool) -> TrialStanding:
    """An attempt began; `ours`: this sweep pays for it."""
    begins_afresh = event.payload.get("resumed_step") is None
    return replace(
        trial,
        state=TrialState.RUNNING,
        fraction=0.0 if begins_afresh else trial.fraction,
        driver=event.payload["driver"],
        started=event.time,
        seconds=0.0,
        ours=ours,
        shared=trial.shared or not ours,
        attempts=trial.attempts + ours,
        claimed=event.seq if ours else trial.claimed,
        not_before=0.0,
        stopping=False,
    )


def placed(trial: TrialStanding, said: Mapping[str, Any]) -> TrialStanding:
    """The running attempt was heard from its machines."""
    # Ledgers are older than the ids of machines in them.
    return replace(trial, node=said["node"], machines=tuple(said.get("machines", ())))


def reported(trial: TrialStanding, said: Mapping[str, Any], *, key: str) -> TrialStanding:
    """The running attempt said how far it is; `key`: the objective among its metrics."""
    checkpointed = said.get("checkpoint_step") is not None
    value = said["metrics"].get(key)
    reached = trial.reached
    if value is not None:
        reached = tuple(
            value if known is None and step <= said["step"] else known
            for known, step in zip(reached, trial.rung_steps, strict=True)
        )
    further = said["step"] > trial.furthest
    return replace(
        trial,
        step=said["step"],
        furthest=max(trial.furthest, said["step"]),
        setbacks=0 if further else trial.setbacks,
        losses=0 if further else trial.losses,
        fraction=said["fraction"],
        seconds=said["seconds"],
        metrics={**trial.metrics, **said["metrics"]},
        resumable=trial.resumable or checkpointed,
        spoiled=trial.spoiled and not checkpointed,
        reached=reached,
    )


def ended(trial: TrialStanding, event: Event, *, ours: bool) -> TrialStanding:
    """An attempt ended, of itself or with its driver; `ours`: this sweep paid for it."""
    said = event.payload
    state = TrialState(said["state"])
    paid = said["device_seconds"] if ours else 0.0
    outcome = said.get("outcome")
    if outcome is not None:
        trial = replace(
            trial,
            step=outcome["step"],
            fraction=outcome["fraction"],
            metrics={**trial.metrics, **outcome["metrics"]},
        )
    failed = (failure_kind(said),) if state is TrialState.FAILED else ()
    setbacks = trial.setbacks + (not RETRYABLE_KINDS.isdisjoint(failed))
    return replace(
        trial,
        state=state,
        driver=None,
        node="",
        machines=(),
        failed_on=trial.failed_on.union(() if OF_THE_PLACE.isdisjoint(failed) else trial.machines),
        started=None,
        seconds=0.0,
        ours=False,
        stopping=False,
        device_seconds=trial.device_seconds + paid,
        failures=trial.failures + failed,
        setbacks=setbacks,
        losses=trial.losses + (PREEMPTED in failed),
        not_before=_not_before(event.time, failed, setbacks),
        spoiled=trial.spoiled or not HARMLESS_KINDS.issuperset(failed),
        error_message=said.get("error_message"),
        waiting_since=event.seq,
    )


def _not_before(time: float, failed: tuple[str, ...], setbacks: int) -> float:
    """When what ended now may be tried again; 0 for at once."""
    for kind in failed:
        if kind in PAUSES:
            pauses = PAUSES[kind]
            return time + pauses[min(setbacks, len(pauses)) - 1]
    return 0.0
