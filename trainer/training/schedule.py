"""The learning rate of every step: a function of the step alone, so a resumed training finds it."""

from __future__ import annotations

import math

from trainer.strategy_config import Schedule


def schedule_factor(step: int, total: int, schedule: Schedule, warmup: float) -> float:
    """Learning rate of a step, counted from 0, as a part of the peak.

    Args:
        step: Below `total`.
        total: Steps of the whole training.
        schedule: What happens after warm-up; linear and cosine would reach 0 at step `total`.
        warmup: Part of the steps over which the rate rises linearly.
    """
    warm = math.ceil(warmup * total)
    if step < warm:
        return (step + 1) / (warm + 1)
    if schedule == "constant":
        return 1.0
    done = (step - warm) / max(1, total - warm)
    if schedule == "linear":
        return 1.0 - done
    return 0.5 * (1.0 + math.cos(math.pi * done))
