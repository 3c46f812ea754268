"""Names short enough to be shown: a level may be a paragraph, a page has a width.

Invariant: names that differ still differ; what is short already is not touched.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from analysis.frames import arms_frame, trials_frame
from analysis.tables import SweepTables

LONGEST_NAME = 120
"""Letters of the longest arm, axis or level that is written out."""


def shortened(name: str) -> str:
    """A name as it is, or its beginning and six digits of what it was."""
    if len(name) <= LONGEST_NAME:
        return name
    digits = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:6]
    return f"{name[: LONGEST_NAME - 8]}\N{HORIZONTAL ELLIPSIS} {digits}"


def with_short_names(tables: SweepTables) -> SweepTables:
    """The same sweep, its arms, axes and levels named so that they can be shown."""
    named = [
        name
        for row in tables.arm_rows
        for name in (row.name, row.axis or "", *row.point, *row.point.values())
    ]
    if all(len(name) <= LONGEST_NAME for name in named):
        return tables
    arms = tuple(
        replace(
            row,
            name=shortened(row.name),
            axis=None if row.axis is None else shortened(row.axis),
            level=None if row.level is None else shortened(row.level),
            point={shortened(axis): shortened(level) for axis, level in row.point.items()},
        )
        for row in tables.arm_rows
    )
    views = tuple(replace(view, arm=shortened(view.arm)) for view in tables.trial_views)
    return replace(
        tables,
        arm_rows=arms,
        trial_views=views,
        trials=trials_frame(tables.sweep_id, views),
        arms=arms_frame(tables.sweep_id, arms, views),
        curves=tables.curves.assign(arm=tables.curves["arm"].map(shortened)),
    )
