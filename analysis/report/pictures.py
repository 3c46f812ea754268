"""The report's plots as PNG, for places that show neither SVG nor a page: MLflow, slides.

Draws what others computed. Invariant: what the colours say is said by shape or word as well, and a
picture of very many levels or arms shows those told apart first and says how many it leaves out.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.effects import Effect
from analysis.pareto import ParetoArm
from analysis.report.page import DRAWN_ARMS, SweepPage, prominent_arms
from analysis.report.plots import (
    SERIES,
    SETTINGS,
    Palette,
    curves_figure,
    effect_scale,
    style_axis,
)
from analysis.report.words import brief, cost_unit, hours, points, typeset, verdict_glyph
from analysis.statistics.paired import Scope
from analysis.statistics.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = 60
"""Levels of one picture; more are no longer read."""
DOTS_PER_INCH = 105
"""MLflow shows a picture as large as it is, beside a list that leaves about 1,000 pixels."""
PAPER = Palette(
    ink="#17202b",
    muted="#566272",
    line="#d5dbe3",
    series=("#17202b", "#1d6fb8", "#b3531a", "#1f7a5a", "#8a3f96", "#8a6d0b"),
)
_BETTER, _WORSE = "#0a6b4d", "#a63a1e"


def effects_picture(page: SweepPage) -> bytes:
    """Every level against the baseline's with both intervals; empty where nothing was compared."""
    every = [effect for axis in page.ablation.axes for effect in axis.levels if effect.comparison]
    if not every:
        return b""
    kept = sorted(range(len(every)), key=lambda number: _how_far(every[number]))[:ROWS]
    shown = [every[number] for number in sorted(kept)]
    return _png(lambda: _effects_figure(page, shown, len(every)))


def curves_picture(page: SweepPage) -> bytes:
    """Learning curves, as on the page; empty without reports."""
    shown = prominent_arms(page.ablation)
    curves = page.tables.curves
    return _png(
        lambda: curves_figure(
            curves[curves["arm"].isin(shown[:DRAWN_ARMS])],
            monitored=f"eval/{page.tables.selected_on or 'validation'}/accuracy",
            highlighted=shown[:SERIES],
            palette=PAPER,
        )
    )


def front_picture(arms: Sequence[ParetoArm], benchmark: str) -> bytes:
    """Accuracy against cost; empty for fewer than two arms."""
    return _png(lambda: _front_figure(arms, benchmark)) if len(arms) > 1 else b""


def _png(draw: Callable[[], Figure | None]) -> bytes:
    import matplotlib as mpl

    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        # A letter our font lacks is a box in the picture, and text everywhere else.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = draw()
        if figure is None:
            return b""
        sink = io.BytesIO()
        figure.savefig(sink, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return sink.getvalue()


def _how_far(effect: Effect) -> tuple[bool, float]:
    told_apart = effect.verdict is not None and effect.verdict.claims
    return not told_apart, -abs(effect.comparison.difference if effect.comparison else 0.0)


def _effects_figure(page: SweepPage, shown: Sequence[Effect], of: int) -> Figure:
    from matplotlib.figure import Figure

    reach = effect_scale(shown).high
    ends = [end for effect in shown for end in _ends(effect)]
    low, high = max(-reach, min(0.0, *ends)), min(reach, max(0.0, *ends))
    room = 0.03 * (high - low)
    figure = Figure(figsize=(9.0, 1.3 + 0.27 * len(shown)), layout="constrained")
    axis = figure.subplots()
    for row, effect in enumerate(shown):
        _draw_effect(axis, effect, float(row), beyond=high + room)
    axis.axvline(0, color=PAPER.muted, lw=0.8, ls=(0, (2, 3)), zorder=0)
    axis.set_xlim(low - room, high + room)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.set_yticks(
        range(len(shown)), [brief(effect.name, 44) for effect in shown], color=PAPER.ink,
        parse_math=False,
    )  # fmt: skip
    style_axis(axis, PAPER, grid="x")
    axis.tick_params(axis="y", labelcolor=PAPER.ink, length=0)
    left_out = f"; {len(shown)} of {of} levels, those told apart first" if len(shown) < of else ""
    axis.set_xlabel(
        f"points of accuracy on {brief(page.ablation.benchmark, 40)} against the baseline's level; "
        f"95% intervals: thin for new seeds and items, thick for these models{left_out}",
        color=PAPER.muted, parse_math=False, fontsize=8, wrap=True,
    )  # fmt: skip
    axis.set_title(brief(typeset(page.answer), 300), loc="left", color=PAPER.ink, parse_math=False,
                   fontsize=9, wrap=True)  # fmt: skip
    return figure


def _draw_effect(axis: Axes, effect: Effect, row: float, *, beyond: float) -> None:
    held, verdict = effect.comparison, effect.verdict
    assert held is not None
    assert verdict is not None
    colour = {"better": _BETTER, "worse": _WORSE}.get(verdict.word, PAPER.muted)
    value = 100 * held.difference
    if held.fixed is not None:
        axis.plot([100 * held.fixed.low, 100 * held.fixed.high], [row, row], color=colour, lw=5,
                  alpha=0.35, solid_capstyle="butt")  # fmt: skip
    if held.general is not None:
        axis.errorbar(
            value, row, xerr=[[value - 100 * held.general.low], [100 * held.general.high - value]],
            color=colour, lw=1.1, capsize=2.5, fmt="none",
        )  # fmt: skip
    shown = verdict.claims and verdict.scope is Scope.GENERAL
    axis.plot(value, row, marker="D", ms=5, mec=colour, mfc=colour if shown else "white", ls="none")
    axis.annotate(
        f"{verdict_glyph(effect)} {points(held.difference)}  {_word(verdict)}", (beyond, row),
        xytext=(6, 0), textcoords="offset points", va="center", fontsize=8, color=colour,
        annotation_clip=False,
    )  # fmt: skip


def _word(verdict: Verdict) -> str:
    if verdict.claims or verdict.models == verdict.word:
        return verdict.word
    return f"{verdict.word} (these models: {verdict.models})"


def _ends(effect: Effect) -> list[float]:
    held = effect.comparison
    assert held is not None
    intervals = [each for each in (held.general, held.fixed) if each is not None]
    return [100 * end for each in intervals for end in (each.low, each.high)] or [
        100 * held.difference
    ]


def _front_figure(arms: Sequence[ParetoArm], benchmark: str) -> Figure:
    from matplotlib.figure import Figure

    unit, word = cost_unit(max(arm.device_seconds for arm in arms))
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    axis = figure.subplots()
    front = [arm for arm in arms if arm.on_front]
    for placed, colour, marker in (
        ([arm for arm in arms if not arm.on_front], PAPER.muted, "s"),
        (front, PAPER.series[1], "o"),
    ):
        values = np.array([100 * arm.accuracy.value for arm in placed])
        axis.errorbar(
            [arm.device_seconds / unit for arm in placed], values,
            yerr=[values - [100 * arm.accuracy.low for arm in placed],
                  [100 * arm.accuracy.high for arm in placed] - values],
            fmt=marker, mfc=colour if marker == "o" else "white", color=colour, lw=0.9, ms=5,
        )  # fmt: skip
    axis.plot(
        [arm.device_seconds / unit for arm in front], [100 * arm.accuracy.value for arm in front],
        color=PAPER.series[1], lw=1.2, ls=(0, (5, 3)), zorder=1,
    )  # fmt: skip
    for arm in front:
        axis.annotate(
            f"{brief(arm.arm, 30)} ({hours(arm.device_seconds)})",
            (arm.device_seconds / unit, 100 * arm.accuracy.value), xytext=(8, 6),
            textcoords="offset points", color=PAPER.ink, fontsize=8.5, parse_math=False,
            bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1},
        )  # fmt: skip
    axis.set_xlim(left=0)
    axis.set_xlabel(f"{word} per trial; circles: no arm is better and cheaper", color=PAPER.muted)
    axis.set_title(f"accuracy on {brief(benchmark, 60)}, %, 95% intervals", loc="left",
                   color=PAPER.ink, fontsize=9.5, parse_math=False)  # fmt: skip
    style_axis(axis, PAPER, grid="y")
    return figure
