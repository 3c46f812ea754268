"""`AxisSpec`: what a sweep file says of one axis."""

from __future__ import annotations

from typing import Any

from infra.frozen import Frozen

Scalar = bool | int | float | str | None
Patch = dict[str, Any]
"""Settings by dotted path, such as `{backbone.scale: xs}`."""


class AxisSpec(Frozen):
    """What one axis may be."""

    levels: list[Scalar] | dict[str, Patch]
    """Values of the axis' own path, names of levels the axis ships, or named patches."""
    when: str | None = None
    """A condition on other settings, such as `head.layers >= 2`; else the baseline stays."""
    question: str | None = None
    """What this axis is to answer; shown in the report."""


AxisEntry = AxisSpec | list[Scalar]
"""One entry under `axes`: a bare list is `levels`."""
