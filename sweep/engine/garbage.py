"""Which checkpoints nobody needs any more.

A trial that trained to its end is its model; its checkpoints are superfluous. Of any other trial
that nobody runs, its last complete checkpoint (it is resumed from there), its best by the sweep's
objective and those it was promoted from are kept. What a live attempt may use is never named.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sweep.records.lifecycle import TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrial:
    """One trial and what the store holds of its checkpoints."""

    identity: str
    state: TrialState
    under_way: bool
    """An attempt is running, or may be."""
    last_step: int | None
    """The complete checkpoint the ledger names; a resumed attempt starts there."""
    keys: Mapping[int, Sequence[str]]
    """Keys of the store by the step of their checkpoint."""
    scores: Mapping[int, float] = field(default_factory=dict)
    """The objective by step, as reported, higher is better."""
    promoted_steps: Collection[int] = ()
    """Steps of the rungs it went on from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Superfluous:
    """One checkpoint to be removed."""

    identity: str
    step: int
    keys: tuple[str, ...]
    """The manifest first: without it no half of a checkpoint can be taken for a whole."""
    reason: str


def superfluous_checkpoints(trial: StoredTrial) -> list[Superfluous]:
    """The checkpoints of one trial that nobody needs, oldest first."""
    if trial.under_way:
        return []
    reason = "the trial is finished; its model is kept"
    kept: set[int] = set()
    if trial.state is not TrialState.SUCCEEDED:
        reason = "neither last, best nor promoted"
        kept = _needed(trial)
    return [
        Superfluous(
            identity=trial.identity,
            step=step,
            keys=tuple(sorted(trial.keys[step], key=lambda key: not _is_manifest(key))),
            reason=reason if _is_complete(trial.keys[step]) else "it was never completed",
        )
        for step in sorted(trial.keys)
        if step not in kept
    ]


def _needed(trial: StoredTrial) -> set[int]:
    complete = [step for step, keys in trial.keys.items() if _is_complete(keys)]
    needed = {step for step in trial.promoted_steps if step in complete}
    if trial.last_step is not None:
        needed.add(trial.last_step)
    if complete and trial.last_step not in complete:
        needed.add(max(complete))  # the ledger has not heard of it yet, or its own is gone
    scored = [step for step in complete if step in trial.scores]
    if scored:
        needed.add(max(scored, key=lambda step: (trial.scores[step], step)))
    return needed


def _is_complete(keys: Sequence[str]) -> bool:
    return any(_is_manifest(key) for key in keys)


def _is_manifest(key: str) -> bool:
    return key.endswith("/manifest.json")
