"""How long a driver waits for whom, and what may end it before its sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the driver waits for whom, in seconds."""

    grace: float = 240.0
    """For a trial that was told to stop, until it has: no budget is overshot by more than this and
    a tick. It stops at its next step, but that step may lie behind the loading of a backbone or an
    evaluation, and the checkpoint of a few billion weights takes a minute to upload: ranks ended
    too early lose what they trained since their last one."""
    queueing: float = 60.0
    """For an actor to begin, before no further ones are asked for."""
    silence: float = 120.0
    """For an actor that has stopped ticking."""

    @property
    def answer(self) -> float:
        """For a trial that was told to stop to report that it does: half of the grace."""
        return self.grace / 2

    def why_paused(self, *, begun: bool) -> str:
        """Why an order that was to stop is closed without having said so."""
        if not begun:
            return "it was to stop before it had begun"
        return (
            f"it was to stop and had not within {self.grace:g} s, or had not said so within "
            f"{self.answer:g} s; its ranks were ended"
        )

    def why_lost(self, node: str) -> str:
        """Why an order whose actor fell silent is closed."""
        return f"its actor on {node} was not heard for {self.silence:.0f} s"


DEFAULT_PATIENCE = Patience()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What may end a driver before its sweep: asked in every round."""

    interrupted: Callable[[], bool]
    lost: Callable[[], bool]
