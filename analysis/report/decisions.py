"""Sections that weigh a sweep: importance, interactions, accuracy against cost."""

from __future__ import annotations

from markupsafe import Markup

from analysis.factorial import factorial
from analysis.importance import importance as axis_importance
from analysis.pareto import ParetoArm, pareto
from analysis.report.page import SweepPage
from analysis.report.pictures import front_picture
from analysis.report.plots import Scale, accuracy_scale, apart, round_scale
from analysis.report.sections import Section, nothing, template, text
from analysis.report.text_tables import TextTable
from analysis.report.words import accuracy_text, cost_unit, hours, p_value, percent

FRONT_HEIGHT = 260
FRONT_WIDTH = 640


def importance(page: SweepPage) -> Section:
    """Which axes decide whether an arm is among the best."""
    name, title = f"importance-{page.anchor}", "Which axes matter"
    found = axis_importance(page.tables)
    if found is None:
        return nothing(name, title)
    table = TextTable(
        caption=f"Share of what decides whether an arm is among the best; {found.basis}.",
        head=["axis", "share, %", "p (shuffled)", "above chance"],
        rows=[
            [
                axis.axis,
                percent(axis.share),
                p_value(axis.p_value),
                "yes" if axis.above_chance else "no",
            ]
            for axis in found.axes
        ],
        right=(1, 2),
        notes=["PED-ANOVA. Shares sum to 100 also where no axis matters; look at p first."],
        label="importance",
    )
    return text(name, title, tables=[table])


def interactions(page: SweepPage) -> Section:
    """What axes do alone and in pairs, where the design can tell."""
    name, title = f"interactions-{page.anchor}", "Interactions"
    found = factorial(page.tables, page.ablation.outcomes)
    if found is None:
        return nothing(name, title)
    said = []
    if found.not_estimable:
        said.append(f"This design cannot tell apart: {', '.join(found.not_estimable)}.")
    said += [f"Aliased: {alias}." for alias in found.aliases[:20]]
    table = TextTable(
        caption=f"Analysis of variance of accuracy on {found.benchmark}.",
        head=["term", "degrees", "share of variance, %", "p (Holm)"],
        rows=[
            [term.name, str(term.degrees), percent(term.share), p_value(term.p_value)]
            for term in found.terms
        ],
        right=(1, 2, 3),
        notes=[f"{found.basis[:1].upper()}{found.basis[1:]}."],
        label="interactions",
    )
    return text(name, title, prose=said, tables=[table])


def cost_front(page: SweepPage) -> Section:
    """Accuracy against cost: which arms no other arm beats in both."""
    name, title = f"front-{page.anchor}", "Accuracy against cost"
    found = pareto(page.tables, page.ablation.arms)
    if len(found) < 2:
        return nothing(name, title)
    front = [arm for arm in found if arm.on_front]
    said = [
        "On the front, cheapest first: "
        + ", ".join(
            f"{arm.arm} ({hours(arm.device_seconds)}, {percent(arm.accuracy.value)}%)"
            for arm in front
        )
        + "."
    ]
    priced = any(arm.usd is not None for arm in found)
    table = TextTable(
        caption="Cost is of one trial, on average; accuracy is on test items.",
        head=["arm", "devices", *(["$"] if priced else []), "accuracy", "front"],
        rows=[
            [
                arm.arm,
                hours(arm.device_seconds),
                *([f"{arm.usd:.2f}" if arm.usd is not None else ""] if priced else []),
                accuracy_text(arm.accuracy),
                "on it" if arm.on_front else f"beaten by {arm.beaten_by}",
            ]
            for arm in found
        ],
        right=tuple(range(1, 4 if priced else 3)),
        notes=[page.basis],
        label="front",
    )
    drawn = _front_plot(page, found)
    made = text(name, title, prose=said, tables=[table])
    heading, _, rest = made.html.partition("</h2>")
    html = Markup(heading) + Markup("</h2>") + drawn + Markup(rest)
    return Section(
        name=name,
        title=title,
        html=html,
        prose=said,
        tables=[table],
        picture=lambda: front_picture(found, page.ablation.benchmark),
    )


def _front_plot(page: SweepPage, found: tuple[ParetoArm, ...]) -> Markup:
    shown = [arm for arm in page.ablation.arms if arm.accuracy is not None]
    longest = max(1.0, *(arm.device_seconds for arm in found))
    unit, word = cost_unit(longest)
    costs = round_scale(0.0, 1.08 * longest / unit, FRONT_WIDTH, margin=44)
    heights: Scale = accuracy_scale(shown, width=FRONT_HEIGHT)
    front = [arm for arm in found if arm.on_front]
    places = apart(
        [heights.x(100 * arm.accuracy.value) for arm in front], gap=16, high=FRONT_HEIGHT
    )
    return Markup(
        template("front.html.j2").render(
            arms=found, costs=costs, heights=heights, unit=unit, word=word,
            height=FRONT_HEIGHT, width=FRONT_WIDTH,
            names=dict(zip((arm.arm for arm in front), places, strict=True)),
        )
    )  # fmt: skip
