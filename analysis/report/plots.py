"""Drawings of the report: scales for plots inside tables, learning curves as SVG.

Draws what others computed. Colours are the page's own (CSS variables), so one drawing serves light
and dark screens and paper; lines differ by dash and label as well, for readers without colour.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from analysis.ablation import ArmResult
from analysis.effects import Effect

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = 6
"""Lines that are told apart; further arms are drawn in one quiet colour."""
FAR = 4
"""Losses so many times apart are drawn on a logarithmic scale."""
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "rmsweep", "font.size": 9.5}
"""Of matplotlib, while it makes and saves a figure."""
_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)), (0, (3, 1.5)), (0, (9, 3)))
_MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours of a drawing."""

    ink: str
    muted: str
    line: str
    series: tuple[str, ...]


PAGE = Palette(
    ink="#010101",
    muted="#010102",
    line="#010103",
    series=tuple(f"#02000{number}" for number in range(SERIES)),
)
"""Marks that become the page's own colours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A horizontal axis: values to pixels, with ticks at round values."""

    low: float
    high: float
    width: int
    ticks: tuple[float, ...]
    margin: int = 12

    @property
    def signed(self) -> bool:
        """Whether it holds values on both sides of zero, so that zero is worth a mark."""
        return self.low < 0 < self.high

    def x(self, value: float) -> float:
        """Pixel of a value, kept inside the plot."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.margin + share * (self.width - 2 * self.margin), 1)

    def beyond(self, value: float) -> bool:
        """Whether a value lies outside the plot."""
        return not self.low <= value <= self.high


def effect_scale(effects: Iterable[Effect], *, width: int = 270) -> Scale:
    """A scale for differences in points; very long general intervals run off it."""
    reach = 1.0
    for effect in effects:
        comparison = effect.comparison
        if comparison is None:
            continue
        fixed, general = comparison.fixed, comparison.general
        ends = [comparison.difference]
        ends += [fixed.low, fixed.high] if fixed is not None else []
        near = 100 * max(map(abs, ends))
        far = 100 * max(abs(general.low), abs(general.high)) if general is not None else near
        reach = max(reach, near, min(far, 2.5 * near))
    return round_scale(-reach, reach, width)


def accuracy_scale(arms: Iterable[ArmResult], *, width: int = 270) -> Scale:
    """A scale for accuracies in percent that holds every seed and interval."""
    values = [
        100 * value
        for arm in arms
        if arm.accuracy is not None
        for value in (*arm.accuracy.per_seed, arm.accuracy.value)
    ]
    bounds = [
        100 * end
        for arm in arms
        if arm.accuracy is not None
        for end in (arm.accuracy.low, arm.accuracy.high)
    ]
    if not values:
        return round_scale(0, 100, width)
    spread = max(max(values) - min(values), 4.0)
    low = max(0.0, min(bounds), min(values) - 1.5 * spread)
    high = min(100.0, max(bounds), max(values) + 1.5 * spread)
    return round_scale(min(low, *values) - 0.5, max(high, *values) + 0.5, width)


def learning_curves(
    curves: pd.DataFrame, *, monitored: str, highlighted: Sequence[str], prefix: str = ""
) -> str | None:
    """Monitored accuracy and training loss over the training, as SVG; none without reports.

    Args:
        curves: As `curves_figure`.
        monitored: Likewise.
        highlighted: Likewise.
        prefix: Of the element ids, which must be unique on a page.
    """
    import matplotlib as mpl

    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        # Text is drawn by the reader's browser; what our own font lacks does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = curves_figure(curves, monitored=monitored, highlighted=highlighted, palette=PAGE)
        if figure is None:
            return None
        sink = io.StringIO()
        figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None})
    return _inline(sink.getvalue(), "Learning curves by arm", prefix)


def curves_figure(
    curves: pd.DataFrame, *, monitored: str, highlighted: Sequence[str], palette: Palette
) -> Figure | None:
    """Monitored accuracy and training loss over the training; none without reports.

    Args:
        curves: Columns `frames.CURVE_COLUMNS`.
        monitored: Metric of the left panel, such as `eval/validation/accuracy`.
        highlighted: Arms with a line of their own, at most `SERIES`.
        palette: Colours of lines and words.
    """
    panels = [
        (metric, label, factor)
        for metric, label, factor in (
            (monitored, "accuracy on validation, %", 100.0),
            ("train/loss", "training loss", 1.0),
        )
        if curves.loc[curves["metric"] == metric, "fraction"].nunique() > 1
    ]
    if not panels:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5 if len(panels) == 1 else 10.4, 3.3), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (metric, label, factor) in zip(axes, panels, strict=True):
        part = curves[curves["metric"] == metric]
        ends = _draw_curves(
            axis, part, factor=factor, highlighted=highlighted[:SERIES], palette=palette
        )
        if axis is axes[0]:
            _label_ends(axis, ends)
        axis.set_xlim(0, 102)
        axis.set_title(label, loc="left", color=palette.ink, fontsize=9.5)
    return figure


def _draw_curves(
    axis: Axes,
    curves: pd.DataFrame,
    *,
    factor: float,
    highlighted: Sequence[str],
    palette: Palette,
) -> list[tuple[float, float, str, str]]:
    """The lines; where each highlighted one ends: value, percent of training, arm, colour."""
    from matplotlib.ticker import LogLocator

    ends = []
    name = str(curves["metric"].iloc[0]).replace("/", "-")
    for place, (arm, rows) in enumerate(curves.groupby("arm", sort=False)):
        number = highlighted.index(arm) if arm in highlighted else None
        colour = palette.muted if number is None else palette.series[number]
        for seed, one in rows.groupby("seed"):
            axis.plot(
                100 * one["fraction"], factor * one["value"], color=colour, lw=0.7, alpha=0.45,
                gid=f"{name}-arm-{place}-{seed}",
            )  # fmt: skip
        if number is None:
            continue
        mean = rows.groupby("fraction")["value"].mean() * factor
        axis.plot(
            100 * mean.index, mean.to_numpy(), color=colour, lw=1.8, ls=_DASHES[number],
            marker=_MARKERS[number], ms=4, zorder=3, gid=f"{name}-arm-{place}",
        )  # fmt: skip
        ends.append((float(mean.iloc[-1]), float(100 * mean.index[-1]), str(arm), colour))
    own = factor * curves.loc[curves["arm"].isin(list(highlighted)), "value"]
    far = len(own) > 0 and own.min() > 0 and own.max() > FAR * own.min()
    if far and factor == 1:  # a share is read off as one, however low
        axis.set_yscale("log", subs=[])  # losses of other paradigms have other units
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
    elif len(own):  # arms that are not highlighted shall not flatten the rest
        room = max(0.06 * (own.max() - own.min()), 1e-9)
        axis.set_ylim(own.min() - room, own.max() + room)
    axis.set_xlabel("training done, %", color=palette.muted)
    style_axis(axis, palette, grid="y")
    return ends


def style_axis(axis: Axes, palette: Palette, *, grid: Literal["x", "y"]) -> None:
    """Quiet ticks, a grid across what is read off, no box."""
    axis.tick_params(colors=palette.muted, length=3)
    axis.grid(axis=grid, color=palette.line, lw=0.6)
    axis.set_axisbelow(True)
    for side, spine in axis.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(palette.line)


def _label_ends(axis: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Names at the lines' ends, moved apart where they would overlap."""
    straight = axis.get_yscale() == "linear"
    low, high = axis.get_ylim() if straight else map(math.log10, axis.get_ylim())
    values = [value if straight else math.log10(value) for value, *_ in ends]
    gap = (high - low) * 0.075
    places = apart(values, gap=gap, high=high)
    high = max([high, *(place + gap / 2 for place in places)])
    if not straight:
        low, high, places = 10**low, 10**high, [10**place for place in places]
    for (value, fraction, name, colour), place in zip(ends, places, strict=True):
        shown = name if len(name) <= 26 else name[:25] + "\N{HORIZONTAL ELLIPSIS}"
        axis.annotate(
            shown, (fraction, value), xytext=(106, place), textcoords="data", color=colour,
            fontsize=8.5, va="center", annotation_clip=False, parse_math=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5, "relpos": (0, 0.5)},
        )  # fmt: skip
    axis.set_ylim(low, high)


def apart(values: Sequence[float], *, gap: float, high: float) -> list[float]:
    """A place for the name of each value, near it, below `high` and `gap` from the next one's."""
    places = [0.0] * len(values)
    below = -math.inf
    order = sorted(range(len(values)), key=values.__getitem__)
    for index in order:
        below = places[index] = max(values[index], below + gap)
    above = high + gap
    for index in reversed(order):  # what was pushed out at the top pushes back
        above = places[index] = min(places[index], above - gap)
    return places


def _inline(svg: str, label: str, prefix: str) -> str:
    """An SVG document as an element of the page, in the page's colours."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{prefix}", body)
    named = {PAGE.ink: "ink", PAGE.muted: "muted", PAGE.line: "line"}
    named |= {colour: f"series-{number}" for number, colour in enumerate(PAGE.series)}
    for colour, variable in named.items():
        body = body.replace(colour, f"var(--{variable})")
    return body.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def round_scale(low: float, high: float, width: int, *, margin: int = 12) -> Scale:
    """A scale between two values, with ticks at round ones."""
    step = _round_step((high - low) / 5)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    ticks: list[Any] = [round(number * step, 6) for number in range(first, last + 1)]
    return Scale(low=low, high=high, width=width, ticks=tuple(ticks), margin=margin)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough * 0.999)
