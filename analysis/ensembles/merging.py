"""Merges as candidates: the average of the weights of models alike, scored like any model.

A merge costs one model's scoring where an ensemble costs one per member (WARM, arXiv 2401.12187).
Invariant: which models are averaged follows from their arms and architecture, never from how they
did, so that held-out pairs judge a merge as if it had been trained; which merge is taken is chosen
on validation pairs, as everything else is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from analysis.ensembles.candidates import Candidate, response_frame
from analysis.ensembles.joining import Candidates, beside, misfit
from infra.errors import CorruptObjectError, InputError, MissingObjectError, TrialFailure
from infra.object_store import ObjectStore
from trainer.identity import canonical_json
from trainer.members.ensemble_file import ModelReference
from trainer.members.merges import architecture, merge_identity, merge_score_key
from trainer.scores import read_scores, write_scores

MERGED = "merged"
"""The method's name."""

MOST_MERGES = 8
"""Merges that are scored at most, of arms best first: each costs a model's scoring."""

_OF_NO_RECIPE = {"seed", "evaluation", "machine"}

Models = tuple[ModelReference, ...]
ScoreMerge = Callable[[Models, Sequence[str]], Mapping[str, pa.Table]]
"""Scores the average of some models on benchmarks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merging:
    """Where the scores of merges come from."""

    store: ObjectStore
    """Keeps them: a merge is scored once."""
    score: ScoreMerge | None = None
    """Absent: only what was scored before takes part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Models that may be averaged."""

    label: str
    arm: str
    models: Models


def possible_merges(members: Sequence[Candidate]) -> list[Merge]:
    """The seeds of every arm together, arms best first, and all models of one architecture.

    Arms of two sweeps are one where name and config are: both may have a `baseline` of their own.

    Args:
        members: Best first; those without a model of their own are passed over.
    """
    by_arm: dict[tuple[str, str], list[Candidate]] = {}
    families: dict[str, dict[tuple[str, str], None]] = {}
    for member in members:
        if member.config is None or len(member.models) != 1:
            continue
        recipe = canonical_json(member.config.model_dump(mode="json", exclude=_OF_NO_RECIPE))
        arm = member.arm, recipe
        by_arm.setdefault(arm, []).append(member)
        families.setdefault(canonical_json(architecture(member.config)), {})[arm] = None
    merges = []
    for arms in families.values():
        if len(arms) > 1:
            every = [member for arm in arms for member in by_arm[arm]]
            merges.append(_merge(f"all {len(every)} models of {len(arms)} arms", "", every))
    for (name, _), held in by_arm.items():
        if len(held) > 1:
            seeds = sorted(member.seed for member in held if member.seed is not None)
            merges.append(_merge(f"{name} seeds {', '.join(map(str, seeds))}", name, held))
    return merges[:MOST_MERGES]


def merged_candidates(
    candidates: Candidates, merging: Merging, *, validation: str, test: str | None
) -> tuple[Candidates | None, list[str]]:
    """Merges of the candidates, on the very items these were compared on; and what to say of them.

    Args:
        candidates: The models that are averaged.
        merging: Where scores come from.
        validation: Benchmark to choose on.
        test: Benchmark to be judged on later.

    Raises:
        InputError: If a benchmark is of the wrong split.
    """
    merges = possible_merges(candidates.members)
    notes: list[str] = []
    benchmarks = [validation] if test is None else [validation, test]
    found = list(_scored(merges, merging, benchmarks, candidates, notes))
    merged = beside(candidates, found, left_out=notes)
    unscored = len(merges) - len(found)
    if merging.score is None and unscored:
        notes.append(
            f"{_count(unscored, 'set')} of models could be averaged into one model that costs one "
            "to score; `rmsweep ensemble --merge` scores them and weighs them with the rest"
        )
    return merged, notes


def _merge(label: str, arm: str, members: Sequence[Candidate]) -> Merge:
    # In an order of their own: what is averaged is scored under the first one's config.
    models = sorted(
        (model for member in members for model in member.models),
        key=lambda model: model.model_digest,
    )
    return Merge(label=f"weights of {label}", arm=arm, models=tuple(models))


def _scored(
    merges: Sequence[Merge],
    merging: Merging,
    benchmarks: Sequence[str],
    candidates: Candidates,
    notes: list[str],
) -> Iterator[Candidate]:
    for merge in merges:
        known = _known(merge, merging.store, benchmarks)
        if merging.score is None:
            if known is not None:
                yield known
            continue
        # Scores of a benchmark that was defined otherwise then are made anew.
        if known is None or misfit(known, candidates.shared):
            try:
                made = merging.score(merge.models, benchmarks)
            except (InputError, CorruptObjectError, TrialFailure) as error:
                notes.append(f"{merge.label} cannot be averaged: {error}")
                continue
            for name, table in made.items():
                merging.store.write(merge_score_key(merge.models, name), write_scores(table))
            known = _candidate(merge, [made[name] for name in benchmarks])
        yield known


def _known(merge: Merge, store: ObjectStore, benchmarks: Sequence[str]) -> Candidate | None:
    """A merge with its scores from before; none where they are not there, or cannot be read."""
    try:
        tables = [
            read_scores(store.read(merge_score_key(merge.models, name))) for name in benchmarks
        ]
    except (MissingObjectError, InputError):
        return None
    return _candidate(merge, tables)


def _candidate(merge: Merge, tables: Sequence[pa.Table]) -> Candidate:
    frames = [response_frame(table) for table in tables]
    return Candidate(
        label=merge.label,
        identity=merge_identity(merge.models),
        arm=merge.arm,
        seed=None,
        models=merge.models,
        validation=frames[0],
        test=frames[1] if len(frames) > 1 else None,
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
