"""What a config trains on and is measured with: shares, repetitions, items left out, leaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trainer.config import TrainerConfig
from trainer.data.inspection import NEAR_THRESHOLD
from trainer.data.mixed_items import mixed
from trainer.data.mixture import items_by_benchmark, training_parts
from trainer.data.screening import Contamination, Screen


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareFigures:
    """One source's part of an epoch."""

    items: int
    different: int

    @property
    def repeated(self) -> float:
        """How often each different item comes up in one epoch."""
        return self.items / self.different


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakFigures:
    """One benchmark against the training items."""

    split: str
    items: int
    leaked: int
    """Items that share an image, or a prompt without one, with a training item."""
    nearly_leaked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MixInspection:
    """A config's data."""

    shares: Mapping[str, ShareFigures]
    left_out: Mapping[str, int]
    """Items that a source had but are not trained on, by reason."""
    benchmarks: Mapping[str, LeakFigures]

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def inspect_mix(config: TrainerConfig) -> MixInspection:
    """Draw what a config trains on and is measured with, and compare the two.

    Raises:
        DataError: If a source holds nothing that can be used, or a benchmark too little.
    """
    screen = Screen(config.data) if config.data.filtered else None
    parts = training_parts(config.data, screen)
    trained = mixed([part.different() for part in parts])
    same = Contamination(trained, near=False, threshold=1.0)
    alike = Contamination(trained, near=True, threshold=NEAR_THRESHOLD)
    leaks = {}
    for name, items in items_by_benchmark(config.data, config.evaluation).items():
        exact = sum(same.reason(item) is not None for item in items)
        near = sum(alike.reason(item) is not None for item in items)
        leaks[name] = LeakFigures(
            split=config.evaluation.benchmarks[name].split,
            items=len(items),
            leaked=exact,
            nearly_leaked=near - exact,
        )
    return MixInspection(
        shares={
            part.name: ShareFigures(items=part.count, different=min(part.count, len(part.items)))
            for part in parts
        },
        left_out={} if screen is None else {r.value: n for r, n in screen.left_out.items()},
        benchmarks=leaks,
    )
