"""Ledger rows as pandas frames: one row per trial, per arm, per report; columns named as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.alignment import Row
from analysis.layouts import Block
from sweep.records.lifecycle import TrialState
from sweep.records.rows import ArmRow, ReportView, TrialView

TRIAL_COLUMNS = (
    "sweep_id", "arm", "seed", "identity", "state", "attempts", "step", "fraction", "reused",
    "device_seconds", "paid_device_seconds", "workers", "error_kind", "error_message",
    "model_digest", "storage",
)  # fmt: skip
"""Columns of the trials frame; every last metric follows under its own name."""

ARM_COLUMNS = (
    "sweep_id", "arm", "axis", "level", "trials", "succeeded", "failed", "stopped_early",
    "unfinished", "device_seconds",
)  # fmt: skip
"""Columns of the arms frame; the arm's point follows as `axis:<name>`."""

CURVE_COLUMNS = ("arm", "seed", "identity", "step", "fraction", "seconds", "metric", "value")
"""Columns of the curves frame, one row per reported value."""

ITEM_COLUMNS = (
    "arm", "seed", "identity", "item_id", "chosen", "rejected", "group_id", "category", "source",
    "modality", "label_weight", "length_gap", "margin_score", "correct", "tied",
)  # fmt: skip
"""Columns of the items frame, one row per trial and pair; `correct` and `tied` are 0 or 1, and
`correct` counts ties as wrong. Where `margin_score` is NaN, a score was no number."""


def items_frames(blocks: Iterable[Block], rows: Sequence[Row]) -> Iterator[pd.DataFrame]:
    """One frame per trial, of one block of trials after the other."""
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(row.identity, []).append(row)
    for block in blocks:
        pairs = block.layout.pairs
        margins = block.layout.margins(block.scores)
        margins[~np.isfinite(margins)] = np.nan
        for line, identity in enumerate(block.identities):
            for row in named.get(identity, ()):
                frame = pairs.copy()
                frame.insert(0, "identity", identity)
                frame.insert(0, "seed", row.seed)
                frame.insert(0, "arm", row.arm)
                frame["margin_score"] = margins[line]
                frame["correct"] = (margins[line] > 0).astype(int)
                frame["tied"] = (margins[line] == 0).astype(int)
                yield frame[list(ITEM_COLUMNS)]


def trials_frame(sweep_id: str, views: Sequence[TrialView]) -> pd.DataFrame:
    """One row per trial, in the order of the plan."""
    rows = [
        {"sweep_id": sweep_id, "state": view.state.value}
        | {name: getattr(view, name) for name in TRIAL_COLUMNS if name not in ("sweep_id", "state")}
        | dict(view.metrics)
        for view in views
    ]
    metrics = sorted({name for view in views for name in view.metrics})
    return pd.DataFrame(rows, columns=[*TRIAL_COLUMNS, *metrics])


def arms_frame(sweep_id: str, arms: Sequence[ArmRow], views: Sequence[TrialView]) -> pd.DataFrame:
    """One row per arm, in the order of the plan, with its trials counted by state."""
    by_arm: dict[str, list[TrialView]] = {arm.name: [] for arm in arms}
    for view in views:
        by_arm.setdefault(view.arm, []).append(view)
    rows = []
    for arm in arms:
        states = [view.state for view in by_arm[arm.name]]
        ended = (TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED_EARLY)
        rows.append(
            {
                "sweep_id": sweep_id,
                "arm": arm.name,
                "axis": arm.axis,
                "level": arm.level,
                "trials": len(states),
                "succeeded": states.count(TrialState.SUCCEEDED),
                "failed": states.count(TrialState.FAILED),
                "stopped_early": states.count(TrialState.STOPPED_EARLY),
                "unfinished": sum(state not in ended for state in states),
                "device_seconds": sum(view.device_seconds for view in by_arm[arm.name]),
            }
            | {f"axis:{axis}": level for axis, level in arm.point.items()}
        )
    axes = dict.fromkeys(f"axis:{axis}" for arm in arms for axis in arm.point)
    return pd.DataFrame(rows, columns=[*ARM_COLUMNS, *axes])


def curves_frame(
    reports: Mapping[str, Iterable[ReportView]], views: Sequence[TrialView]
) -> pd.DataFrame:
    """One row per value a trial reported, by step; values that are no number are left out."""
    rows = [
        (*place, report.step, report.fraction, report.seconds, name, float(value))
        for view in views
        for place in [(view.arm, view.seed, view.identity)]
        for report in reports.get(view.identity, ())
        for name, value in report.metrics.items()
        if np.isfinite(value)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))
