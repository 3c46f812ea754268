"""What a running sweep looks like: a live panel in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sweep.cli.console import STATE_STYLES, duration_text, number_text, out
from sweep.engine.planning.plan import SweepPlan
from sweep.engine.progress import ArmResult, FailedTrial, Progress, Spend
from sweep.engine.view import TrialStanding
from sweep.records.lifecycle import TrialState

BAR_WIDTH = 40
NEAR = 0.8
"""Share of a limit from which it is coloured."""
MOST_RUNNING = 16
"""Trials at work that a display names."""
PLAIN_SECONDS = 15.0
"""Between two lines where there is no terminal to redraw."""


class ProgressView:
    """Draws a sweep while it runs; pass `show` to `run_sweep`."""

    def __init__(self, plan: SweepPlan, *, quiet: bool = False) -> None:
        self._title = plan.sweep_id
        self._quiet = quiet
        self._live = None if quiet or not out.is_terminal else Live(console=out, transient=False)
        self._next_line = 0.0

    def __enter__(self) -> Self:
        """Start drawing."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last picture standing."""
        if self._live is not None:
            self._live.stop()

    def show(self, figures: Progress) -> None:
        """Draw the sweep as it is now."""
        if self._quiet:
            return
        if self._live is not None:
            self._live.update(progress_panel(figures, title=self._title))
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + PLAIN_SECONDS
            out.print(_line(figures), soft_wrap=True, markup=False)


def progress_panel(figures: Progress, *, title: str, note: str = "") -> RenderableType:
    """The figures as a panel: states, best arms, spend, what runs where, what failed last."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    grid.add_row("trials", _states(figures))
    grid.add_row("done", _bar(figures.done))
    grid.add_row("time left", duration_text(figures.seconds_left))
    for spend in figures.spend:
        grid.add_row(spend.name.replace("_", " "), _spend(spend))
    grid.add_row("best so far", _leading(figures))
    parts: list[RenderableType] = [grid]
    if figures.running:
        parts += [Text(), _running(figures)]
    if figures.last_failures:
        parts += [Text(), _failures(figures)]
    if note:
        parts += [Text(), Text(note, style="yellow")]
    return Panel(Group(*parts), title=escape(title), title_align="left", border_style="dim")


def progress_lines(figures: Progress, *, title: str, note: str = "") -> list[str]:
    """The same as plain lines, for pipes, logs and screen readers."""
    lines = [title, f"trials: {_states(figures).plain}", f"done: {figures.done:.0%}"]
    lines.append(f"time left: {duration_text(figures.seconds_left)}")
    lines += [f"{spend.name}: {_spend(spend).plain}" for spend in figures.spend]
    lines += [
        f"{'best so far' if place == 1 else f'place {place}'}: {arm.arm} {_result(arm)}"
        for place, arm in enumerate(figures.leading, start=1)
    ]
    lines += [
        f"running: {trial.arm} seed {trial.seed}, {trial.fraction:.0%}"
        + (f", on {trial.node}" if trial.node else "")
        for trial in figures.running[:MOST_RUNNING]
    ]
    if len(figures.running) > MOST_RUNNING:
        lines.append(f"running: {len(figures.running) - MOST_RUNNING} more")
    lines += [
        f"cut off with its driver: {trial.arm} seed {trial.seed}, {trial.fraction:.0%}"
        for trial in figures.abandoned[:MOST_RUNNING]
    ]
    lines += [
        f"failed: {trial.arm} seed {trial.seed}: {trial.message[:300]}{_again(trial)}"
        for trial in figures.last_failures
    ]
    return [*lines, note] if note else lines


def progress_json(figures: Progress) -> dict[str, Any]:
    """The figures for programs."""
    best = figures.best
    return {
        "trials_by_state": {str(state): count for state, count in figures.by_state.items()},
        "retried": figures.retried,
        "reused": figures.reused,
        "done": figures.done,
        "best": None
        if best is None
        else {"arm": best.arm, "mean": best.mean, "spread": best.spread, "seeds": best.seeds},
        "leading": [
            {"arm": arm.arm, "mean": arm.mean, "spread": arm.spread, "seeds": arm.seeds}
            for arm in figures.leading
        ],
        "running": [_at_work(trial) for trial in figures.running],
        "cut_off": [_at_work(trial) for trial in figures.abandoned],
        "last_failures": [
            {
                "identity": trial.identity,
                "arm": trial.arm,
                "seed": trial.seed,
                "message": trial.message,
                "given_up": trial.given_up,
                "again_in_seconds": None if trial.settled else trial.pause,
            }
            for trial in figures.last_failures
        ],
        "spend": {
            spend.name: {"spent": spend.spent, "limit": spend.limit} for spend in figures.spend
        },
        "seconds_left": figures.seconds_left,
    }


def _at_work(trial: TrialStanding) -> dict[str, Any]:
    return {
        "identity": trial.identity,
        "arm": trial.arm,
        "seed": trial.seed,
        "fraction": trial.fraction,
        "step": trial.step,
        "node": trial.node,
    }


def _states(figures: Progress) -> Text:
    text = Text()
    for state, count in figures.by_state.items():
        if text:
            text.append("  ")
        text.append(_counted(state, count, figures), style=STATE_STYLES.get(state, ""))
    if figures.reused:
        text.append(f"  ({figures.reused} reused)", style="dim")
    return text


def _counted(state: TrialState, count: int, figures: Progress) -> str:
    said = f"{count} {state.replace('_', ' ')}"
    if state is TrialState.FAILED and figures.retried:
        return f"{said} ({figures.retried} of them tried again)"
    left = len(figures.abandoned)
    if state is TrialState.RUNNING and left:
        cut_off = f"{left} cut off with {'its' if left == 1 else 'their'} driver"
        return cut_off if left == count else f"{count - left} running  {cut_off}"
    return said


def _bar(share: float, width: int = BAR_WIDTH) -> Text:
    filled = round(min(1.0, max(0.0, share)) * width)
    text = Text("\N{FULL BLOCK}" * filled, style="green")
    text.append("\N{MIDDLE DOT}" * (width - filled), style="dim")
    return text.append(f" {share:.0%}", style="")


def _spend(spend: Spend) -> Text:
    if spend.limit is None:
        return Text(_amount(spend, spend.spent))
    share = spend.spent / spend.limit
    text = Text(f"{_amount(spend, spend.spent)} of {_amount(spend, spend.limit)}  ")
    style = "red" if share >= 1 else "yellow" if share >= NEAR else "dim"
    return text.append(f"{share:.0%}", style=style)


def _amount(spend: Spend, value: float) -> str:
    """A limit's figure as people say it: hours as a time, the rest as numbers."""
    if spend.name.endswith("hours"):
        return duration_text(3600 * value)
    return f"${value:.2f}" if spend.name == "usd" else f"{value:g}"


def _result(arm: ArmResult) -> str:
    spread = "one seed" if arm.spread is None else f"\N{PLUS-MINUS SIGN} {arm.spread:.4f} (SD)"
    seeds = "" if arm.seeds == 1 else f", {arm.seeds} seeds"
    return f"{arm.mean:.4f} {spread}{seeds}"


def _leading(figures: Progress) -> RenderableType:
    if not figures.leading:
        return Text("no arm has all its seeds yet", style="dim")
    table = Table.grid(padding=(0, 2))
    for arm in figures.leading:
        table.add_row(Text(arm.arm, style="cyan"), Text(_result(arm)))
    table.add_row(
        Text(f"{figures.complete_arms} of {figures.arms} arms complete, on validation", style="dim")
    )
    return table


def _running(figures: Progress) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title_justify="left")
    for column in ("running", "seed", "done", "step", "loss", "on"):
        table.add_column(column, justify="right" if column in ("seed", "step", "loss") else "left")
    for trial in figures.running[:MOST_RUNNING]:
        table.add_row(
            Text(trial.arm, style="cyan"),
            str(trial.seed),
            _bar(trial.fraction, 12),
            str(trial.step or "-"),
            number_text(trial.metrics.get("train/loss")),
            Text(f"{trial.node or 'waiting'}{f' x{trial.workers:g}' if trial.workers > 1 else ''}"),
        )
    if len(figures.running) > MOST_RUNNING:
        table.add_row(Text(f"{len(figures.running) - MOST_RUNNING} more", style="dim"))
    return table


def _failures(figures: Progress) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("failed last", no_wrap=True)
    table.add_column("seed", justify="right")
    table.add_column("", overflow="ellipsis", no_wrap=True)
    for trial in figures.last_failures:
        said = Text(f"{trial.message}{_again(trial)}")
        table.add_row(Text(trial.arm, style="red"), str(trial.seed), said)
    return table


def _again(trial: FailedTrial) -> str:
    if trial.settled:
        return ""
    when = f" in {duration_text(trial.pause)}" if trial.pause else ""
    return f" (is tried again{when})"


def _line(figures: Progress) -> str:
    states = ", ".join(_counted(state, count, figures) for state, count in figures.by_state.items())
    best = "" if figures.best is None else f"; best {figures.best.arm} {figures.best.mean:.4f}"
    return f"{figures.done:.0%} done: {states}{best}; {duration_text(figures.seconds_left)} left"
