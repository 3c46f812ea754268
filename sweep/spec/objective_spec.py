"""`ObjectiveSpec`: what a sweep selects by."""

from __future__ import annotations

from typing import Literal

from infra.frozen import Frozen


class ObjectiveSpec(Frozen):
    """What the sweep selects by; only validation benchmarks may be named."""

    benchmark: str = "validation"
    metric: str = "accuracy"
    mode: Literal["max", "min"] = "max"

    @property
    def key(self) -> str:
        """The objective's name among a trial's metrics."""
        return f"eval/{self.benchmark}/{self.metric}"
