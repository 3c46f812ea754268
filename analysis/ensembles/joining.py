"""Candidates side by side: on the items every one of them has a finite score for.

Invariant: how many items those are, and who was left out for which reason, is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from analysis.ensembles.candidates import Candidate
from analysis.ensembles.panel import RESPONSE_KEY, Panel, make_panel, outcomes
from analysis.outcomes import refuse_shared_groups
from infra.errors import InputError

SHARED_AT_LEAST = 0.5
"""A model that would halve the items of the others is left out instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Candidates, best first, side by side."""

    members: tuple[Candidate, ...]
    validation: Panel
    test: Panel | None
    """Absent when there is no test benchmark."""
    left_out: tuple[str, ...]
    """`arm seed n: reason`, one per model that could not join."""
    notes: tuple[str, ...]
    """What else a reader must know: items that were intersected away."""
    shared: Mapping[str, pd.DataFrame] = field(repr=False)
    """Responses all have scores for, and their ranks, by part: `validation`, `test`."""

    def first(self, count: int) -> Candidates:
        """The best of them on all validation pairs."""
        rows = range(min(count, len(self.members)))
        return replace(
            self,
            members=self.members[:count],
            validation=self.validation.members(rows),
            test=None if self.test is None else self.test.members(rows),
        )


def side_by_side(
    candidates: Iterator[Candidate], *, at_most: int, left_out: list[str]
) -> Candidates:
    """The first candidates that can be compared, on the items all of them share.

    Of different sets of items the one of middling size is what others are held against: a model
    with a few easy items may well be the best, and must not take the others' items from them.

    Args:
        candidates: Best first.
        at_most: Stops reading when so many have usable scores.
        left_out: Gets a line for every one that cannot join.

    Raises:
        InputError: If fewer than two can, no pair is left, or selection and report share items.
    """
    read: list[tuple[Candidate, dict[str, pd.DataFrame]]] = []
    for candidate in candidates:
        if len(read) == at_most:
            left_out.append(
                f"{candidate.label} and those ranked below it: members are chosen from {at_most} "
                "models, the best by all validation pairs, so that figures of held-out pairs "
                "flatter somewhat (--at-most N takes more)"
            )
            break
        own = _join(_frames(candidate), {})
        if isinstance(own, str):
            left_out.append(f"{candidate.label}: {own}")
        else:
            read.append((candidate, own))
    joined: list[Candidate] = []
    common = _middling([own for _, own in read])
    seen: dict[str, int] = {}
    for candidate, _ in read:
        fitting = _join(_frames(candidate), common)
        if isinstance(fitting, str):
            left_out.append(f"{candidate.label}: {fitting}")
            continue
        common = fitting
        for part, frame in _frames(candidate).items():
            seen[part] = max(seen.get(part, 0), frame["item_id"].nunique())
        joined.append(candidate)
    if len(joined) < 2:
        raise InputError(_too_few(len(joined), left_out))
    members, validation = _ordered(joined, common["validation"])
    test = _test_panel(members, common)
    if test is not None:
        refuse_shared_groups(validation.group_names, test.group_names)
    return Candidates(
        members=tuple(members),
        validation=validation,
        test=test,
        left_out=tuple(left_out),
        notes=tuple(_intersections(common, seen)),
        shared=common,
    )


def beside(
    candidates: Candidates, others: Iterable[Candidate], *, left_out: list[str]
) -> Candidates | None:
    """Other candidates on the very items these were compared on; none when none of them fits.

    Args:
        candidates: What the others are compared with later, pair by pair.
        others: In any order.
        left_out: Gets a line for every one that cannot join.
    """
    joined = []
    for other in others:
        reason = misfit(other, candidates.shared)
        if reason:
            left_out.append(f"{other.label}: {reason}")
        else:
            joined.append(other)
    if not joined:
        return None
    members, validation = _ordered(joined, candidates.shared["validation"])
    return replace(
        candidates,
        members=tuple(members),
        validation=validation,
        test=_test_panel(members, candidates.shared),
    )


def misfit(candidate: Candidate, shared: Mapping[str, pd.DataFrame]) -> str:
    """Why a candidate cannot be judged on all of these items; empty when it can."""
    fitting = _join(_frames(candidate), shared)
    if isinstance(fitting, str):
        return fitting
    if any(len(fitting[part]) < len(frame) for part, frame in shared.items()):
        return "it was not scored on every item the others share"
    return ""


def _frames(candidate: Candidate) -> dict[str, pd.DataFrame]:
    frames = {"validation": candidate.validation}
    return frames if candidate.test is None else frames | {"test": candidate.test}


def _middling(owned: Sequence[dict[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The first of those with the lower median of responses; none of none."""
    sizes = [sum(map(len, own.values())) for own in owned]
    return owned[sizes.index(sorted(sizes)[(len(sizes) - 1) // 2])] if owned else {}


def _test_panel(members: Sequence[Candidate], common: Mapping[str, pd.DataFrame]) -> Panel | None:
    if "test" not in common:
        return None
    return make_panel({each.label: _restricted(each.test, common["test"]) for each in members})


def _join(
    frames: Mapping[str, pd.DataFrame], common: Mapping[str, pd.DataFrame]
) -> dict[str, pd.DataFrame] | str:
    """The items left with one more candidate, by benchmark, or why it cannot join."""
    if common and set(frames) != set(common):
        return "scored on other benchmarks than the others"
    left = {}
    for part, frame in frames.items():
        finite = np.isfinite(frame["score"].to_numpy(dtype=np.float64))
        if not finite.any():
            return f"none of its {part} scores is a number"
        if np.ptp(frame["score"].to_numpy()[finite]) == 0:
            return f"it gives every {part} response the same score"
        keys = frame[[*RESPONSE_KEY, "rank"]]
        if part in common and finite.all() and keys.equals(common[part]):
            left[part] = common[part]
            continue
        broken = set(frame["item_id"][~finite])
        own = frame[~frame["item_id"].isin(broken)]
        if part not in common:
            left[part] = own[[*RESPONSE_KEY, "rank"]]
            continue
        both = common[part].merge(own[[*RESPONSE_KEY, "rank"]], on=RESPONSE_KEY, how="left")
        if (both["rank_y"].notna() & (both["rank_x"] != both["rank_y"])).any():
            return f"its {part} items carry other labels than the others'"
        # An item takes part as a whole or not at all.
        lacking = set(both["item_id"][both["rank_y"].isna()])
        kept = common[part][~common[part]["item_id"].isin(lacking)]
        if len(kept) < SHARED_AT_LEAST * len(common[part]):
            return (
                f"scored on other {part} items: it has {kept['item_id'].nunique()} of the "
                f"{common[part]['item_id'].nunique()} the others share"
            )
        left[part] = kept
    return left


def _restricted(frame: pd.DataFrame | None, common: pd.DataFrame) -> pd.DataFrame:
    assert frame is not None
    if frame[RESPONSE_KEY].equals(common[RESPONSE_KEY]):
        return frame  # as most models are: the merge takes longer than reading the scores
    return common[RESPONSE_KEY].merge(frame, on=RESPONSE_KEY, how="left", validate="one_to_one")


def _ordered(joined: Sequence[Candidate], common: pd.DataFrame) -> tuple[list[Candidate], Panel]:
    """Candidates and their validation panel, best first."""
    names: dict[str, Candidate] = {}
    for candidate in joined:
        name = candidate.label
        if name in names:  # two sweeps may both have a baseline
            name = f"{name} ({candidate.identity[:8]})"
        names[name] = candidate
    panel = make_panel({name: _restricted(each.validation, common) for name, each in names.items()})
    if not panel.pairs:
        raise InputError(
            "the validation benchmark holds no pair of responses of different ranks, so there is "
            "nothing to choose by"
        )
    if not outcomes(np.abs(panel.margins(panel.scores)), "ties are wrong").any():
        raise InputError("every model gives both responses of every pair the same score")
    order = panel.best_first
    members = [replace(names[panel.names[row]], label=panel.names[row]) for row in order]
    return members, panel.members(order.tolist())


def _intersections(common: Mapping[str, pd.DataFrame], seen: Mapping[str, int]) -> Iterator[str]:
    for part, frame in common.items():
        kept = frame["item_id"].nunique()
        if kept < seen[part]:
            yield (
                f"{kept:,} of {seen[part]:,} {part} items have a finite score from every candidate "
                "and were used"
            )


def _too_few(count: int, left_out: Sequence[str]) -> str:
    return (
        "an ensemble needs at least 2 trained models scored on the same items, there "
        f"{'is' if count == 1 else 'are'} {count}"
        + (f"; left out: {'; '.join(left_out[:5])}" if left_out else "")
    )
