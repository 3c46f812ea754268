"""`AxisSpec`: what a sweep file says of one axis.

An axis is given in one of four ways: `levels`, a range (`low`, `high`), `members` of a set, or a
`mixture` of shares. Which of them a design can use is checked where both are known.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from infra.frozen import Frozen

Scalar = bool | int | float | str | None
Patch = dict[str, Any]
"""Settings by dotted path, such as `{backbone.scale: xs}`."""

_WAYS = {
    "levels": "levels",
    "low": "low and high",
    "high": "low and high",
    "members": "members",
    "mixture": "mixture",
}
_COMPANIONS = {
    "log": ("low",),
    "steps": ("low", "mixture"),
    "always": ("members",),
    "least": ("mixture",),
}
"""Keys that only mean something beside another."""


class AxisSpec(Frozen):
    """What one axis may be."""

    levels: list[Scalar] | dict[str, Patch] | None = None
    """Values of the axis' own path, names of levels the axis ships, or named patches."""
    low: float | int | None = None
    """Smallest value of a range; whole numbers where the setting is one."""
    high: float | int | None = None
    """Largest value of a range, included."""
    log: bool = False
    """Take the range's values evenly by ratio, as for a learning rate."""
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Of a range, how many values to list, evenly spaced; of a mixture, parts a whole is cut in."""
    members: list[str] | dict[str, Patch] | None = None
    """What may be in or out: sources of `data_mix`, entries of a table, or named patches."""
    always: list[str] = Field(default_factory=list)
    """Members that are never left out."""
    mixture: list[str] | None = None
    """Sources of `data_mix`, or entries of a table of numbers, whose shares sum to one."""
    least: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Smallest share of each part of a mixture."""
    when: str | None = None
    """A condition on other settings, such as `head.layers >= 2`; else the baseline stays."""
    question: str | None = None
    """What this axis is to answer; shown in the report."""
    within: dict[str, dict[str, AxisSpec | list[Scalar]]] = Field(default_factory=dict)
    """Axes that vary only at one of this axis' levels, by level."""

    @model_validator(mode="after")
    def _is_given_in_one_way(self) -> AxisSpec:
        ways = list(
            dict.fromkeys(way for key, way in _WAYS.items() if getattr(self, key) is not None)
        )
        if len(ways) != 1:
            came = " and ".join(ways) or "none of them"
            raise ValueError(
                f"expected one of levels, low and high, members or mixture, came {came}"
            )
        if (self.low is None) != (self.high is None):
            missing = "high" if self.high is None else "low"
            raise ValueError(f"a range needs low and high, {missing} is missing")
        for key, owners in _COMPANIONS.items():
            # By value: a sweep in the ledger has every key written out.
            stands = getattr(self, key) != type(self).model_fields[key].get_default(
                call_default_factory=True
            )
            if stands and all(getattr(self, owner) is None for owner in owners):
                beside = " or ".join(_WAYS[owner] for owner in owners)
                raise ValueError(f"{key} only means something beside {beside}")
        return self


AxisEntry = AxisSpec | list[Scalar]
"""One entry under `axes`: a bare list is `levels`."""

Choice = Scalar | list[Scalar]
"""A level, or several."""
