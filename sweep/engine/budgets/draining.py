"""Warn, then drain, then stop: what follows from how much of a budget is spent, step by step.

A limit that comes near is told once. From a part of it on, nothing new begins. A stage that drains
puts aside what it has not begun, one whose next trial costs more than it has left puts aside that
and what follows, and one whose limit is reached is closed arm by arm, so that the next stage goes
on from what there is. What a sweep does at its own limit, `decide` says.
"""

from __future__ import annotations

from collections.abc import Iterator

from sweep.engine.budgets.budget import (
    seconds_until_spent,
    seconds_until_told,
    stage_budget,
    verdict,
    warnings,
)
from sweep.engine.budgets.purse import Purse
from sweep.engine.decision_kinds import CloseArm, Decision, Drain, DropTrial, Warn
from sweep.engine.view import SweepView, TrialStanding
from sweep.records.lifecycle import TrialState

BUDGET = "budget"


def draining(view: SweepView) -> tuple[Decision, ...]:
    """What is to be told and put aside now."""
    found = verdict(view.budget, view.spent)
    told: list[Decision] = [
        Warn(limit=limit, reason=reason) for limit, reason in warnings(view.budget, view.spent)
    ]
    if found.allowance == "drain":
        told.append(Drain(limit=BUDGET, reason=found.reason))
    following: list[Decision] = []
    for number, stage in enumerate(view.stages):
        told += _told_of(view, number, stage)
        following += _put_aside(view, number, stage)
    new = [
        each
        for each in told
        if isinstance(each, Warn | Drain) and (each.kind, each.limit) not in view.told
    ]
    return (*new, *following)


def seconds_until_drained(view: SweepView) -> float | None:
    """Wall seconds until a stage reaches a limit, or either a part of one that matters."""
    waits = [seconds_until_told(view.budget, view.spent)]
    for number, stage in enumerate(view.stages):
        budget, spent = stage_budget(view.budget, stage), view.spent_by_stage.get(number)
        if budget is None or spent is None or not _open(view, number):
            continue
        waits += [seconds_until_spent(budget, spent), seconds_until_told(budget, spent)]
    return min((seconds for seconds in waits if seconds is not None), default=None)


def _told_of(view: SweepView, number: int, stage: str) -> Iterator[Decision]:
    budget, spent = stage_budget(view.budget, stage), view.spent_by_stage.get(number)
    if budget is None or spent is None:
        return
    where = f"{BUDGET}.per_stage.{stage}"
    for limit, reason in warnings(budget, spent, where=where):
        yield Warn(limit=limit, reason=reason)
    found = verdict(budget, spent, where=where)
    if found.allowance == "drain" and _open(view, number):
        yield Drain(limit=where, reason=found.reason)


def _put_aside(view: SweepView, number: int, stage: str) -> Iterator[Decision]:
    """What a stage does not train any more."""
    budget, spent = stage_budget(view.budget, stage), view.spent_by_stage.get(number)
    left = _open(view, number) if budget is not None else []
    if budget is None or spent is None or not left:
        return
    found = verdict(budget, spent, where=f"{BUDGET}.per_stage.{stage}")
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
    else:
        yield from _unaffordable(view, number)


def _unaffordable(view: SweepView, number: int) -> Iterator[Decision]:
    """All that is left of a stage that idles because its next trial costs more than it has left."""
    if any(trial.stage == number for trial in view.in_flight):
        return  # what runs may cost less than expected
    queue = (view.trials[key[-1]] for key in view.queue)
    left = [t for t in queue if t.stage == number and view.startable(t)]
    purse = Purse.of_stage(view, number)
    reason = purse.objection(left[0]) if purse is not None and left else ""
    if reason and view.scheduler.rungs:
        for arm in dict.fromkeys(trial.arm for trial in left):
            yield CloseArm(arm=arm, reason=reason)
    elif reason:
        for trial in left:
            yield DropTrial(identity=trial.identity, reason=reason)


def _open(view: SweepView, number: int) -> list[TrialStanding]:
    """Trials of a stage for which something is still to be done."""
    if not view.open_trials:
        return []
    return [trial for trial in view.trials if trial.stage == number and not trial.settled]
