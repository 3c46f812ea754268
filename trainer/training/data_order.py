"""Which items each optimizer step sees: a function of the seed and the step, of nothing else.

Not of the ranks, the micro batches or where a training was resumed. Orders are the only thing here
that grows with the items: 8 bytes each and pass, of which two are kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from infra.errors import DataError
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.phases import Phase, phase_of_step, training_phases


class DataOrder:
    """Endless passes over the items, each in an order of its own."""

    def __init__(self, count: int, *, batch: int, seed: int, phase: int | None = None) -> None:
        self._count = count
        self._batch = batch
        self._seed = [seed] if phase is None else [seed, phase]
        self._passes: dict[int, np.ndarray] = {}

    def step(self, step: int) -> list[int]:
        """Item indices of one optimizer step, counted from 0."""
        first = step * self._batch
        return [
            int(self._pass(position // self._count)[position % self._count])
            for position in range(first, first + self._batch)
        ]

    def shown(self, first: int, last: int) -> np.ndarray:
        """Indices of all items that the steps from `first` up to, not with, `last` see; ascending.

        Steps that hold a whole pass, of which there may be millions, see everything.
        """
        start, end = first * self._batch, last * self._batch
        if -(-start // self._count) * self._count + self._count <= end:
            return np.arange(self._count)
        seen = np.zeros(self._count, dtype=bool)
        for number in range(start // self._count, -(-end // self._count)):
            begin = number * self._count
            seen[self._pass(number)[max(start - begin, 0) : end - begin]] = True
        return np.flatnonzero(seen)

    def _pass(self, number: int) -> np.ndarray:
        if number not in self._passes:
            # Two are kept: a step may straddle the end of one pass and the start of the next.
            self._passes = {k: v for k, v in self._passes.items() if k >= number - 1}
            generator = np.random.default_rng([*self._seed, number])
            self._passes[number] = generator.permutation(self._count)
        return self._passes[number]


class PhasedOrder:
    """The order of a training in phases: each takes its own sources, in passes of their own.

    Phases that use every source go on with one common order, as if there were no phases.
    """

    def __init__(
        self, items: Sequence[PreferenceItem], phases: tuple[Phase, ...], *, batch: int, seed: int
    ) -> None:
        self._phases = phases
        self._count = len(items)
        self._everything = DataOrder(len(items), batch=batch, seed=seed)
        self._some: dict[int, tuple[np.ndarray, DataOrder]] = {}
        for phase in phases:
            if phase.sources is not None:
                kept = _places_of(items, phase.sources)
                if not len(kept):
                    raise DataError(
                        f"strategy.phases: phase {phase.number + 1} uses "
                        f"{', '.join(phase.sources)} alone, of which an epoch of {len(items)} "
                        "pairs holds none; raise data.pairs or their data.weights"
                    )
                order = DataOrder(len(kept), batch=batch, seed=seed, phase=phase.number)
                self._some[phase.number] = kept, order

    def step(self, step: int) -> list[int]:
        """Item indices of one optimizer step, counted from 0."""
        phase = phase_of_step(self._phases, step)
        if phase.number not in self._some:
            return self._everything.step(step)
        kept, order = self._some[phase.number]
        return [int(kept[index]) for index in order.step(step - phase.first)]

    def shown(self) -> np.ndarray:
        """Indices of all items that any step sees, in their own order."""
        shown = np.zeros(self._count, dtype=bool)
        for phase in self._phases:
            if phase.number in self._some:
                kept, order = self._some[phase.number]
                shown[kept[order.shown(0, phase.last - phase.first)]] = True
            else:
                shown[self._everything.shown(phase.first, phase.last)] = True
        return np.flatnonzero(shown)


def _places_of(items: Sequence[PreferenceItem], sources: Sequence[str]) -> np.ndarray:
    found = (place for place, item in enumerate(items) if item.source in sources)
    return np.fromiter(found, dtype=np.int64)


def training_order(config: TrainerConfig, items: Sequence[PreferenceItem]) -> PhasedOrder:
    """The order of a config's whole training.

    Raises:
        DataError: If a phase's sources have no item among these.
    """
    return PhasedOrder(
        items, training_phases(config), batch=config.strategy.batch_pairs, seed=config.seed
    )


def micro_batches(
    indices: list[int],
    lengths: list[int],
    *,
    rank: int,
    size: int,
    micro: int,
    padded: bool = True,
) -> list[list[int]]:
    """A rank's share of a step, cut into micro batches.

    Args:
        indices: The step's items.
        lengths: How much work each is; sorting by it keeps padding down.
        rank: Of this process.
        size: Ranks.
        micro: Items in one micro batch; divides the rank's share.
        padded: Whether rows are padded to the longest beside them, so that a micro batch should
            hold like-sized items. Else all should take as much work as one another: the peak of
            memory is then that of the average, and no rank waits for another.
    """
    ordered = [indices[i] for i in np.argsort(np.asarray(lengths), kind="stable")]
    if not padded:
        count = len(indices) // micro
        dealt: list[list[int]] = [[] for _ in range(count)]
        for start in range(0, len(ordered), count):
            # Back and forth: who got the longest of one round gets the shortest of the next.
            turn = start // count % 2
            for place, index in enumerate(ordered[start : start + count]):
                dealt[count - 1 - place if turn else place].append(index)
        return dealt[rank::size]
    # Ranks take turns within a slice of like-sized items: each gets as much work as the next.
    slices = [
        ordered[start : start + micro * size] for start in range(0, len(ordered), micro * size)
    ]
    return [each[rank::size] for each in slices]
