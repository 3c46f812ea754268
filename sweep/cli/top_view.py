"""What `top` shows: figures from the ledger, machines from a cluster's head, and how they look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sweep.cli.console import duration_text, shown_state, state_text
from sweep.engine.fold import PLACED_KIND

if TYPE_CHECKING:
    from sweep.execution.head import Head, Machine
    from sweep.records.ledger import Ledger
    from sweep.records.rows import RunningTrial, SweepRow

MOST_TRIALS = 24
"""Trials at work that a display names."""
UNPLACED = "waiting for a place"


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepLine:
    """One sweep that is in somebody's hands, or could be."""

    sweep: str
    state: str
    trials: int
    succeeded: int
    running: int
    workers: float
    """Of its running trials."""
    device_hours: float
    usd: float | None
    """None where the sweep file has no price."""
    wall_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLine:
    """One trial at work."""

    sweep: str
    arm: str
    seed: int
    place: str
    workers: float
    fraction: float
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything at one moment."""

    sweeps: Sequence[SweepLine]
    trials: Sequence[TrialLine]
    machines: Sequence[Machine] | None
    """None where no cluster was asked."""

    @property
    def by_place(self) -> Mapping[str, float]:
        """Workers by the machine of their rank 0, most first."""
        workers: defaultdict[str, float] = defaultdict(float)
        for trial in self.trials:
            workers[trial.place] += trial.workers
        return dict(sorted(workers.items(), key=lambda each: -each[1]))


class Overseer:
    """Looks at a ledger's sweeps in progress; a second look reads only the new decisions."""

    def __init__(self, ledger: Ledger, head: Head | None) -> None:
        """Prepare.

        Args:
            ledger: Knows the sweeps.
            head: Of a cluster whose machines are shown as well.
        """
        self._ledger = ledger
        self._head = head
        self._places: dict[tuple[str, str], str] = {}
        """By sweep and identity."""
        self._read: dict[str, int] = {}
        """Last decision that was read, by sweep."""

    def look(self) -> Overview:
        """How everything stands now.

        Raises:
            StoreError: If ledger or head do not answer.
        """
        sweeps, trials = [], []
        for row in self._ledger.unfinished():
            running = self._ledger.running(row.sweep_id)
            sweeps.append(self._sweep(row, running))
            trials += self._trials(row, running)
        machines = None if self._head is None else self._head.machines()
        return Overview(sweeps=sweeps, trials=trials, machines=machines)

    def _sweep(self, row: SweepRow, running: Sequence[RunningTrial]) -> SweepLine:
        spent = self._ledger.spent(row.sweep_id)
        hours = spent.device_seconds / 3600
        price = row.spec_json.get("budget", {}).get("usd_per_gpu_hour")
        return SweepLine(
            sweep=row.sweep_id,
            state=shown_state(row),
            trials=row.trials,
            succeeded=row.succeeded,
            running=len(running),
            workers=sum(view.workers for view in running),
            device_hours=round(hours, 4),
            usd=None if price is None else round(hours * price, 2),
            wall_seconds=round(spent.wall_seconds, 1),
        )

    def _trials(self, row: SweepRow, running: Sequence[RunningTrial]) -> list[TrialLine]:
        if running:
            self._read_places(row.sweep_id)
        return [
            TrialLine(
                sweep=row.sweep_id,
                arm=view.arm,
                seed=view.seed,
                place=self._places.get((row.sweep_id, view.identity), UNPLACED),
                workers=view.workers,
                fraction=round(view.fraction, 4),
                attempt=view.attempts,
            )
            for view in running
        ]

    def _read_places(self, sweep_id: str) -> None:
        after = self._read.get(sweep_id, 0)
        for decision in self._ledger.decisions(sweep_id, after=after, kind=PLACED_KIND):
            self._read[sweep_id] = decision.seq
            said = decision.payload
            self._places[sweep_id, said["identity"]] = said["node"]


def top_json(seen: Overview) -> dict[str, Any]:
    """The figures for programs."""
    machines = None if seen.machines is None else [asdict(one) for one in seen.machines]
    return {
        "sweeps": [asdict(line) for line in seen.sweeps],
        "trials": [asdict(line) for line in seen.trials],
        "workers_by_place": seen.by_place,
        "machines": machines,
    }


def top_lines(seen: Overview) -> list[str]:
    """The figures as plain lines, for pipes and screen readers."""
    lines = [_total(seen)]
    lines += [
        f"{one.sweep} {one.state}: {one.succeeded}/{one.trials} trials, {one.running} running on "
        f"{one.workers:g} workers, {one.device_hours:.2f} device-hours{_money(one)}, "
        f"{duration_text(one.wall_seconds)}"
        for one in seen.sweeps
    ]
    lines += [f"{place}: {workers:g} workers" for place, workers in seen.by_place.items()]
    lines += [
        f"{trial.sweep} {trial.arm} seed {trial.seed}, {trial.fraction:.0%}, on {trial.place}"
        for trial in seen.trials[:MOST_TRIALS]
    ]
    for machine in seen.machines or ():
        lines.append(
            f"machine {machine.name} {machine.state}: {_used(machine, 'CPU')}, "
            f"{_used(machine, 'GPU')}"
        )
    return lines


def top_panel(seen: Overview) -> RenderableType:
    """The figures for a terminal."""
    parts: list[RenderableType] = [Text(_total(seen), style="bold"), Text()]
    if seen.sweeps:
        sweeps = _table("sweep", "state", "trials", "running", "device-hours", "usd", "wall time")
        for one in seen.sweeps:
            sweeps.add_row(
                escape(one.sweep),
                state_text(one.state),
                f"{one.succeeded}/{one.trials}",
                f"{one.running} on {one.workers:g}",
                f"{one.device_hours:.2f}",
                "-" if one.usd is None else f"{one.usd:.2f}",
                duration_text(one.wall_seconds),
            )
        parts += [sweeps, Text()]
    if seen.trials:
        trials = _table("trial", "place", "workers", "done", "try")
        for trial in seen.trials[:MOST_TRIALS]:
            trials.add_row(
                escape(f"{trial.arm} seed {trial.seed}"),
                escape(trial.place),
                f"{trial.workers:g}",
                f"{trial.fraction:.0%}",
                str(trial.attempt),
            )
        parts += [trials, Text()]
    if seen.machines is not None:
        machines = _table("machine", "state", "CPUs", "GPUs")
        for machine in seen.machines:
            machines.add_row(
                escape(machine.name), machine.state, _used(machine, "CPU"), _used(machine, "GPU")
            )
        parts.append(machines)
    return Group(*parts)


def _table(*columns: str) -> Table:
    table = Table(header_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    return table


def _total(seen: Overview) -> str:
    workers = sum(line.workers for line in seen.sweeps)
    running = sum(line.running for line in seen.sweeps)
    hours = sum(line.device_hours for line in seen.sweeps)
    return (
        f"{len(seen.sweeps)} sweeps open, {running} trials running on {workers:g} workers, "
        f"{hours:.2f} device-hours"
    )


def _money(line: SweepLine) -> str:
    return "" if line.usd is None else f" (${line.usd:.2f})"


def _used(machine: Machine, kind: str) -> str:
    total = machine.cpus if kind == "CPU" else machine.gpus
    used = machine.cpus_used if kind == "CPU" else machine.gpus_used
    return f"{total:g} {kind}s" if used is None else f"{used:g}/{total:g} {kind}s"
