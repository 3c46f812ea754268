"""Smaller micro batches for a trial that ran out of memory: the same training in smaller bites.

The global batch stays what it was, so the weights are the same to rounding, and so is the identity.
"""

from __future__ import annotations

from trainer.config import TrainerConfig

MOST_SHRINKS = 4
"""Half, a quarter, an eighth, a sixteenth; what does not fit then does not fit at all."""


def smaller_sizes(config: TrainerConfig) -> tuple[int, ...]:
    """Micro batches to try one after another, in pairs per rank, or in tokens where these count.

    None when it is one pair.
    """
    tokens = config.machine.micro_batch_tokens
    if tokens is not None:
        return tuple(tokens >> times for times in range(1, MOST_SHRINKS + 1) if tokens >> times)
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
    counted = (
        "micro_batch_pairs" if config.machine.micro_batch_tokens is None else "micro_batch_tokens"
    )
    machine = config.machine.model_copy(update={counted: smaller_sizes(config)[times - 1]})
    return config.model_copy(update={"machine": machine})
