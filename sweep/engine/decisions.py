"""What is to happen next in a sweep: `decide`, a pure function of a `SweepView`.

The same view always gives the same decisions, so replaying the ledger reproduces every decision
that is logged in it (`sweep.engine.fold.replay`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sweep.engine.admission import Admission, admit
from sweep.engine.budgets.budget import seconds_until_spent, verdict
from sweep.engine.budgets.draining import draining, put_aside, seconds_until_drained
from sweep.engine.decision_kinds import (
    AddTrials,
    Decision,
    DropTrial,
    EndSweep,
    PromoteArm,
    StartTrial,
    StopArm,
    StopTrial,
    Wait,
)
from sweep.engine.rungs import Judgement, judge
from sweep.engine.view import DISK_FULL, SweepView, TrialStanding
from sweep.records.lifecycle import ENDED_SWEEP_STATES, SweepState, TrialState

HOPELESS_AFTER = 3
"""First attempts that must all die of one bug before the sweep is ended for it."""
HOPELESS_KINDS = frozenset({"bug", "data"})
"""Failures that would repeat themselves in every trial."""


def decide(view: SweepView) -> tuple[Decision, ...]:
    """What to do now, in the order to do it; empty once the sweep has ended.

    Whatever is no `Wait` changes what comes next: look again after doing it.
    """
    if view.state in ENDED_SWEEP_STATES:
        return ()
    running = view.running_here
    ending = _reason_to_end(view)
    may_grow = _may_grow(view)
    added = view.growth.addition(view) if may_grow else None
    if not view.open_trials and not (may_grow and not view.growth.finished(view)):
        return (_conclusion(view),)
    if ending is not None:
        return _wind_down(running, ending)
    # An arm that is closed is not judged too: it would be lost twice.
    judged = draining(view) or _judged(view)
    if judged:
        return judged
    if added is not None:
        return (AddTrials(trials=added.trials, reason=added.reason, asked=added.asked),)
    admission = admit(view)
    halted = (*_halted(view), *_given_back(view))
    now = (*halted, *(_start(trial) for trial in admission.admitted))
    if now:
        return now
    if _held(view):
        return (Wait(reason=_waiting_for(view, running, admission), until=_deadline(view)),)
    # Of a stage or an arm that never began, this is the last chance; the others go on without it.
    aside = tuple(each for part in admission.beyond for each in put_aside(view, part))
    return aside or (_stuck(view, admission),)


def _reason_to_end(view: SweepView) -> EndSweep | None:
    if view.stop_requested:
        return EndSweep(state=SweepState.STOPPED, reason="a stop was requested")
    ends = view.first_ends[:HOPELESS_AFTER]
    if len(ends) == HOPELESS_AFTER and len(set(ends)) == 1 and ends[0].kind in HOPELESS_KINDS:
        reason = f"the first {HOPELESS_AFTER} attempts all failed alike ({view.last_failure})"
        return EndSweep(state=SweepState.FAILED, reason=reason)
    found = verdict(view.budget, view.spent)
    if found.allowance != "stop":
        return None
    failed = view.budget.failures is not None and view.spent.failures >= view.budget.failures
    if failed:
        reason = f"{found.reason}; the last: {view.last_failure}"
        return EndSweep(state=SweepState.FAILED, reason=reason)
    return EndSweep(state=SweepState.STOPPED, reason=found.reason)


def _may_grow(view: SweepView) -> bool:
    """Whether the budget lets further trials begin."""
    return verdict(view.budget, view.spent).allowance != "drain"


def _judged(view: SweepView) -> tuple[Decision, ...]:
    """Arms that go on from their rung, and arms that are stopped there."""
    scheduler = view.scheduler
    if scheduler.kind != "asha" or not view.rungs:
        return ()
    sign = 1.0 if view.objective.mode == "max" else -1.0
    judgements = judge(view.rungs, reduction=scheduler.reduction, sign=sign)
    return tuple(_verdict(each, scheduler.rungs) for each in judgements)


def _verdict(judgement: Judgement, rungs: Sequence[float]) -> PromoteArm | StopArm:
    at = f"at rung {judgement.rung + 1} ({rungs[judgement.rung]:.3g} of its training)"
    score = "no figure" if judgement.score is None else f"{judgement.score:.4g}"
    made = PromoteArm if judgement.goes_on else StopArm
    if judgement.rank == 0:
        reason = f"{at}: the baseline is trained to its end, every comparison needs it"
    elif judgement.goes_on:
        reason = f"{at}: rank {judgement.rank} of {judgement.among} there so far, with {score}"
    else:
        reason = (
            f"{at}: rank {judgement.rank} with {score}, of at most {judgement.among} that can "
            "come here"
        )
    return made(arm=judgement.arm, rung=judgement.rung, reason=reason)


def _halted(view: SweepView) -> tuple[Decision, ...]:
    """Trials that run no further: they wait at their rung, or their arm was stopped."""
    here = view.observation.driver
    pauses = tuple(
        StopTrial(
            identity=trial.identity,
            reason="its arm was stopped early" if trial.stopped else "it waits at its rung",
        )
        for trial in view.running_here
        if (trial.at_rung or trial.stopped) and not trial.stopping
    )
    drops = tuple(
        DropTrial(identity=trial.identity, reason="its arm was stopped early")
        for trial in view.stopped
        if not (trial.ours and trial.driver == here)
    )
    return pauses + drops


def _given_back(view: SweepView) -> tuple[StopTrial, ...]:
    """Trials that make room for sweeps of higher priority: those that were begun last."""
    running = view.running_here
    ending = {t.identity for t in running if t.stopping or t.at_rung or t.stopped}
    owed = view.observation.owed - sum(t.workers for t in running if t.identity in ending)
    going_on = (trial for trial in running if trial.identity not in ending)
    given = []
    for trial in sorted(going_on, key=lambda trial: trial.claimed, reverse=True):
        if owed <= 0:
            break
        reason = "a sweep of higher priority needs its devices"
        given.append(StopTrial(identity=trial.identity, reason=reason))
        owed -= trial.workers
    return tuple(given)


def _wind_down(running: tuple[TrialStanding, ...], ending: EndSweep) -> tuple[Decision, ...]:
    if not running:
        return (ending,)
    stops = tuple(
        StopTrial(identity=trial.identity, reason=ending.reason)
        for trial in running
        if not trial.stopping
    )
    return stops or (Wait(reason=f"{_trials(len(running))} ending: {ending.reason}"),)


def _start(trial: TrialStanding) -> StartTrial:
    retry = trial.state is TrialState.FAILED
    return StartTrial(
        identity=trial.identity,
        resume=trial.resumes,
        retry=retry,
        shrinks=trial.ran_out,
    )


def _conclusion(view: SweepView) -> EndSweep:
    """How a sweep ends in which every trial is settled."""
    failed = [trial for trial in view.trials if trial.given_up]
    cut_short = _cut_short(view)
    if not failed:
        if cut_short:
            return EndSweep(state=SweepState.STOPPED, reason=cut_short)
        unfinished = [each for each in view.trials if each.state is not TrialState.SUCCEEDED]
        stopped = sum(trial.stopped or trial.dropped for trial in unfinished)
        reason = f"{_trials(stopped)} stopped early, the others succeeded"
        if not stopped:
            reason = "all trials succeeded"
        return EndSweep(state=SweepState.SUCCEEDED, reason=reason)
    kinds = Counter(trial.failures[-1] for trial in failed)
    listed = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    reason = f"{len(failed)} of {_trials(len(view.trials))} failed ({listed})"
    if cut_short:
        reason = f"{reason}; {cut_short}"
    return EndSweep(state=SweepState.FAILED, reason=reason)


def _cut_short(view: SweepView) -> str:
    """What a drained budget kept from being added, and that it did; empty when nothing."""
    found = verdict(view.budget, view.spent)
    if found.allowance != "drain" or view.growth.finished(view):
        return ""
    left = view.growth.addition(view)
    return f"{found.reason}; not begun: {left.reason}" if left is not None else found.reason


def _stuck(view: SweepView, admission: Admission) -> Decision:
    """Nothing runs and nothing may start: end, unless a trial rests or devices may still come."""
    if any(trial.rest(view.observation.now) > 0 for trial in view.resting):
        return Wait(reason=_waiting_for(view, (), admission), until=_deadline(view))
    if admission.refused:
        return EndSweep(state=SweepState.STOPPED, reason=admission.refused)
    large = admission.oversized
    cap = view.budget.devices
    if large is not None and cap is not None and large.workers > cap:
        reason = (
            f"{large.arm} seed {large.seed} needs {large.workers:g} devices at once, "
            f"budget.devices allows {cap}; lower machine.workers or raise the cap with "
            f"`rmsweep budget set {view.sweep_id} devices={large.workers:g}`"
        )
        return EndSweep(state=SweepState.FAILED, reason=reason)
    no_devices_yet = view.observation.capacity <= 0
    if large is None or no_devices_yet or view.observation.capacity_may_grow:
        return Wait(reason=_waiting_for(view, (), admission), until=_deadline(view))
    reason = (
        f"{large.arm} seed {large.seed} needs {large.workers:g} devices at once, there are "
        f"{view.observation.capacity}; lower machine.workers or use a larger cluster"
    )
    return EndSweep(state=SweepState.FAILED, reason=reason)


def _held(view: SweepView) -> tuple[TrialStanding, ...]:
    """Trials that run, here or under another living driver."""
    return tuple(trial for trial in view.in_flight if not view.startable(trial))


def _waiting_for(view: SweepView, running: tuple[TrialStanding, ...], admission: Admission) -> str:
    parts = [f"{_trials(len(running))} running"] if running else []
    elsewhere = len(_held(view)) - len(running)
    if elsewhere:
        parts.append(f"{_trials(elsewhere)} running in other sweeps")
    if admission.refused:
        parts.append(admission.refused)
    resting = [trial for trial in view.resting if trial.rest(view.observation.now) > 0]
    full = sum(trial.failures[-1] == DISK_FULL for trial in resting)
    if full:
        parts.append(f"{_trials(full)} put off: no space was left on the machine")
    if len(resting) > full:
        parts.append(f"{_trials(len(resting) - full)} put off: the machine failed")
    waits = admission.waiting or admission.oversized
    if waits is not None:
        parts.append(
            f"{waits.arm} seed {waits.seed} waits for {waits.workers:g} of {view.devices} devices"
        )
    return "; ".join(parts) or "nothing may start now"


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"


def _deadline(view: SweepView) -> float | None:
    waits = (
        seconds_until_spent(view.budget, view.spent),
        seconds_until_drained(view),
    )
    rests = [trial.rest(view.observation.now) for trial in view.resting]
    known = [seconds for seconds in waits if seconds is not None]
    known += [seconds for seconds in rests if seconds > 0]
    return view.observation.now + min(known) if known else None
