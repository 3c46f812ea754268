"""Tables of a sweep as text: effects and arms, for Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.ablation import Ablation, ArmResult
from analysis.report.text_tables import TextTable
from analysis.report.words import accuracy_text, between, p_value, percent, points
from analysis.slices import MACRO_DRAWS, ImageCheck, SliceTable
from analysis.statistics.resampling import FEWEST_GROUPS
from analysis.text_twins import TextTwin


def effects_table(ablation: Ablation) -> TextTable:
    """One row per level of every axis: difference, both intervals, corrected p and q, verdict."""
    rows = []
    for axis in ablation.axes:
        for effect in axis.levels:
            held, verdict = effect.comparison, effect.verdict
            if held is None or verdict is None:
                rows.append([effect.name, effect.reference, "", "", "", "", "", effect.note])
                continue
            corrected = verdict.general_p if verdict.general_p is not None else verdict.fixed_p
            rows.append(
                [
                    effect.name,
                    effect.reference,
                    points(held.difference),
                    between(held.general),
                    between(held.fixed),
                    p_value(corrected),
                    p_value(effect.q_value),
                    verdict.text,
                ]
            )
    return TextTable(
        caption=f"Differences of accuracy on {ablation.benchmark}, in points.",
        head=[
            "level",
            "against",
            "points",
            "95% new seeds and items",
            "95% these models",
            "p (Holm)",
            "q (BH)",
            "verdict",
        ],
        rows=rows,
        right=(2, 3, 4, 5, 6),
        notes=_basis(ablation),
        label="effects",
    )


def arms_table(ablation: Ablation) -> TextTable:
    """One row per arm: accuracy with its interval, seeds, how its trials ended."""
    rows = [
        [
            arm.arm + (" (best on validation)" if arm.arm == ablation.best else ""),
            accuracy_text(arm.accuracy),
            str(len(arm.seeds)),
            arm.standing,
        ]
        for arm in ablation.arms
    ]
    return TextTable(
        caption=f"Accuracy on {ablation.benchmark} in percent, with 95% intervals.",
        head=["arm", f"accuracy on {ablation.benchmark}", "seeds", "trials"],
        rows=rows,
        right=(1, 2),
        notes=[ablation.outcomes.basis],
        label="arms",
    )


def verdicts(ablation: Ablation) -> dict[str, Any]:
    """What may be said of every arm, for programs and trackers; differences are of accuracies.

    Returns:
        `benchmark`, `baseline` and `arms`: by name, those told apart from the baseline first.
    """
    told = {}
    for arm in sorted(ablation.arms, key=_not_told_apart):
        effect = arm.against_baseline
        if effect is None or effect.comparison is None or effect.verdict is None:
            continue
        held, verdict = effect.comparison, effect.verdict
        interval = held.general or held.fixed
        told[arm.arm] = {
            "verdict": verdict.text,
            "difference": held.difference,
            "interval": None if interval is None else [interval.low, interval.high],
            "p_holm": verdict.fixed_p if held.general is None else verdict.general_p,
            "q": effect.q_value,
            "sentence": effect.sentence,
        }
    return {"benchmark": ablation.benchmark, "baseline": ablation.baseline, "arms": told}


def _not_told_apart(arm: ArmResult) -> bool:
    verdict = arm.against_baseline.verdict if arm.against_baseline is not None else None
    return verdict is None or not verdict.claims


def slices_table(table: SliceTable, arms: tuple[str, ...], basis: str) -> TextTable:
    """One row per slice: accuracy of some arms in percent, the mean of the slices last."""
    shown = [arm for arm in arms if arm in table.arms]
    rows = [
        [
            name,
            str(count),
            *(
                f"{100 * cell.accuracy:.1f}" if (cell := table.cells.get((arm, name))) else ""
                for arm in shown
            ),
        ]
        for name, count in zip(table.slices, table.pairs, strict=True)
    ]
    means = [percent(table.macro[arm][0]) if arm in table.macro else "" for arm in shown]
    rows.append(["mean of slices", "", *means])
    return TextTable(
        caption=f"Accuracy in percent by {table.by}.",
        notes=[
            basis,
            f"Last row: {MACRO_DRAWS:,} bootstrap draws of whole groups give its interval on the "
            f"page, where there are {FEWEST_GROUPS} or more; differences are corrected over all "
            "cells (Holm).",
        ],
        head=[table.by, "pairs", *shown],
        rows=rows,
        right=tuple(range(1, len(shown) + 2)),
        label=f"by-{table.by}",
    )


def images_table(check: ImageCheck) -> TextTable:
    """One row per arm: accuracy with the right images, with shuffled ones, the difference."""
    rows = [
        [
            arm.arm,
            f"{100 * arm.seeing.value:.1f}",
            f"{100 * arm.blind.value:.1f}",
            points(arm.drop.difference if arm.drop else arm.seeing.value - arm.blind.value),
        ]
        for arm in check.arms
    ]
    return TextTable(
        caption=f"Accuracy in percent on {check.pairs:,} pairs, with right and shuffled images.",
        head=["arm", "right images", "shuffled images", "points"],
        rows=rows,
        right=(1, 2, 3),
        notes=[check.basis],
        label="images",
    )


def twins_table(twins: Sequence[TextTwin], baseline: str) -> TextTable:
    """One row per arm trained on text alone: accuracy on pairs with an image, and the gap."""
    rows = [
        [
            twin.arm,
            accuracy_text(twin.accuracy),
            points(twin.gap.difference) if twin.gap is not None else "",
            between((twin.gap.general or twin.gap.fixed) if twin.gap is not None else None),
        ]
        for twin in twins
    ]
    return TextTable(
        caption=f"Arms trained on text alone, on the {twins[0].pairs:,} pairs with an image.",
        head=["arm", "accuracy", f"{baseline} minus it, points", "95% interval"],
        rows=rows,
        right=(1, 2, 3),
        notes=[
            "What the baseline has more comes from the images it was trained on.",
            twins[0].basis,
        ],
        label="text-twins",
    )


def _basis(ablation: Ablation) -> list[str]:
    """What the figures rest on, as one note."""
    bases = {
        effect.comparison.basis
        for axis in ablation.axes
        for effect in axis.levels
        if effect.comparison is not None
    }
    return [f"{basis[:1].upper()}{basis[1:]}." for basis in sorted(bases)[:4]]
