"""Levels against the baseline's: which arms tell them apart, and what the difference is.

Invariant: the tests of one axis are one family, whose p-values are corrected together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.outcomes import Outcomes, contrast
from analysis.statistics.corrections import holm
from analysis.statistics.paired import Comparison
from analysis.statistics.planning import Advice, advise, minimum_detectable_effect
from analysis.statistics.verdicts import Verdict, judge, sentence
from analysis.tables import SweepTables
from sweep.records.rows import ArmRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One arm or level against its reference; without a comparison, `note` says why."""

    name: str
    reference: str
    arm_pairs: tuple[tuple[str, str], ...]
    """(arm, reference arm) over which the difference is averaged; one in a one-factor design."""
    comparison: Comparison | None = None
    verdict: Verdict | None = None
    advice: Advice | None = None
    detectable: float | None = None
    """Smallest difference four sweeps of five like this one would find, after the correction."""
    note: str = ""

    @property
    def sentence(self) -> str:
        """What may be said of it."""
        if self.comparison is None or self.verdict is None:
            return f"{self.name}: no comparison, {self.note}."
        return sentence(self.name, self.reference, self.comparison, self.verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisEffects:
    """The levels of one axis; their p-values are corrected as one family."""

    axis: str
    question: str
    reference: str
    """The baseline's level."""
    levels: tuple[Effect, ...]


def effects(
    outcomes: Outcomes, asked: Sequence[Effect], *, alpha: float = 0.05
) -> tuple[Effect, ...]:
    """Fill in effects as one family: comparisons, Holm-corrected verdicts, advice."""
    comparisons = [contrast(outcomes, effect.arm_pairs, alpha=alpha) for effect in asked]
    general = holm([c.general.p_value if c and c.general else None for c in comparisons])
    fixed = holm([c.fixed.p_value if c and c.fixed else None for c in comparisons])
    # What a single test must reach after Holm's correction, at worst.
    strict = alpha / max(1, sum(comparison is not None for comparison in comparisons))
    filled = []
    for effect, comparison, general_p, fixed_p in zip(
        asked, comparisons, general, fixed, strict=True
    ):
        if comparison is None:
            filled.append(replace(effect, note=effect.note or "no seed of both arms was scored"))
            continue
        verdict = judge(comparison, general_p=general_p, fixed_p=fixed_p, alpha=alpha)
        settled = verdict.general_p is not None and verdict.general_p <= alpha
        filled.append(
            replace(
                effect,
                comparison=comparison,
                verdict=verdict,
                advice=advise(comparison, settled=settled, alpha=strict),
                detectable=minimum_detectable_effect(comparison, alpha=strict),
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


def axis_effects(
    tables: SweepTables, outcomes: Outcomes, axis: str, *, alpha: float = 0.05
) -> AxisEffects:
    """Every level of an axis against the baseline's, other axes being equal."""
    baseline = next((row for row in tables.arm_rows if row.name == tables.baseline), None)
    reference = baseline.point.get(axis, "") if baseline is not None else ""
    levels = dict.fromkeys(row.point[axis] for row in tables.arm_rows if axis in row.point)
    asked = []
    for level in levels:
        if level == reference:
            continue
        pairs = _matched_arms(tables.arm_rows, axis, level, reference, baseline)
        asked.append(
            Effect(
                name=f"{axis}={level}",
                reference=f"{axis}={reference}" if reference else str(tables.baseline),
                arm_pairs=pairs,
                note=_why_not(tables, outcomes, pairs),
            )
        )
    definition = tables.sweep.spec_json.get("axes", {}).get(axis)
    question = (definition.get("question") or "") if isinstance(definition, dict) else ""
    return AxisEffects(
        axis=axis,
        question=question,
        reference=reference,
        levels=effects(outcomes, asked, alpha=alpha),
    )


def _why_not(tables: SweepTables, outcomes: Outcomes, pairs: Sequence[tuple[str, str]]) -> str:
    """Why these arms cannot be compared; empty when all of them have scores."""
    if not pairs:
        return "no two arms differ in this alone"
    bare = sorted({name for pair in pairs for name in pair if not outcomes.seeds(name)})
    if not bare:
        return ""
    return "no scores of " + ", ".join(f"{name} ({standing(tables, name)})" for name in bare)


def _matched_arms(
    rows: Sequence[ArmRow], axis: str, level: str, reference: str, baseline: ArmRow | None
) -> tuple[tuple[str, str], ...]:
    """Arms at the level with those at the reference that are equal in everything else.

    An axis that does not matter for an arm is not in its point and stands at the baseline's level;
    where nothing fits so, it does not tell the arm from others.
    """
    home = baseline.point if baseline is not None else {}
    at_reference = [row for row in rows if row.point.get(axis, reference) == reference]
    pairs = []
    for row in rows:
        if row.point.get(axis) != level:
            continue
        others = {name for other in at_reference for name in (*row.point, *other.point)} - {axis}
        partners = [
            other.name
            for other in at_reference
            if all(_level(row, name, home) == _level(other, name, home) for name in others)
        ]
        partners = partners or [
            other.name
            for other in at_reference
            if all(
                row.point[name] == other.point.get(name, row.point[name])
                for name in row.point
                if name != axis
            )
        ]
        pairs += [(row.name, partner) for partner in partners if partner != row.name]
    return tuple(pairs)


def _level(row: ArmRow, axis: str, home: Mapping[str, str]) -> str | None:
    return row.point.get(axis, home.get(axis))
