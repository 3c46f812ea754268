"""What the engine can decide, and how the ledger keeps it: values, as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, get_args

from sweep.engine.growing.growth import Asked, NewTrial
from sweep.engine.view import Observation, SweepView
from sweep.records.lifecycle import SweepState


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTrial:
    """Claim a trial and run it."""

    kind: ClassVar[str] = "start_trial"
    identity: str
    resume: bool
    """Go on from its last checkpoint."""
    retry: bool = False
    """It failed before; the claim must say so."""
    shrinks: int = 0
    """How often to make its micro batch smaller, for it ran out of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTrial:
    """Answer the trial's next report with stop: it checkpoints and ends."""

    kind: ClassVar[str] = "stop_trial"
    identity: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteArm:
    """An arm goes on from a rung: its trials may train to the next one."""

    kind: ClassVar[str] = "promote_arm"
    arm: str
    rung: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopArm:
    """An arm is stopped at a rung: none of its trials runs any further for this sweep."""

    kind: ClassVar[str] = "stop_arm"
    arm: str
    rung: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warn:
    """A limit of the budget comes near; nothing else follows from it."""

    kind: ClassVar[str] = "warn"
    limit: str
    """Where it stands, such as `budget.hours`."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """So much of a budget is spent that nothing new begins; what was begun goes on."""

    kind: ClassVar[str] = "drain"
    limit: str
    """Whose: `budget`, or `budget.per_stage.<stage>`."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseArm:
    """An arm, or its stage, has spent its budget: none of its trials runs on for this sweep."""

    kind: ClassVar[str] = "close_arm"
    arm: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTrial:
    """Put a trial of a stopped arm aside as `stopped_early`, unless another sweep runs it."""

    kind: ClassVar[str] = "drop_trial"
    identity: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTrials:
    """The sweep grows: these trials join it."""

    kind: ClassVar[str] = "add_trials"
    trials: tuple[NewTrial, ...]
    reason: str
    asked: Asked | None = None
    """The sampler's point they were made of."""


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


Decision = (
    StartTrial
    | StopTrial
    | PromoteArm
    | StopArm
    | Warn
    | Drain
    | CloseArm
    | DropTrial
    | AddTrials
    | EndSweep
    | Wait
)
_KINDS: Mapping[str, type[Decision]] = {made.kind: made for made in get_args(Decision)}


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
    if made is AddTrials:
        fields["trials"] = tuple(NewTrial(**each) for each in fields["trials"])
        fields["asked"] = None if fields["asked"] is None else Asked(**fields["asked"])
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
