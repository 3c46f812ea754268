"""What the ledger's log says of a sweep's way to a cluster; nothing is decided by it."""

from __future__ import annotations

SUBMITTED_KIND = "submitted"
"""It was handed over: `address` of the head, `submission` as Ray names it."""
GAVE_UP_KIND = "submission_ended"
"""Its supervisor ended before it did: `reason`."""
