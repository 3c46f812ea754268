"""What a trial says while it runs, and to whom: the values and the `TrialReporter` protocol.

The trainer never learns who listens: a console, a Ray actor, a ledger.
"""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import Field

from infra.frozen import Frozen

Answer = Literal["continue", "stop"]
"""What the listener wants: go on, or checkpoint and end early."""


class CheckpointReference(Frozen):
    """A complete checkpoint: its step and the digest of its manifest."""

    step: int
    manifest_sha256: str


class TrialReport(Frozen):
    """One message of a running trial."""

    step: int
    """Optimizer steps done."""
    fraction: float
    """Of the trial's own training budget, 0 to 1; monotone also across attempts."""
    seconds: float
    """Wall time this attempt has run."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """`train/loss`, `train/pairs_per_second`, `eval/<benchmark>/<metric>`."""
    checkpoint: CheckpointReference | None = None
    """Set when a checkpoint became complete with this report."""
    note: str = ""
    """What else is to be known of the attempt, such as a checkpoint that was refused."""


class TrialOutcome(Frozen):
    """How a trial ended when it did not fail."""

    finished: bool
    """False when the listener stopped it early."""
    step: int
    fraction: float
    seconds: float
    """Wall time of this attempt."""
    metrics: dict[str, float]
    """Final `eval/<benchmark>/<metric>` and `cost/*`."""
    model_digest: str | None = None
    """Digest of the files under `model/`; absent when stopped early."""


class TrialReporter(Protocol):
    """Listens to one trial."""

    def report(self, report: TrialReport) -> Answer:
        """Take a message; answer whether to go on."""
        ...
