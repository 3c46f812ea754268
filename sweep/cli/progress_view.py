"""What a running sweep looks like: a live panel in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sweep.cli.console import STATE_STYLES, duration_text, number_text, out
from sweep.engine.fold import SweepFold
from sweep.engine.plan import SweepPlan
from sweep.engine.progress import Progress
from sweep.engine.view import Observation, SweepView

if TYPE_CHECKING:
    from sweep.cli.workplace import Workplace
    from sweep.records.rows import SweepRow

BAR_WIDTH = 40
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
            out.print(_line(figures), soft_wrap=True)


def view_of(workplace: Workplace, row: SweepRow) -> SweepView:
    """The sweep as its driver sees it, from the ledger alone."""
    from sweep.cli.planning import plan_again

    plan = plan_again(workplace, row)
    fold = SweepFold(row.sweep_id, plan.trials, plan.spec)
    fold.apply_all(workplace.ledger.events(0, None, sweep_id=row.sweep_id))
    capacity = workplace.settings.cpus or os.cpu_count() or 1
    return fold.view(Observation(now=time.time(), capacity=capacity, driver="onlooker"))


def progress_panel(figures: Progress, *, title: str) -> RenderableType:
    """The figures as a panel, and the trials that run."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    grid.add_row("trials", _states(figures))
    grid.add_row("done", _bar(figures))
    best = figures.best
    if best is None:
        grid.add_row("best so far", "no arm has all its seeds yet")
    else:
        spread = f" ± {best.spread:.4f}" if best.spread is not None else ""
        text = f"{best.arm}  {best.mean:.4f}{spread} over {best.seeds} seeds (validation)"
        grid.add_row("best so far", escape(text))
    for spend in figures.spend:
        limit = f" of {spend.limit:g}" if spend.limit is not None else ""
        grid.add_row(spend.name.replace("_", " "), f"{spend.spent:.3g}{limit}")
    grid.add_row("time left", duration_text(figures.seconds_left))
    parts: list[RenderableType] = [grid]
    if figures.running:
        parts += [Text(), _running(figures)]
    return Panel(Group(*parts), title=escape(title), title_align="left", border_style="dim")


def progress_json(figures: Progress) -> dict[str, Any]:
    """The figures for programs."""
    best = figures.best
    return {
        "trials_by_state": {str(state): count for state, count in figures.by_state.items()},
        "reused": figures.reused,
        "done": figures.done,
        "best": None
        if best is None
        else {"arm": best.arm, "mean": best.mean, "spread": best.spread, "seeds": best.seeds},
        "spend": {
            spend.name: {"spent": spend.spent, "limit": spend.limit} for spend in figures.spend
        },
        "seconds_left": figures.seconds_left,
    }


def _states(figures: Progress) -> Text:
    text = Text()
    for state, count in figures.by_state.items():
        if text:
            text.append("  ")
        text.append(f"{count} {state.replace('_', ' ')}", style=STATE_STYLES.get(state, ""))
    if figures.reused:
        text.append(f"  ({figures.reused} reused)", style="dim")
    return text


def _bar(figures: Progress) -> Text:
    filled = round(figures.done * BAR_WIDTH)
    text = Text("█" * filled, style="green")
    text.append("·" * (BAR_WIDTH - filled), style="dim")
    return text.append(f" {figures.done:.0%}", style="")


def _running(figures: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column()
    for trial in figures.running:
        loss = trial.metrics.get("train/loss")
        table.add_row(
            Text(trial.arm, style="cyan"),
            f"seed {trial.seed}",
            f"{trial.fraction:.0%}",
            "" if loss is None else f"loss {number_text(loss)}",
        )
    return table


def _line(figures: Progress) -> str:
    states = ", ".join(
        f"{count} {state.replace('_', ' ')}" for state, count in figures.by_state.items()
    )
    best = "" if figures.best is None else f"; best {figures.best.arm} {figures.best.mean:.4f}"
    return f"{figures.done:.0%} done: {states}{best}; {duration_text(figures.seconds_left)} left"
