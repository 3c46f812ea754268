"""A sweep as an onlooker sees it, from the ledger alone; a second look reads only what is new."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError
from rich.live import Live

from infra.errors import RmsweepError
from sweep.cli.console import out, shown_state
from sweep.cli.looking import Looking
from sweep.cli.planning import plan_again
from sweep.cli.progress_view import progress_lines, progress_panel
from sweep.engine.books import ExpectedTrial
from sweep.engine.fold import DECISIONS_KIND, SweepFold
from sweep.engine.progress import Progress, progress
from sweep.engine.view import Observation
from sweep.records.lifecycle import ENDED_SWEEP_STATES
from sweep.records.publisher import UNPUBLISHED_KIND
from sweep.spec.sweep_spec import SweepSpec

if TYPE_CHECKING:
    from sweep.cli.workplace import Workplace
    from sweep.records.rows import Json, SweepRow

ONLOOKER = "onlooker"
"""Named where a driver would be: it runs nothing."""
LOOK_SECONDS = 1.0
PLAIN_SECONDS = 15.0
"""Between two looks where there is no terminal to redraw."""
LOST_SECONDS = 120.0
"""How long a ledger that does not answer is waited for."""


class Onlooker:
    """Follows one sweep."""

    def __init__(self, workplace: Workplace, row: SweepRow) -> None:
        self._ledger = workplace.ledger
        self._sweep_id = row.sweep_id
        self._capacity = workplace.settings.cpus or os.cpu_count() or 1
        """Devices, as its driver saw them when it last decided; before that, this machine's."""
        self._fold = SweepFold(row.sweep_id, _trials(workplace, row), _spec(row))
        self._unpublished = ""

    def look(self) -> Progress:
        """How the sweep stands now.

        Raises:
            StoreError: If the ledger does not answer.
        """
        events = self._ledger.events(self._fold.seen, None, sweep_id=self._sweep_id)
        self._fold.apply_all(events)
        for event in events:
            if event.kind == "decision":
                self._take_in(event.payload["kind"], event.payload["decision"])
        # A sweep that nobody drives spends nothing: its time stands still where it was left.
        live = self.row().live
        seen = Observation(
            now=self._ledger.now() if live else self._fold.last_sign,
            capacity=self._capacity,
            driver=ONLOOKER,
            held_elsewhere=self._held(live=live),
        )
        return progress(self._fold.view(seen))

    def _take_in(self, kind: str, said: Json) -> None:
        """What a driver noted besides what became of trials."""
        if kind == UNPUBLISHED_KIND:
            self._unpublished = str(said["reason"])
        elif kind == DECISIONS_KIND:
            self._capacity = int(said["observation"]["capacity"])

    def with_tracking(self, note: str) -> str:
        """A note, and by the last look why MLflow does not show everything, if it does not."""
        if not self._unpublished:
            return note
        trouble = f"MLflow does not show everything yet, nothing is lost: {self._unpublished}"
        return f"{note}\n{trouble}" if note else trouble

    def _held(self, *, live: bool) -> frozenset[str]:
        """What is said to run, and does: its driver lives."""
        said = frozenset(self._fold.may_run_elsewhere(ONLOOKER))
        return said if live or not said else self._ledger.at_work(said)

    def row(self) -> SweepRow:
        """The sweep's own row now."""
        return self._ledger.sweep(self._sweep_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredTrial:
    """A trial of which no more is known than that it is there."""

    identity: str
    arm: str
    seed: int
    workers: float
    seconds_estimate: float = 1.0
    total_steps: int = 1
    shrinks: int = 0


def _trials(workplace: Workplace, row: SweepRow) -> Sequence[ExpectedTrial]:
    """The sweep's trials; where they cannot be planned any more, all count the same."""
    try:
        return plan_again(workplace, row).trials
    except (RmsweepError, ValidationError):
        # Data or code have changed, or are not on this machine: one may look all the same.
        return [
            RegisteredTrial(
                identity=view.identity, arm=view.arm, seed=view.seed, workers=view.workers
            )
            for view in workplace.ledger.trials(row.sweep_id)
        ]


def _spec(row: SweepRow) -> SweepSpec:
    """The sweep's file; of one that another version wrote, what a glance needs."""
    try:
        return SweepSpec.model_validate(row.spec_json)
    except ValidationError:
        needed = ("name", "objective", "budget")
        kept = {key: row.spec_json[key] for key in needed if key in row.spec_json}
        return SweepSpec.model_validate(kept)


def note_of(sweep: SweepRow) -> str:
    """What an onlooker should know besides the figures."""
    if sweep.reason:
        return sweep.reason
    if sweep.live and sweep.stop_requested:
        return "asked to stop; its trials checkpoint first"
    if sweep.state not in ENDED_SWEEP_STATES and not sweep.live:
        return f"no driver is running it; `rmsweep resume {sweep.sweep_id}` goes on"
    return ""


def watch(workplace: Workplace, row: SweepRow) -> None:
    """Show a sweep until it ends or nobody runs it any more; Ctrl-C only ends the watching."""
    onlooker = Onlooker(workplace, row)
    live = Live(console=out, auto_refresh=False) if out.is_terminal else None
    try:
        if live is not None:
            live.start()
        _follow(onlooker, live)
    except KeyboardInterrupt:
        pass
    finally:
        if live is not None:
            live.stop()


def _follow(onlooker: Onlooker, live: Live | None) -> None:
    looking = Looking(LOST_SECONDS)
    while True:
        seen = looking.at(lambda: (onlooker.look(), onlooker.row()))
        if seen is None:
            time.sleep(PLAIN_SECONDS)
            continue
        figures, row = seen
        title, note = f"{row.sweep_id}  {shown_state(row)}", onlooker.with_tracking(note_of(row))
        if live is not None:
            live.update(progress_panel(figures, title=title, note=note), refresh=True)
        else:
            for line in progress_lines(figures, title=title, note=note):
                out.print(line, soft_wrap=True, markup=False)
            out.print()
        if row.state in ENDED_SWEEP_STATES or not row.live:
            return
        time.sleep(LOOK_SECONDS if live is not None else PLAIN_SECONDS)
