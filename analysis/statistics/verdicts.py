"""The one place where a comparison becomes words: better, worse, or not distinguishable.

Invariant: a verdict says to what it applies. What holds only for the trained models at hand is
never worded as a fact about the recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from analysis.statistics.paired import Comparison, Interval, Scope

Word = Literal["better", "worse", "not distinguishable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What may be claimed of an arm against its reference."""

    word: Word
    scope: Scope
    general_p: float | None
    """Corrected for the family of tests; absent with one seed."""
    fixed_p: float | None
    """Corrected likewise."""
    alpha: float

    @property
    def text(self) -> str:
        """The verdict with its scope, as it stands in tables."""
        if self.word == "not distinguishable":
            return self.word
        return f"{self.word} {self.scope}"


def judge(
    comparison: Comparison,
    *,
    general_p: float | None,
    fixed_p: float | None,
    alpha: float = 0.05,
) -> Verdict:
    """The strongest claim the corrected p-values allow; the general scope is asked first."""
    word: Word = "better" if comparison.difference > 0 else "worse"
    if general_p is not None and general_p <= alpha:
        scope = Scope.GENERAL
    elif fixed_p is not None and fixed_p <= alpha:
        scope = Scope.FIXED
    else:
        word = "not distinguishable"
        scope = Scope.FIXED if general_p is None else Scope.GENERAL
    return Verdict(word=word, scope=scope, general_p=general_p, fixed_p=fixed_p, alpha=alpha)


def sentence(name: str, reference: str, comparison: Comparison, verdict: Verdict) -> str:
    """One sentence a reader may quote: who, how much, how sure, for what."""
    change = f"{100 * comparison.difference:+.1f} points"
    if comparison.discordant == 0:
        return f"{name} and {reference} gave the same outcome on every item ({comparison.basis})."
    if verdict.word == "not distinguishable":
        widest = comparison.general or comparison.fixed
        return f"{name} is not distinguishable from {reference}: {change}{_within(widest)}."
    interval = comparison.general if verdict.scope is Scope.GENERAL else comparison.fixed
    claim = (
        f"{name} is {verdict.word} than {reference} {verdict.scope}: {change}{_within(interval)}"
    )
    if verdict.scope is Scope.FIXED:
        why = _why(comparison, verdict.alpha)
        return f"{claim}; that the recipe itself is {verdict.word} is not shown{why}."
    return f"{claim}."


def _within(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return (
        f" ({interval.level:.0%} interval {100 * interval.low:+.1f} to {100 * interval.high:+.1f})"
    )


def _why(comparison: Comparison, alpha: float) -> str:
    if comparison.seeds == 1:
        return ", since there is only one seed"
    if comparison.general is not None and comparison.general.p_value <= alpha:
        return " once corrected for the tests made together"
    return f" with {comparison.seeds} seeds" if comparison.seeds <= 3 else ""
