"""The section that puts several sweeps side by side."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.report.page import SweepPage
from analysis.report.sections import Section, text
from analysis.report.text_tables import TextTable
from analysis.report.words import accuracy_text, points
from analysis.sweep_comparison import compare_sweeps


def comparison(pages: Sequence[SweepPage]) -> Section:
    """The sweeps' answers, then every arm of all of them on the items they share."""
    found = compare_sweeps(pages)
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
        return text("comparison", "Sweeps compared", tables=[answers], prose=[f"{found.problem}."])
    rows = []
    for arm in found.arms:
        effect = arm.against
        held = effect.comparison if effect is not None else None
        verdict = effect.verdict.text if effect is not None and effect.verdict else ""
        rows.append(
            [
                arm.sweep,
                arm.arm,
                str(arm.seeds),
                accuracy_text(arm.accuracy),
                points(held.difference) if held is not None else "",
                verdict or (effect.note if effect is not None else "is the reference"),
            ]
        )
    left_out = f", {found.left_out:,} that some sweep lacks left out" if found.left_out else ""
    arms = TextTable(
        caption=(
            f"All arms on the {found.pairs:,} pairs all sweeps share{left_out}; against "
            f"{found.reference}, corrected for all arms (Holm)."
        ),
        head=["sweep", "arm", "seeds", "accuracy, %", "points", "verdict"],
        rows=rows,
        right=(2, 3, 4),
        label="comparison",
    )
    return text("comparison", "Sweeps compared", tables=[answers, arms])
