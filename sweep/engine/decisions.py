"""What is to happen next in a sweep: `decide`, a pure function of a `SweepView`.

The same view always gives the same decisions, so replaying the ledger reproduces every decision
that is logged in it (`sweep.engine.fold.replay`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from sweep.engine.admission import Admission, admit
from sweep.engine.budget import seconds_until_spent, verdict
from sweep.engine.view import RETRYABLE_KINDS, Observation, SweepView, TrialStanding
from sweep.records.lifecycle import ENDED_SWEEP_STATES, SweepState, TrialState

HOPELESS_AFTER = 3
"""First attempts that must all die of one bug before the sweep is ended for it."""
HOPELESS_KINDS = frozenset({"bug", "data"})
"""Failures that would repeat themselves in every trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTrial:
    """Claim a trial and run it."""

    kind: ClassVar[str] = "start_trial"
    identity: str
    resume: bool
    """Go on from its last checkpoint."""
    retry: bool = False
    """It failed before; the claim must say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTrial:
    """Answer the trial's next report with stop: it checkpoints and ends."""

    kind: ClassVar[str] = "stop_trial"
    identity: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSweep:
    """Nothing is left to do, or nothing more may be done; nothing runs any more."""

    kind: ClassVar[str] = "end_sweep"
    state: SweepState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do before the next event; look again at `until` in any case."""

    kind: ClassVar[str] = "wait"
    reason: str
    until: float | None = None
    """Seconds since 1970 at which a limit of the budget is reached."""


Decision = StartTrial | StopTrial | EndSweep | Wait
_KINDS: Mapping[str, type[Decision]] = {
    made.kind: made for made in (StartTrial, StopTrial, EndSweep, Wait)
}


def decide(view: SweepView) -> tuple[Decision, ...]:
    """What to do now, in the order to do it; empty once the sweep has ended."""
    if view.state in ENDED_SWEEP_STATES:
        return ()
    running = view.running_here
    if not view.unsettled:
        return (_conclusion(view),)
    ending = _reason_to_end(view)
    if ending is not None:
        return _wind_down(running, ending)
    admission = admit(view)
    if admission.admitted:
        return tuple(_start(trial) for trial in admission.admitted)
    if _held(view):
        return (Wait(reason=_waiting_for(view, running, admission), until=_deadline(view)),)
    return (_stuck(view, admission),)


def to_dict(decision: Decision) -> dict[str, Any]:
    """The decision as JSON values, for the ledger."""
    return {"kind": decision.kind, **asdict(decision)}


def from_dict(value: Mapping[str, Any]) -> Decision:
    """The decision `to_dict` wrote.

    Raises:
        ValueError: If it is no decision's.
    """
    fields = dict(value)
    made = _KINDS.get(str(fields.pop("kind", None)))
    if made is None:
        raise ValueError(f"expected a decision ({', '.join(_KINDS)}), got {dict(value)}")
    if made is EndSweep:
        fields["state"] = SweepState(fields["state"])
    return made(**fields)


def log_entry(view: SweepView, decisions: tuple[Decision, ...]) -> dict[str, Any]:
    """What the ledger keeps of one `decide`: the decisions, and what no event tells of the view."""
    observation = asdict(view.observation)
    observation["held_elsewhere"] = sorted(view.observation.held_elsewhere)
    return {
        "seen": view.seen,
        "observation": observation,
        "decisions": [to_dict(decision) for decision in decisions],
    }


def observation_from(entry: Mapping[str, Any]) -> Observation:
    """The observation `log_entry` wrote."""
    fields = dict(entry["observation"])
    return Observation(**{**fields, "held_elsewhere": frozenset(fields["held_elsewhere"])})


def _reason_to_end(view: SweepView) -> EndSweep | None:
    if view.stop_requested:
        return EndSweep(state=SweepState.STOPPED, reason="a stop was requested")
    ends = view.first_ends[:HOPELESS_AFTER]
    if len(ends) == HOPELESS_AFTER and len(set(ends)) == 1 and ends[0] in HOPELESS_KINDS:
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
    # A checkpoint written before a bug or a divergence would only lead there again.
    spoiled = retry and not (trial.failures and set(trial.failures) <= RETRYABLE_KINDS)
    return StartTrial(identity=trial.identity, resume=trial.resumable and not spoiled, retry=retry)


def _conclusion(view: SweepView) -> EndSweep:
    """How a sweep ends in which every trial is settled."""
    failed = [trial for trial in view.trials if trial.given_up]
    if not failed:
        return EndSweep(state=SweepState.SUCCEEDED, reason="all trials succeeded")
    kinds = Counter(trial.failures[-1] for trial in failed)
    listed = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    reason = f"{len(failed)} of {_trials(len(view.trials))} failed ({listed})"
    return EndSweep(state=SweepState.FAILED, reason=reason)


def _stuck(view: SweepView, admission: Admission) -> Decision:
    """Nothing runs and nothing may start: end, unless devices may still come."""
    if admission.refused:
        return EndSweep(state=SweepState.STOPPED, reason=admission.refused)
    large = admission.oversized
    no_devices_yet = view.observation.capacity <= 0
    if large is None or no_devices_yet or view.observation.capacity_may_grow:
        return Wait(reason=_waiting_for(view, (), admission), until=_deadline(view))
    reason = (
        f"{large.arm} seed {large.seed} needs {large.workers} devices at once, there are "
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
    waits = admission.waiting or admission.oversized
    if waits is not None:
        parts.append(
            f"{waits.arm} seed {waits.seed} waits for {waits.workers} of "
            f"{view.observation.capacity} devices"
        )
    return "; ".join(parts) or "nothing may start now"


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"


def _deadline(view: SweepView) -> float | None:
    seconds = seconds_until_spent(view.budget, view.spent)
    return None if seconds is None else view.observation.now + seconds
