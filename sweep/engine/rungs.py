"""Rungs: who has come how far, which arms go on and which are stopped; arms, never single seeds.

An arm is complete at a rung when every seed that still lives has reported there; it is ranked by
the mean over them. It goes on when it is among the best `1/reduction` of those complete so far, and
is stopped when it cannot be among them any more, whoever still comes. So nobody waits for ever: a
rung that nobody else can reach decides everyone on it.

The baseline is never stopped and takes nobody's place: every comparison needs it.

Source:
    Li et al. (2020), arXiv:1810.05934, algorithm 2; stopping what can no longer be promoted is
    ours, since the number of arms of a design is known.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

RankKey = tuple[float, int, str]
"""Better first: the mean, turned so that less is better, then plan order; then the arm's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RungStanding:
    """One rung of one field of competitors at one moment."""

    rung: int
    """From 0."""
    field: int
    """Arms are compared within a stage only; its number."""
    ranked: tuple[RankKey, ...]
    """Every arm complete here, best first, the reference left out."""
    waiting: tuple[RankKey, ...]
    """Those that wait to be judged."""
    reference: str | None
    """The baseline, if it waits here."""
    reachable: int
    """How many arms can ever be complete here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What becomes of an arm at a rung."""

    arm: str
    rung: int
    goes_on: bool
    rank: int
    """From 1; 0 for the reference."""
    among: int
    """Arms complete there (if it goes on), or that can ever be."""
    score: float | None
    """Mean objective at the rung."""


def judge(standings: Iterable[RungStanding], *, reduction: int, sign: float) -> list[Judgement]:
    """Every arm that can be judged now, the furthest rungs first.

    Args:
        standings: All rungs of the sweep.
        reduction: One arm in so many goes on.
        sign: 1 when more of the objective is better, -1 when less is.
    """
    found = []
    for standing in sorted(standings, key=lambda each: (-each.rung, each.field)):
        if standing.reference is not None:
            found.append(
                Judgement(
                    arm=standing.reference,
                    rung=standing.rung,
                    goes_on=True,
                    rank=0,
                    among=len(standing.ranked),
                    score=None,
                )
            )
        found += _judged(standing, reduction, sign)
    return found


def places(complete: int, reachable: int, reduction: int) -> int:
    """How many of those complete at a rung may go on by now."""
    return max(1, complete // reduction) if complete >= reachable else complete // reduction


def _judged(standing: RungStanding, reduction: int, sign: float) -> Iterator[Judgement]:
    """Those surely in from the best downwards, those surely out from the worst upwards."""
    ranked, reachable = standing.ranked, standing.reachable
    now = places(len(ranked), reachable, reduction)
    at_last = max(1, reachable // reduction)

    def judgement(key: RankKey, rank: int, *, goes_on: bool) -> Judgement:
        return Judgement(
            arm=key[2],
            rung=standing.rung,
            goes_on=goes_on,
            rank=rank,
            among=len(ranked) if goes_on else reachable,
            score=-sign * key[0] if math.isfinite(key[0]) else None,
        )

    for key in standing.waiting:
        rank = bisect.bisect_left(ranked, key) + 1
        if rank > now:
            break
        yield judgement(key, rank, goes_on=True)
    for key in reversed(standing.waiting):
        rank = bisect.bisect_left(ranked, key) + 1
        if rank <= max(now, at_last):
            break
        yield judgement(key, rank, goes_on=False)


@dataclass(slots=True)
class _Rung:
    ranked: list[RankKey]
    waiting: list[RankKey]
    lost: int = 0
    """Arms stopped here."""
    out: int = 0
    """Arms that are over without having been complete here."""


class RungBoard:
    """One field of arms on their way; the fold keeps it, views get `standings`."""

    def __init__(self, rungs: int, *, field: int, sign: float) -> None:
        self._rungs = [_Rung([], []) for _ in range(rungs)]
        self._field = field
        self._sign = sign
        self._arms: set[str] = set()
        self._entries: dict[tuple[int, str], RankKey] = {}
        self._out: set[tuple[int, str]] = set()
        self._reference: tuple[int, str] | None = None
        self._cached: dict[int, RungStanding] = {}

    def join(self, arm: str) -> None:
        """Another arm competes."""
        if arm not in self._arms:
            self._arms.add(arm)
            self._cached.clear()

    def complete(self, arm: str, rung: int, *, mean: float, position: int, waits: bool) -> None:
        """Every living seed of an arm has reported at a rung; `waits`: it is to be judged there."""
        turned = -self._sign * mean if math.isfinite(mean) else math.inf
        key = (turned, position, arm)
        if self._entries.get((rung, arm)) == key and waits == _holds(
            self._rungs[rung].waiting, key
        ):
            return
        self.withdraw(arm, rung)
        self._entries[rung, arm] = key
        bisect.insort(self._rungs[rung].ranked, key)
        if waits:
            bisect.insort(self._rungs[rung].waiting, key)
        self._cached.pop(rung, None)

    def is_complete(self, arm: str, rung: int) -> bool:
        """Whether the arm counts as complete at a rung, judged there or not."""
        return (rung, arm) in self._entries

    def withdraw(self, arm: str, rung: int) -> None:
        """An arm is not complete at a rung any more: a seed of it lives again."""
        key = self._entries.pop((rung, arm), None)
        if key is not None:
            _remove(self._rungs[rung].ranked, key)
            self._leave(rung, key)

    def decided(self, arm: str, rung: int, *, goes_on: bool) -> None:
        """The arm was judged at a rung."""
        if self._reference == (rung, arm):
            self._reference = None
            self._cached.pop(rung, None)
        key = self._entries.get((rung, arm))
        if key is not None:
            self._leave(rung, key)
        if not goes_on:
            self._rungs[rung].lost += 1
            self._cached.clear()

    def reference_waits(self, arm: str, rung: int) -> None:
        """The baseline is complete at a rung."""
        self._reference = (rung, arm)
        self._cached.pop(rung, None)

    def set_over(self, arm: str, *, over: bool, rung: int) -> None:
        """Whether an arm will never be complete at a rung and beyond, though it was not stopped."""
        for each in range(rung, len(self._rungs)):
            is_out = over and (each, arm) not in self._entries
            if is_out != ((each, arm) in self._out):
                self._rungs[each].out += 1 if is_out else -1
                (self._out.add if is_out else self._out.discard)((each, arm))
                self._cached.pop(each, None)

    def standings(self, *, to_come: int) -> Iterator[RungStanding]:
        """Every rung as it is now; `to_come`: arms that will still join."""
        lost_before = 0
        for rung, state in enumerate(self._rungs):
            reachable = len(self._arms) + to_come - lost_before - state.out
            cached = self._cached.get(rung)
            if cached is None or cached.reachable != reachable:
                waits = self._reference is not None and self._reference[0] == rung
                cached = RungStanding(
                    rung=rung,
                    field=self._field,
                    ranked=tuple(state.ranked),
                    waiting=tuple(state.waiting),
                    reference=self._reference[1] if waits and self._reference else None,
                    reachable=reachable,
                )
                self._cached[rung] = cached
            yield cached
            lost_before += state.lost

    def _leave(self, rung: int, key: RankKey) -> None:
        _remove(self._rungs[rung].waiting, key)
        self._cached.pop(rung, None)


def _holds(ordered: list[RankKey], key: RankKey) -> bool:
    """Whether a sorted list has a key."""
    index = bisect.bisect_left(ordered, key)
    return index < len(ordered) and ordered[index] == key


def _remove(ordered: list[RankKey], key: RankKey) -> None:
    """Take a key out of a sorted list, if it is there."""
    index = bisect.bisect_left(ordered, key)
    if index < len(ordered) and ordered[index] == key:
        del ordered[index]
