"""Effects and arms as Markdown tables, for issues, chats and papers."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.ablation import Ablation
from analysis.report_words import accuracy_text, p_value, points
from analysis.statistics.paired import Interval


def effects_table(ablation: Ablation) -> str:
    """One row per level of every axis: difference, both intervals, corrected p, verdict."""
    rows = []
    for axis in ablation.axes:
        for effect in axis.levels:
            held, verdict = effect.comparison, effect.verdict
            if held is None or verdict is None:
                rows.append([effect.name, effect.reference, "", "", "", "", effect.note])
                continue
            corrected = verdict.general_p if verdict.general_p is not None else verdict.fixed_p
            rows.append(
                [
                    effect.name,
                    effect.reference,
                    points(held.difference),
                    _ends(held.general),
                    _ends(held.fixed),
                    p_value(corrected),
                    verdict.text,
                ]
            )
    head = ["level", "against", "points", "95% new seeds and items", "95% these models"]
    return _table([*head, "p (Holm)", "verdict"], rows)


def arms_table(ablation: Ablation) -> str:
    """One row per arm: accuracy with its interval, seeds, how its trials ended."""
    rows = [
        [
            arm.arm + (" (best on validation)" if arm.arm == ablation.best else ""),
            accuracy_text(arm),
            str(len(arm.seeds)),
            arm.standing,
        ]
        for arm in ablation.arms
    ]
    return _table(["arm", f"accuracy on {ablation.benchmark}", "seeds", "trials"], rows)


def _ends(interval: Interval | None) -> str:
    return "" if interval is None else f"{points(interval.low)} to {points(interval.high)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
