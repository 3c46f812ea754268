"""How long a driver waits for whom, and what may end it before its sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the driver waits for whom, in seconds."""

    grace: float = 30.0
    """For a trial that was told to stop: until its next report and checkpoint."""
    queueing: float = 60.0
    """For an actor to begin, before no further ones are asked for."""
    silence: float = 120.0
    """For an actor that has stopped ticking."""


DEFAULT_PATIENCE = Patience()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What may end a driver before its sweep: asked in every round."""

    interrupted: Callable[[], bool]
    lost: Callable[[], bool]
