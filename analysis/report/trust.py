"""The section that asks whether figures can be trusted: resampling, confidence, bias, leaks."""

from __future__ import annotations

import math

from analysis.report.page import SweepPage
from analysis.report.sections import Section, nothing, text
from analysis.report.text_tables import TextTable
from analysis.report.words import between, p_value, percent, points
from analysis.sanity import Sanity, check_sanity

RELIABLE_ARMS = 3
"""Arms whose reliability is shown part by part."""


def sanity(page: SweepPage) -> Section:
    """What could make a good number worthless: leaks, twins, length, position, confidence."""
    name, title = f"sanity-{page.anchor}", "Can the numbers be trusted?"
    if not page.ablation.outcomes.arms:
        return nothing(name, title)
    found = check_sanity(page.tables, page.ablation.outcomes, page.sliced_arms)
    said = list(found.warnings[:20]) or ["Nothing was found in what was compared."]
    said += found.compared
    said.append(f"{page.basis} Figures of an arm are of all its seeds together.")
    return text(
        name,
        title,
        prose=said,
        tables=[*_resampling(found), *_reliability(found), *_calibration(found), *_biases(found)],
    )


def _resampling(found: Sanity) -> list[TextTable]:
    if not found.resampled:
        return []
    return [
        TextTable(
            caption="Without a formula: the first arms against the baseline, by resampling.",
            head=["arm", "points", "95% formula", "95% bootstrap", "p, groups", "p, seeds"],
            rows=[
                [
                    each.arm,
                    points(each.comparison.difference),
                    between(each.comparison.fixed),
                    between(each.bootstrap),
                    p_value(each.groups.p_value),
                    p_value(each.seeds.p_value),
                ]
                for each in found.resampled
            ],
            right=(1, 2, 3, 4, 5),
            notes=[
                "Intervals and the p-value of groups are for these models on new items, the "
                "p-value of seeds for new seeds on these items; signs of whole groups or seeds "
                "are flipped, and nothing is corrected for many tests.",
                *dict.fromkeys(
                    f"No {what}: {held.note}."
                    for each in found.resampled
                    for what, held in (("bootstrap", each.bootstrap), ("p of seeds", each.seeds))
                    if held.note
                ),
            ],
            label="resampling",
        )
    ]


def _reliability(found: Sanity) -> list[TextTable]:
    """Claimed and true shares of the first arms, tenth by tenth of their confidence."""
    shown = [(arm.arm, arm.scaled or arm.raw) for arm in found.calibration[:RELIABLE_ARMS]]
    if not shown:
        return []
    count = max(len(each.bins) for _, each in shown)
    rows = []
    for number in range(count):
        row = [str(number + 1)]
        for _, each in shown:
            held = each.bins[number] if number < len(each.bins) else None
            row += [percent(held.confidence), percent(held.accuracy)] if held else ["", ""]
        rows.append(row)
    return [
        TextTable(
            caption="Reliability, in percent: how often models claim to be right, and are, on "
            "parts of about equally many pairs, the least sure first.",
            head=["part", *(text for arm, _ in shown for text in (f"{arm} claims", "is right"))],
            rows=rows,
            right=tuple(range(1, 2 * len(shown) + 1)),
            notes=["At the temperatures below, where there are validation scores to fit them."],
            label="reliability",
        )
    ]


def _calibration(found: Sanity) -> list[TextTable]:
    rows = []
    for arm in found.calibration:
        scaled = arm.scaled
        rows.append(
            [
                arm.arm,
                _nats(arm.raw.nll),
                percent(arm.raw.ece),
                _nats(scaled.nll) if scaled is not None else "",
                percent(scaled.ece) if scaled is not None else "",
                ", ".join("none" if math.isinf(t) else f"{t:.2f}" for t in arm.temperatures),
            ]
        )
    if not rows:
        return []
    return [
        TextTable(
            caption="Confidence: how well margins tell how often a model is right.",
            head=["arm", "NLL", "ECE, %", "NLL scaled", "ECE scaled, %", "temperatures"],
            rows=rows,
            right=(1, 2, 3, 4),
            notes=[
                "Scaled: each model's margins divided by the temperature that fits validation "
                "best. Always saying 50% has an NLL of 0.693."
            ],
            label="calibration",
        )
    ]


def _nats(value: float) -> str:
    """A loss with three digits; of scores in thousands it has thousands itself."""
    return f"{value:.3f}" if value < 1000 else f"{value:.2g}"


def _biases(found: Sanity) -> list[TextTable]:
    tables = []
    if found.length:
        tables.append(
            TextTable(
                caption="Length: how much more often the longer response wins than the labels say.",
                head=["arm", "excess, points", "95% these models", "longer is better, %"],
                rows=[
                    [
                        bias.arm,
                        points(bias.excess.difference),
                        between(bias.excess.fixed),
                        percent(bias.longer_better),
                    ]
                    for bias in found.length
                ],
                right=(1, 2, 3),
                label="length-bias",
            )
        )
    if found.position:
        tables.append(
            TextTable(
                caption="Position: how much more often than half the first response wins.",
                head=["arm", "points, by seed"],
                rows=[[bias.arm, ", ".join(map(points, bias.per_seed))] for bias in found.position],
                label="position-bias",
            )
        )
    return tables
