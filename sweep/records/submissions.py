"""What the ledger's log says of a sweep's way to a cluster; nothing is decided by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.records.ledger import Ledger
    from sweep.records.rows import Json

SUBMITTED_KIND = "submitted"
"""It was handed over: `address` of the head, `submission` as Ray names it."""
GAVE_UP_KIND = "submission_ended"
"""Its supervisor ended before it did: `reason`."""


def last_submission(ledger: Ledger, sweep_id: str) -> Json | None:
    """To which head a sweep was handed over last, and how Ray names that; None if it never was."""
    told = [one for one in ledger.decisions(sweep_id) if one.kind == SUBMITTED_KIND]
    return told[-1].payload if told else None
