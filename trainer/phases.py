"""The phases of a training: which steps are whose, at which rate, on what; torch-free.

Every training has at least one. Phases follow from the config alone, so that every rank and every
resumed training finds itself in the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from trainer.config import TrainerConfig
from trainer.strategy_config import FreezeConfig, StrategyConfig
from trainer.training.schedule import schedule_factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Steps `first` to `last` - 1 of a training, counted from 0."""

    number: int
    first: int
    last: int
    learning_rate: float
    freeze: FreezeConfig
    sources: tuple[str, ...] | None
    """Data sources whose items are used; all when absent."""

    def rate(self, step: int, strategy: StrategyConfig) -> float:
        """Learning rate of one of its steps; each phase has a schedule of its own."""
        return self.learning_rate * schedule_factor(
            step - self.first, self.last - self.first, strategy.schedule, strategy.warmup
        )


def training_phases(config: TrainerConfig) -> tuple[Phase, ...]:
    """The phases of a training, in order and without a gap."""
    strategy, total = config.strategy, config.total_steps
    if not strategy.phases:
        rate = strategy.learning_rate
        whole = Phase(
            number=0,
            first=0,
            last=total,
            learning_rate=rate,
            freeze=strategy.freeze,
            sources=None,
        )
        return (whole,)
    ends = [round(part * total) for part in accumulate(phase.share for phase in strategy.phases)]
    return tuple(
        Phase(
            number=number,
            first=first,
            last=last,
            learning_rate=phase.learning_rate or strategy.learning_rate,
            freeze=phase.freeze or strategy.freeze,
            sources=phase.sources,
        )
        for number, (phase, first, last) in enumerate(
            zip(strategy.phases, [0, *ends], ends, strict=False)
        )
    )


def phase_of_step(phases: tuple[Phase, ...], step: int) -> Phase:
    """The phase that takes a step, counted from 0."""
    return next(phase for phase in phases if step < phase.last)


def is_ever_free(config: TrainerConfig, part: str) -> bool:
    """Whether any phase trains a part of the backbone."""
    return any(not getattr(phase.freeze, part) for phase in training_phases(config))
