"""`Range`: a setting whose values are drawn or evenly spaced rather than listed.

A drawn value is rounded to four significant digits, so that its name says it whole and the same
name gives the same training everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from infra.field_shapes import bare, section
from infra.findings import Finding, InvalidSettings, described
from search_spaces.levels import Level, value_name
from search_spaces.patches import locate

SIGNIFICANT_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Every value from `low` to `high`, both included."""

    path: str
    """The setting."""
    low: float
    high: float
    log: bool = False
    """Even by ratio instead of by difference."""
    whole: bool = False
    """Whole numbers only."""

    @property
    def dimensions(self) -> int:
        """Coordinates in the unit cube that one draw takes."""
        return 1

    def drawn(self, unit: Sequence[float]) -> Level:
        """The level at a place between 0 and 1.

        Args:
            unit: One coordinate.
        """
        return self.at(self._value(unit[0]))

    def at(self, value: float) -> Level:
        """The level of a value."""
        return Level(name=value_name(value), patch={self.path: value})

    def level(self, name: str) -> Level | None:
        """The level of that name; None when it names no value of the range."""
        try:
            number = int(name) if self.whole else float(name)
        except ValueError:
            return None
        value = int(number) if float(number).is_integer() else number
        return self.at(value) if self.contains(value) else None

    def contains(self, value: object) -> bool:
        """Whether a value lies in the range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high and (not self.whole or float(value).is_integer())

    def spaced(self, steps: int) -> list[float]:
        """`steps` values from low to high, evenly spaced; fewer where whole numbers run out."""
        if steps == 1:
            return [self._value(0.5)]
        return list(dict.fromkeys(self._value(step / (steps - 1)) for step in range(steps)))

    def corners(self) -> tuple[Level, ...]:
        """Its ends: if both make a valid training, what lies between does."""
        return (self.drawn((0.0,)), self.drawn((1.0,)))

    def __str__(self) -> str:
        by_ratio = ", by ratio" if self.log else ""
        return f"{value_name(self.low)} to {value_name(self.high)}{by_ratio}"

    def _value(self, unit: float) -> float:
        if self.whole:
            # Every whole number gets an equally long piece, on the scale of the range.
            low, high = self.low - 0.5, self.high + 0.5  # above 0 whenever `log` is set
            nearest = round(self._between(low, high, unit))
            return int(min(max(nearest, self.low), self.high))
        number = self._between(self.low, self.high, unit)
        rounded = float(f"{number:.{SIGNIFICANT_DIGITS}g}")
        inside = min(max(rounded, self.low), self.high)
        return int(inside) if float(inside).is_integer() else inside

    def _between(self, low: float, high: float, unit: float) -> float:
        if not self.log:
            return low + (high - low) * unit
        return math.exp(math.log(low) + (math.log(high) - math.log(low)) * unit)


def make_range(path: str, *, low: float, high: float, log: bool) -> Range:
    """The range of a setting.

    Raises:
        InvalidSettings: If the setting is unknown or no number, or the range is empty.
    """
    findings = []
    shape = locate(path).shape
    kind = bare(shape)
    if section(shape) is not None or kind not in (int, float):
        findings.append(Finding((), f"'{path}' is no number, so it has no range; list its levels"))
    if low >= high:
        message = f"expected low below high, came {described(low)} and {described(high)}"
        findings.append(Finding(("low",), message))
    if log and low <= 0:
        message = f"a range by ratio (log) starts above 0, came {described(low)}"
        findings.append(Finding(("low",), message))
    if kind is int:
        findings += [
            Finding((key,), f"'{path}' is a whole number, came {described(value)}")
            for key, value in (("low", low), ("high", high))
            if not float(value).is_integer()
        ]
    if findings:
        raise InvalidSettings(findings)
    return Range(path=path, low=low, high=high, log=log, whole=kind is int)
