"""The one place where a comparison becomes words: better, worse, or not distinguishable.

Invariant: a verdict says to what it applies. What holds only for the trained models at hand is
never worded as a fact about the recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from analysis.statistics.equivalence import equivalence_bound
from analysis.statistics.paired import Comparison, Interval, Scope

Word = Literal["better", "worse", "not distinguishable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What may be claimed of an arm against its reference."""

    word: Word
    scope: Scope
    """Of the word. `for these trained models only` with one seed, `in general` with more."""
    models: Word
    """What holds of these trained models on new items, whatever the luck of their seeds."""
    general_p: float | None
    """Corrected for the family of tests; absent with one seed."""
    fixed_p: float | None
    """Corrected likewise."""
    alpha: float

    @property
    def text(self) -> str:
        """The verdict with its scope, as it stands in tables."""
        if self.word != "not distinguishable":
            return f"{self.word} {self.scope}"
        if self.models != "not distinguishable":
            return f"{self.word} ({self.models} {Scope.FIXED})"
        return self.word

    @property
    def claims(self) -> bool:
        """Whether a difference is claimed."""
        return self.word != "not distinguishable"


def judge(
    comparison: Comparison,
    *,
    general_p: float | None,
    fixed_p: float | None,
    alpha: float = 0.05,
) -> Verdict:
    """What the corrected p-values allow to be claimed.

    With two seeds or more the claim is about recipes, so it needs the general test: two equal
    recipes whose seeds differ much yield models that truly differ, and saying so would read as a
    finding. What holds of the trained models alone is kept beside the claim.
    """
    seen: Word = "better" if comparison.difference > 0 else "worse"
    none: Word = "not distinguishable"
    models = seen if fixed_p is not None and fixed_p <= alpha else none
    if general_p is None:
        word, scope = models, Scope.FIXED
    else:
        word, scope = seen if general_p <= alpha else none, Scope.GENERAL
    return Verdict(
        word=word, scope=scope, models=models, general_p=general_p, fixed_p=fixed_p, alpha=alpha
    )


def deciding_p(comparison: Comparison | None) -> float | None:
    """The p-value a claim hangs on: over seeds where there are two, else of the trained models.

    Tests of one report are one family whichever these are. Corrected apart, arms of one seed beside
    arms of more would give equal arms two chances of a claim.
    """
    interval = None if comparison is None else comparison.general or comparison.fixed
    return None if interval is None else interval.p_value


def verdict_of(
    comparison: Comparison, deciding: float | None, fixed: float | None, *, alpha: float = 0.05
) -> Verdict:
    """`judge`, from `deciding_p` and the p-value of the trained models as each was corrected."""
    if comparison.general is None:
        return judge(comparison, general_p=None, fixed_p=deciding, alpha=alpha)
    return judge(comparison, general_p=deciding, fixed_p=fixed, alpha=alpha)


def signed(difference: float) -> str:
    """A difference of accuracies in points with its sign; zero has none."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def sentence(name: str, reference: str, comparison: Comparison, verdict: Verdict) -> str:
    """One sentence a reader may quote: who, how much, how sure, for what."""
    change = f"{signed(comparison.difference)} points"
    if comparison.discordant == 0:
        return f"{name} and {reference} gave the same outcome on every item ({comparison.basis})."
    if verdict.claims:
        interval = comparison.general if verdict.scope is Scope.GENERAL else comparison.fixed
        claim = (
            f"{name} is {verdict.word} than {reference} {verdict.scope}: {change}"
            f"{_within(interval)}"
        )
        if verdict.scope is Scope.FIXED:
            return (
                f"{claim}; that the recipe itself is {verdict.word} is not shown, since there is "
                "only one seed."
            )
        return f"{claim}."
    widest = comparison.general or comparison.fixed
    said = f"{name} is not distinguishable from {reference}: {change}{_within(widest)}"
    if verdict.models != "not distinguishable":
        recipe = f"that the recipe itself is {verdict.models}"
        alone = comparison.general is not None and comparison.general.p_value <= verdict.alpha
        why = (
            _corrected(verdict, recipe)
            if alone
            else f"{recipe} is not shown with {comparison.seeds} seeds"
        )
        return f"{said}; it is {verdict.models} {Scope.FIXED}; {why}."
    if widest is not None and widest.p_value <= verdict.alpha:
        return f"{said}; {_corrected(verdict, 'a difference')}."
    return f"{said}{_ruled_out(comparison)}."


def _ruled_out(comparison: Comparison) -> str:
    """What an equivalence test rules out; it reaches less far than the interval beside it."""
    bound = equivalence_bound(comparison)
    if bound is None:
        return ""
    scope = "" if comparison.seeds > 1 else f" {Scope.FIXED}"
    return (
        f"; {100 * bound:.1f} points or more, either way, are ruled out{scope} "
        "(equivalence test, 5%, uncorrected)"
    )


def _within(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f" ({interval.level:.0%} interval {signed(interval.low)} to {signed(interval.high)})"


def _corrected(verdict: Verdict, what: str) -> str:
    """Why nothing is claimed although the interval, which is of one comparison, leaves out zero."""
    p = verdict.fixed_p if verdict.general_p is None else verdict.general_p
    shown = "" if p is None else f" (p {p:.2g})"
    return (
        f"the interval is of this comparison alone, and {what} is not shown once corrected for "
        f"the tests made together{shown}"
    )
