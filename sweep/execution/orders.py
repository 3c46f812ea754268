"""What crosses between driver and actors: `TrialOrder` down, `TrialNews` up, both as JSON text.

Values only, so that no pickle of ours is exchanged and nothing here imports Ray.
"""

from __future__ import annotations

from typing import Literal

from infra.errors import PreemptedTrial
from infra.frozen import Frozen
from trainer.config import TrainerConfig
from trainer.reporting import CheckpointReference, TrialOutcome, TrialReport


class TrialOrder(Frozen):
    """Everything an actor needs to execute one attempt at a trial."""

    attempt: int
    """The ledger's attempt; names the order in every message about it."""
    identity: str
    config: TrainerConfig
    store_uri: str
    resume_from: tuple[CheckpointReference, ...] = ()
    """Newest first: where one is damaged, the next is gone on from."""
    benchmarks_only: bool = False
    """Score an already trained model on the config's benchmarks, train nothing."""
    parts: tuple[int, ...] = (1,)
    """Ranks on each machine of the gang, the first on the machine that takes the order."""


class TrialFault(Frozen):
    """Why an attempt failed, as data: the exception itself never leaves its actor."""

    kind: str
    """`TrialFailure.kind` of the exception."""
    message: str
    """First the reason, then the last lines of the traceback; the whole is in the trial's logs."""


class TrialNews(Frozen):
    """One message about an attempt; without report, outcome and fault it only says `alive`."""

    attempt: int
    node: str
    """Host that executes it."""
    machines: tuple[str, ...] = ()
    """All its gang lies on, by Ray's ids."""
    report: TrialReport | None = None
    outcome: TrialOutcome | None = None
    fault: TrialFault | None = None

    @property
    def lost_a_machine(self) -> bool:
        """Whether a gang on several machines ended because one of them is gone."""
        return (
            self.fault is not None
            and self.fault.kind == PreemptedTrial.kind
            and len(self.machines) > 1
        )

    @property
    def is_last(self) -> bool:
        """Whether nothing follows."""
        return self.outcome is not None or self.fault is not None


Verdict = Literal["continue", "stop", "end"]
"""What the driver wants: go on, stop at the next step with a checkpoint, or end at once."""
