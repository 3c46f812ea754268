"""What became of a sweep that was submitted and that no driver has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from infra.errors import RmsweepError
from sweep.records.lifecycle import ENDED_SWEEP_STATES
from sweep.records.submissions import GAVE_UP_KIND, SUBMITTED_KIND, last_submission

if TYPE_CHECKING:
    from sweep.records.ledger import Ledger
    from sweep.records.rows import DecisionRow, Json, SweepRow


def submission_note(ledger: Ledger, row: SweepRow) -> str:
    """Why a submitted sweep is in nobody's hands, or how its submission stands; else nothing."""
    if row.live or row.state in ENDED_SWEEP_STATES:
        return ""
    told = [
        decision
        for decision in ledger.decisions(row.sweep_id)
        if decision.kind in (SUBMITTED_KIND, GAVE_UP_KIND)
    ]
    if not told:
        return ""
    last = told[-1]
    if last.kind == GAVE_UP_KIND:
        return f"its submission ended: {last.payload['reason']}{_way_on(told, row)}"
    return _standing(last.payload, _way_on(told, row))


def _way_on(told: Sequence[DecisionRow], row: SweepRow) -> str:
    submitted = last_submission(told)
    where = f" --cluster {submitted['address']}" if submitted else ""
    return f"; `rmsweep resume {row.sweep_id}{where}` goes on"


def _standing(submitted: Json, way_on: str) -> str:
    """Ask the head, which alone knows of a submission that died before it could write anything."""
    from infra.clusters import ClusterEntry
    from sweep.execution.head import ENDED, Head

    address, name = str(submitted["address"]), str(submitted["submission"])
    where = f"submitted to {address} as {name}"
    try:
        standing = Head(ClusterEntry(address=address)).standing(name)
    except RmsweepError as error:
        return f"{where}; how it stands cannot be asked: {error}"
    if standing is None:
        return f"{where}, whose head was started anew since and knows nothing of it{way_on}"
    state, message = standing
    if state in ENDED:
        how = f"the submission {state.lower()} before a driver came up: {_gist(message)}"
        return f"{where}; {how}{way_on}"
    return f"{where}; the cluster prepares it ({state.lower()})"


def _gist(message: str) -> str:
    """Ray's first line, and what its last errors were."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line for line in lines[1:] if line.startswith(("ERROR", "error"))] or lines[-1:]
    return " ".join(dict.fromkeys([*lines[:1], *errors[-2:]])) or "Ray gives no reason"
