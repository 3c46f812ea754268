"""Smaller micro batches for a trial that ran out of memory: the same training in smaller bites.

The global batch stays what it was, so the weights are the same to rounding, and so is the identity.
"""

from __future__ import annotations

from trainer.config import TrainerConfig

MOST_SHRINKS = 4
"""Half, a quarter, an eighth, a sixteenth; what does not fit then does not fit at all."""


def smaller_sizes(config: TrainerConfig) -> tuple[int, ...]:
    """Micro batches to try one after another, in pairs per rank; none when it is one pair."""
    share = config.strategy.batch_pairs // config.machine.workers
    size = config.machine.micro_batch_pairs or share
    sizes: list[int] = []
    while size > 1 and len(sizes) < MOST_SHRINKS:
        size = next(each for each in range(size // 2, 0, -1) if share % each == 0)
        sizes.append(size)
    return tuple(sizes)


def shrunk(config: TrainerConfig, times: int) -> TrainerConfig:
    """The config with its micro batch made smaller so often; as it is when `times` is 0.

    Raises:
        IndexError: If it cannot be made smaller so often.
    """
    if times == 0:
        return config
    machine = config.machine.model_copy(
        update={"micro_batch_pairs": smaller_sizes(config)[times - 1]}
    )
    return config.model_copy(update={"machine": machine})
