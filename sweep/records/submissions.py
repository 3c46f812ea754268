"""What the ledger's log says of a sweep's way to a cluster; nothing is decided by it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.records.rows import DecisionRow, Json

SUBMITTED_KIND = "submitted"
"""It was handed over: `address` of the head, `submission` as Ray names it."""
GAVE_UP_KIND = "submission_ended"
"""Its supervisor ended before it did: `reason`."""


def last_submission(decisions: Iterable[DecisionRow]) -> Json | None:
    """To which head a sweep was handed over last, and how Ray names that; None if it never was."""
    told = [one for one in decisions if one.kind == SUBMITTED_KIND]
    return told[-1].payload if told else None
