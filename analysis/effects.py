"""Levels against the baseline's: which arms tell them apart, and what the difference is.

Invariant: the tests of all axes of a sweep are one family, whose p-values are corrected together,
so that a report of equal arms claims anything in one of twenty cases at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analysis.outcomes import ArmPairs, Outcomes, comparable, contrasts
from analysis.statistics.corrections import benjamini_hochberg, holm
from analysis.statistics.equivalence import equivalence, equivalence_bound
from analysis.statistics.paired import Comparison
from analysis.statistics.planning import Advice, advise, minimum_detectable_effect
from analysis.statistics.verdicts import Verdict, deciding_p, sentence, verdict_of
from analysis.tables import SweepTables
from sweep.records.rows import ArmRow

_Apart = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One arm or level against its reference; without a comparison, `note` says why."""

    name: str
    reference: str
    arm_pairs: ArmPairs
    """(arm, reference arm) over which the difference is averaged; one in a one-factor design."""
    left_out: int = 0
    """Further ones the design has, whose trials failed, were stopped or share no seed."""
    comparison: Comparison | None = None
    verdict: Verdict | None = None
    advice: Advice | None = None
    detectable: float | None = None
    """Smallest difference four sweeps of five like this one would find, after the correction."""
    q_value: float | None = None
    """Benjamini and Hochberg's, in the verdict's scope: for looking through long families."""
    below: float | None = None
    """Difference, either way, that two one-sided tests rule out."""
    note: str = ""

    @property
    def sentence(self) -> str:
        """What may be said of it."""
        if self.comparison is None or self.verdict is None:
            return f"{self.name}: no comparison, {self.note}."
        return sentence(self.name, self.reference, self.comparison, self.verdict)

    def said(self, margin: float | None = None) -> str:
        """The sentence, and whether the two are shown to differ by less than a margin in points.

        Raises:
            ValueError: If the margin is not positive.
        """
        if margin is None or self.comparison is None:
            return self.sentence
        found = equivalence(self.comparison, margin=margin / 100)
        if found is None:
            return self.sentence
        asked = f"that they differ by less than {margin:g} points"
        tested = f"two one-sided tests, {found.alpha:.0%}, uncorrected"
        if found.equivalent:
            return f"{self.sentence} It is shown {found.scope} {asked} ({tested})."
        ruled_out = f"they rule out {100 * found.bound:.1f} points and more"
        return f"{self.sentence} Not shown: {asked} ({tested}; {ruled_out})."


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisEffects:
    """The levels of one axis; p-values are corrected over all axes together."""

    axis: str
    question: str
    reference: str
    """The baseline's level."""
    levels: tuple[Effect, ...]


class Contrasts:
    """Comparisons on one benchmark, each worked out once, whatever families it is in.

    Of a sweep that varies one thing at a time every level is an arm as well.
    """

    def __init__(self, outcomes: Outcomes, *, alpha: float = 0.05) -> None:
        """Args: outcomes of all arms; 1 - alpha is the level of intervals and verdicts."""
        self.outcomes = outcomes
        self.alpha = alpha
        self._compared: dict[ArmPairs, Comparison | None] = {}
        self._planned: dict[tuple[ArmPairs, float, bool], tuple[Advice, float | None]] = {}

    def compared(self, asked: Sequence[ArmPairs]) -> list[Comparison | None]:
        """As `outcomes.contrasts`."""
        new = [pairs for pairs in dict.fromkeys(asked) if pairs not in self._compared]
        found = contrasts(self.outcomes, new, alpha=self.alpha)
        self._compared |= zip(new, found, strict=True)
        return [self._compared[pairs] for pairs in asked]

    def planned(
        self, pairs: ArmPairs, comparison: Comparison, *, alpha: float, settled: bool
    ) -> tuple[Advice, float | None]:
        """Advice on a comparison made before, and the smallest difference it would have found."""
        key = pairs, alpha, settled
        if key not in self._planned:
            self._planned[key] = (
                advise(comparison, settled=settled, alpha=alpha),
                minimum_detectable_effect(comparison, alpha=alpha),
            )
        return self._planned[key]


def effects(known: Contrasts, asked: Sequence[Effect]) -> tuple[Effect, ...]:
    """Fill in effects as one family: comparisons, Holm-corrected verdicts, advice."""
    alpha = known.alpha
    comparisons = known.compared([effect.arm_pairs for effect in asked])
    raw = [deciding_p(comparison) for comparison in comparisons]
    deciding, q_values = holm(raw), benjamini_hochberg(raw)
    fixed = holm([c.fixed.p_value if c and c.fixed else None for c in comparisons])
    # What a single test must reach after Holm's correction, at worst.
    strict = alpha / max(1, sum(comparison is not None for comparison in comparisons))
    filled = []
    for index, (effect, comparison) in enumerate(zip(asked, comparisons, strict=True)):
        if comparison is None:
            filled.append(replace(effect, note=effect.note or "no seed of both arms was scored"))
            continue
        verdict = verdict_of(comparison, deciding[index], fixed[index], alpha=alpha)
        settled = verdict.general_p is not None and verdict.general_p <= alpha
        used, _ = comparable(known.outcomes, effect.arm_pairs)
        advice, detectable = known.planned(
            effect.arm_pairs, comparison, alpha=strict, settled=settled
        )
        filled.append(
            replace(
                effect,
                arm_pairs=used,
                left_out=len(effect.arm_pairs) - len(used),
                comparison=comparison,
                verdict=verdict,
                advice=advice,
                q_value=q_values[index],
                below=equivalence_bound(comparison, alpha=alpha),
                detectable=detectable,
            )
        )
    return tuple(filled)


def standing(tables: SweepTables, arm: str) -> str:
    """How an arm's trials ended, in words: `3 succeeded`, `2 succeeded, 1 failed`."""
    counts = {
        "succeeded": tables.count(arm, "succeeded"),
        "failed": tables.count(arm, "failed"),
        "stopped early": tables.count(arm, "stopped_early"),
        "not finished": tables.count(arm, "unfinished"),
    }
    said = [f"{count} {word}" for word, count in counts.items() if count]
    return ", ".join(said) or "no trials"


def varied_axes(tables: SweepTables) -> list[str]:
    """Axes of the sweep file that some arm has a level on, in the file's order."""
    named = list(tables.sweep.spec_json.get("axes", {}))
    held = dict.fromkeys(axis for row in tables.arm_rows for axis in row.point)
    return [axis for axis in dict.fromkeys([*named, *held]) if axis in held]


def axes_effects(tables: SweepTables, known: Contrasts) -> tuple[AxisEffects, ...]:
    """Every level of every axis against the baseline's, other axes being equal."""
    baseline = next((row for row in tables.arm_rows if row.name == tables.baseline), None)
    apart = _apart(tables.arm_rows, baseline)
    asked = {
        axis: _asked(
            tables,
            known.outcomes,
            axis,
            reference=baseline.point.get(axis, "") if baseline is not None else "",
            apart=apart,
        )
        for axis in varied_axes(tables)
    }
    family = iter(effects(known, [effect for found in asked.values() for effect in found]))
    return tuple(
        AxisEffects(
            axis=axis,
            question=_question(tables, axis),
            reference=baseline.point.get(axis, "") if baseline is not None else "",
            levels=tuple(next(family) for _ in found),
        )
        for axis, found in asked.items()
    )


def _question(tables: SweepTables, axis: str) -> str:
    definition = tables.sweep.spec_json.get("axes", {}).get(axis)
    return (definition.get("question") or "") if isinstance(definition, dict) else ""


def _asked(
    tables: SweepTables, outcomes: Outcomes, axis: str, *, reference: str, apart: Sequence[_Apart]
) -> list[Effect]:
    """The levels of an axis, each with the arms that tell it from the baseline's."""
    matched = _matched_arms(tables.arm_rows, axis, reference, apart)
    return [
        Effect(
            name=f"{axis}={level}",
            reference=f"{axis}={reference}" if reference else str(tables.baseline),
            arm_pairs=tuple(pairs),
            note=_why_not(tables, outcomes, pairs),
        )
        for level, pairs in matched.items()
    ]


def _why_not(tables: SweepTables, outcomes: Outcomes, pairs: Sequence[tuple[str, str]]) -> str:
    """Why these arms cannot be compared; empty when all of them have scores."""
    if not pairs:
        return "no two arms differ in this alone"
    bare = sorted({name for pair in pairs for name in pair if not outcomes.seeds(name)})
    if not bare:
        return ""
    return "no scores of " + ", ".join(f"{name} ({standing(tables, name)})" for name in bare)


def _matched_arms(
    rows: Sequence[ArmRow], axis: str, reference: str, apart: Sequence[_Apart]
) -> dict[str, list[tuple[str, str]]]:
    """By level: arms at it with those at the reference that are equal in everything else.

    An axis that does not matter for an arm is not in its point and stands at the baseline's level;
    where nothing fits so, it does not tell the arm from others.
    """
    rests = [frozenset(at for at in own if at[0] != axis) for own in apart]
    at_reference: dict[_Apart, list[ArmRow]] = {}
    for row, rest in zip(rows, rests, strict=True):
        if row.point.get(axis, reference) == reference:
            at_reference.setdefault(rest, []).append(row)
    everywhere = [row for held in at_reference.values() for row in held]
    found: dict[str, list[tuple[str, str]]] = {}
    for row, rest in zip(rows, rests, strict=True):
        level = row.point.get(axis)
        if level is None or level == reference:
            continue
        partners = at_reference.get(rest) or [
            other
            for other in everywhere
            if all(
                other.point.get(name, row.point[name]) == row.point[name]
                for name in row.point
                if name != axis
            )
        ]
        pairs = found.setdefault(level, [])
        pairs += [(row.name, other.name) for other in partners if other.name != row.name]
    return found


def _apart(rows: Sequence[ArmRow], baseline: ArmRow | None) -> list[_Apart]:
    """Where every arm stands apart from the baseline, as (axis, level).

    Not where it stands on all axes: to compare 3,000 arms on 100 axes by that took a tenth of a
    report.
    """
    home = baseline.point if baseline is not None else {}
    return [frozenset(at for at in row.point.items() if at[1] != home.get(at[0])) for row in rows]
