"""Warn, then drain, then stop: what follows from how much of a budget is spent, step by step.

A limit that comes near is told once. From a part of it on, nothing new begins. A stage or an arm
that drains puts aside what it has not begun, one whose next trial costs more than it has left puts
aside that and what follows, and one whose limit is reached is closed arm by arm, so that others go
on, or the next stage from what there is. What a sweep does at its own limit, `decide` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sweep.engine.budgets.budget import (
    Verdict,
    seconds_until_spent,
    seconds_until_told,
    verdict,
    warnings,
)
from sweep.engine.budgets.parts import Part, begun_parts, whole
from sweep.engine.budgets.purse import Purse
from sweep.engine.decision_kinds import CloseArm, Decision, Drain, DropTrial, Warn
from sweep.engine.view import SweepView, TrialStanding
from sweep.records.lifecycle import TrialState


def draining(view: SweepView) -> tuple[Decision, ...]:
    """What is to be told and put aside now."""
    sweep = whole(view)
    told = [*_told_of(sweep, verdict(sweep.budget, sweep.spent, where=sweep.where))]
    following: list[Decision] = []
    for part, left in begun_parts(view):
        found = verdict(part.budget, part.spent, where=part.where)
        told += _told_of(part, found, is_open=bool(left))
        if left:
            following += _put_aside(view, part, left, found)
    new = [each for each in told if (each.kind, each.limit) not in view.told]
    return (*new, *following)


def put_aside(view: SweepView, part: Part) -> Iterator[CloseArm | DropTrial]:
    """All that could start of a part whose next trial costs more than it has left."""
    queue = (view.trials[key[-1]] for key in view.queue)
    left = [trial for trial in queue if part.holds(trial) and view.startable(trial)]
    reason = Purse(part, view).objection(left[0]) if left else ""
    if reason and view.scheduler.rungs:
        for arm in dict.fromkeys(trial.arm for trial in left):
            yield CloseArm(arm=arm, reason=reason)
    elif reason:
        for trial in left:
            yield DropTrial(identity=trial.identity, reason=reason)


def seconds_until_drained(view: SweepView) -> float | None:
    """Wall seconds until a part reaches a limit, or any of all budgets a share that matters."""
    waits = [seconds_until_told(view.budget, view.spent)]
    for part, left in begun_parts(view):
        if left:
            waits.append(seconds_until_spent(part.budget, part.spent))
            waits.append(seconds_until_told(part.budget, part.spent))
    return min((seconds for seconds in waits if seconds is not None), default=None)


def _told_of(part: Part, found: Verdict, *, is_open: bool = True) -> Iterator[Warn | Drain]:
    for limit, reason in warnings(part.budget, part.spent, where=part.where):
        yield Warn(limit=part.limit(limit), reason=reason)
    if found.allowance == "drain" and is_open:
        yield Drain(limit=part.limit(part.where), reason=found.reason)


def _put_aside(
    view: SweepView, part: Part, left: Sequence[TrialStanding], found: Verdict
) -> Iterator[Decision]:
    """What a stage or an arm does not train any more."""
    if found.allowance == "stop":
        for arm in dict.fromkeys(trial.arm for trial in left if not trial.stopped):
            yield CloseArm(arm=arm, reason=found.reason)
    elif found.allowance == "drain" and view.scheduler.rungs:
        # At a rung every seed of an arm is waited for: an arm is put aside as a whole or not.
        begun = {trial.arm for trial in view.trials if trial.claimed}
        for arm in dict.fromkeys(trial.arm for trial in left if not trial.stopped):
            if arm not in begun:
                yield CloseArm(arm=arm, reason=found.reason)
    elif found.allowance == "drain":
        for trial in left:
            if not (trial.claimed or trial.stopped or trial.state is TrialState.RUNNING):
                yield DropTrial(identity=trial.identity, reason=found.reason)
    elif _is_beyond(view, part, left):
        yield from put_aside(view, part)


def _is_beyond(view: SweepView, part: Part, left: Sequence[TrialStanding]) -> bool:
    """Whether a part idles because a trial of it costs more than it has left."""
    if any(trial.state is TrialState.RUNNING for trial in left):
        return False  # what runs may cost less than expected
    purse = Purse(part, view)
    return any(view.startable(trial) and purse.objection(trial) for trial in left)
