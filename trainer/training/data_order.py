"""Which items each optimizer step sees: a function of the seed and the step, of nothing else.

Not of the ranks, the micro batches or where a training was resumed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
        self._some: dict[int, tuple[list[int], DataOrder]] = {}
        for phase in phases:
            if phase.sources is not None:
                kept = [i for i, item in enumerate(items) if item.source in phase.sources]
                order = DataOrder(len(kept), batch=batch, seed=seed, phase=phase.number)
                self._some[phase.number] = kept, order

    def step(self, step: int) -> list[int]:
        """Item indices of one optimizer step, counted from 0."""
        phase = phase_of_step(self._phases, step)
        if phase.number not in self._some:
            return self._everything.step(step)
        kept, order = self._some[phase.number]
        return [kept[index] for index in order.step(step - phase.first)]

    def shown(self) -> list[int]:
        """Indices of all items that any step sees, in their own order."""
        shown: set[int] = set()
        for phase in self._phases:
            seen: set[int] = set()
            kept, _ = self._some.get(phase.number, (range(self._count), None))
            for step in range(phase.first, phase.last):
                seen.update(self.step(step))
                if len(seen) == len(kept):
                    break  # further passes, of which there may be millions, show the same
            shown |= seen
        return sorted(shown)


def training_order(config: TrainerConfig, items: Sequence[PreferenceItem]) -> PhasedOrder:
    """The order of a config's whole training."""
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
