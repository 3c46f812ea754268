"""Sections that put several sweeps, and models trained elsewhere, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analysis.foreign.tables import ForeignScores
from analysis.report.page import SweepPage
from analysis.report.sections import Section, text
from analysis.report.text_tables import TextTable
from analysis.report.words import accuracy_text, points
from analysis.sweep_comparison import SweepComparison, compare_sweeps

MOST_NOTES = 12
"""Notes on a folder that are written out."""
_TITLE = "Side by side"


def comparison(
    pages: Sequence[SweepPage], foreign: ForeignScores | None = None, *, benchmark: str = ""
) -> Section:
    """The sweeps' answers, then every arm of all sources on the items they share."""
    found = compare_sweeps(pages, foreign, benchmark=benchmark)
    answers = TextTable(
        caption="What every sweep says by itself.",
        head=["sweep", "question", "answer"],
        rows=[
            [
                page.tables.sweep_id,
                str(page.tables.sweep.spec_json.get("question") or "")[:300],
                page.answer,
            ]
            for page in pages
        ],
        label="answers",
    )
    if found.problem:
        said = f"{found.problem[:1].upper()}{found.problem[1:]}."
        return text("comparison", _TITLE, tables=[answers] if pages else [], prose=[said])
    rows = []
    for arm in found.arms:
        effect = arm.against
        held = effect.comparison if effect is not None else None
        verdict = effect.verdict.text if effect is not None and effect.verdict else ""
        rows.append(
            [
                ", ".join([arm.sweep, *arm.also]),
                arm.arm,
                str(arm.seeds),
                accuracy_text(arm.accuracy),
                points(held.difference) if held is not None else "",
                verdict or (effect.note if effect is not None else "is the reference"),
            ]
        )
    left_out = f", {found.left_out:,} that some lack left out" if found.left_out else ""
    arms = TextTable(
        caption=(
            f"All arms on the {found.pairs:,} pairs that all were scored on{left_out}; against "
            f"{found.reference}, corrected for all arms (Holm)."
        ),
        head=["sweep or folder", "arm", "seeds", "accuracy, %", "points", "verdict"],
        rows=rows,
        right=(2, 3, 4),
        label="comparison",
    )
    made = text("comparison", _TITLE, tables=[answers, arms] if pages else [arms])
    return made if pages else replace(made, headline=_headline(found))


def foreign_models(foreign: ForeignScores) -> Section:
    """Who was scored elsewhere, and what was assumed of their tables."""
    table = TextTable(
        caption=f"Models in {foreign.folder.resolve().name}.",
        head=["arm", "seed", "files", "identity"],
        rows=[
            [each.arm, str(each.seed), ", ".join(each.files[:4]), each.identity[:12]]
            for each in foreign.models
        ],
        right=(1,),
        label="foreign",
    )
    said = [f"{note[:1].upper()}{note[1:]}." for note in foreign.notes[:MOST_NOTES]]
    if len(foreign.notes) > MOST_NOTES:
        said.append(f"And {len(foreign.notes) - MOST_NOTES} more notes of this kind.")
    return text("foreign", "Models trained elsewhere", prose=said, tables=[table])


def _headline(found: SweepComparison) -> str:
    """What may be said where there is no sweep whose question it would answer."""
    told: dict[str, list[str]] = {}
    for arm in found.arms:
        if arm.against is not None and arm.against.verdict and arm.against.verdict.claims:
            told.setdefault(arm.against.verdict.text, []).append(arm.arm)
    against = f"On {found.pairs:,} pairs of {', '.join(found.benchmarks)}"
    reference = found.reference.partition(": ")[2]
    if not told:
        return f"{against} no model is distinguishable from {reference}."
    parts = "; ".join(f"{words}: {', '.join(arms[:8])}" for words, arms in told.items())
    return f"{against}, against {reference}, {parts}."
