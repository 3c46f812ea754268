"""`NotifySpec`: what a sweep tells, and to nobody in particular.

Where it is told is the machine's (`RMSWEEP_WEBHOOK`): an address one can write to is a secret, and
a sweep file ends up in the ledger, in MLflow and in the report.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from infra.frozen import Frozen

Occasion = Literal["finish", "failure", "budget"]


class NotifySpec(Frozen):
    """What is worth a message."""

    about: list[Occasion] = Field(default=["finish", "failure", "budget"])
    """`finish`: the sweep ended; `failure`: attempts failed; `budget`: a limit comes near."""
    budget_at: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of a limit at which it is told."""
