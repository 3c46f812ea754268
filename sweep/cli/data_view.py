"""How inspected data looks in a terminal: one panel per source, one for the mix."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from trainer.data.inspection import SourceInspection
from trainer.data.mix_inspection import MixInspection

_BAR = 24
_MOST_CATEGORIES = 8


def source_view(found: SourceInspection) -> Panel:
    """One source: rows, splits, shortcuts, lengths, and what is remarkable."""
    parts: list[RenderableType] = [_headline(found)]
    if found.report is not None and found.report.dropped:
        parts.append(_dropped(found))
    if found.looked_at:
        parts += [_shortcuts(found), _lengths(found)]
    if set(found.categories) - {""}:
        parts.append(_categories(found))
    parts += [Text(f"! {note}", style="yellow") for note in found.notes]
    if not found.notes:
        parts.append(Text("nothing remarkable", style="green"))
    title = f"[bold]{escape(found.name)}[/bold]"
    if found.kind != found.name:
        title += f"  {escape(found.kind)}"
    return Panel(
        Group(*_spaced(parts)),
        title=title,
        title_align="left",
        expand=False,
        border_style="yellow" if found.notes else "green",
        padding=(1, 2),
    )


def mix_view(mix: MixInspection) -> Panel:
    """The mix: shares and repetitions, what is left out, and leaks into benchmarks."""
    shares = _table("trained on", "items", "different", "times each")
    total = sum(share.items for share in mix.shares.values())
    for name, share in mix.shares.items():
        shares.add_row(
            escape(name),
            f"{share.items:,} {_bar(share.items, total)}",
            f"{share.different:,}",
            f"{share.repeated:.2f}",
        )
    parts: list[RenderableType] = [shares]
    if mix.left_out:
        left = _table("left out", "items")
        for reason, count in mix.left_out.items():
            left.add_row(reason, f"{count:,}")
        parts.append(left)
    leaks = _table("measured with", "split", "items", "in training", "nearly")
    for name, leak in mix.benchmarks.items():
        leaks.add_row(
            escape(name),
            leak.split,
            f"{leak.items:,}",
            _alarm(leak.leaked),
            _alarm(leak.nearly_leaked, "yellow"),
        )
    parts.append(leaks)
    clean = not any(leak.leaked for leak in mix.benchmarks.values())
    return Panel(
        Group(*_spaced(parts)),
        title="[bold]the mix[/bold]",
        title_align="left",
        expand=False,
        border_style="green" if clean else "red",
        padding=(1, 2),
    )


def _headline(found: SourceInspection) -> Text:
    report = found.report
    text = Text()
    if report is not None:
        text.append(f"{report.kept:,} items", style="bold")
        text.append(f" of {report.rows:,} rows, {report.groups:,} groups\n")
    counts = [
        f"{split} {'without end' if count is None else f'{count:,}'}"
        for split, count in found.splits.items()
    ]
    text.append("   ".join(counts), style="dim")
    held = [f"{count:,} with {what}" for what, count in found.holds.items() if count]
    several = [f"{n:,} of {k} responses" for k, n in found.responses.items() if k != 2]
    told = ", ".join([*held, *several]) or "pairs of words alone"
    text.append(f"\nlooked at {found.looked_at:,}: {told}" if found.looked_at else "")
    return text


def _dropped(found: SourceInspection) -> Table:
    report = found.report
    table = _table("left out", "count", "first in row")
    if report is not None:
        for reason, count in report.dropped.items():
            table.add_row(
                reason,
                f"{count:,} {_bar(count, report.kept + count)}",
                f"{report.first_rows[reason]:,}",
            )
    return table


def _shortcuts(found: SourceInspection) -> Table:
    pairs, groups = found.pairs, found.groups
    table = _table("shortcuts and leaks", "")
    table.add_row("the longer response is better", _share(pairs.longer_wins))
    table.add_row("both are equally long", f"{pairs.equal_lengths:.1%}")
    table.add_row("the one shown first is better", _share(pairs.first_wins))
    if found.report is not None and found.report.kept:
        given = found.report.best_first / found.report.kept
        table.add_row("the file gives the best one first", f"{given:.1%}")
        table.add_row("judged in opposite ways", _alarm(found.report.contradicted, "yellow"))
    table.add_row("groups in two splits", _alarm(groups.straddling))
    table.add_row("held-out items also in training", _alarm(groups.leaked))
    table.add_row("held-out items nearly in training", _alarm(groups.nearly_leaked, "yellow"))
    return table


def _lengths(found: SourceInspection) -> Table:
    names = list(next(iter(found.lengths.values()), {}))
    table = _table("characters", *names)
    for what, values in found.lengths.items():
        table.add_row(what, *(f"{values[name]:,}" for name in names))
    return table


def _categories(found: SourceInspection) -> Table:
    table = _table("category", "items")
    shown = list(found.categories.items())
    for name, count in shown[:_MOST_CATEGORIES]:
        table.add_row(escape(name) or "-", f"{count:,} {_bar(count, found.looked_at)}")
    rest = shown[_MOST_CATEGORIES:]
    if rest:
        table.add_row(f"{len(rest)} more", f"{sum(count for _, count in rest):,}")
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 3, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    return table


def _share(value: float) -> Text:
    far = abs(value - 0.5)
    style = "red" if far > 0.2 else "yellow" if far > 0.1 else "green"
    return Text(f"{value:.1%}", style=style)


def _alarm(count: int, style: str = "bold red") -> Text:
    return Text(f"{count:,}", style=style if count else "green")


def _bar(part: int, whole: int) -> str:
    filled = round(_BAR * part / whole) if whole else 0
    return "█" * filled + "░" * (_BAR - filled)


def _spaced(parts: Iterable[RenderableType]) -> list[RenderableType]:
    spaced: list[RenderableType] = []
    for part in parts:
        if spaced and not (isinstance(part, Text) and isinstance(spaced[-1], Text)):
            spaced.append("")
        spaced.append(part)
    return spaced
