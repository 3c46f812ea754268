"""What a command adds to a sweep is shown in MLflow before the command ends, if MLflow answers."""

from __future__ import annotations

from collections.abc import Iterable

from sweep.cli.console import print_warning
from sweep.cli.workplace import Workplace
from sweep.records.publisher import Publisher, tracker_opener
from sweep.records.rows import SweepRow

LONGEST_SECONDS = 30.0


def show_in_mlflow(workplace: Workplace, sweeps: Iterable[SweepRow]) -> None:
    """Publish what the ledger holds of these sweeps; a tracker that does not answer is told."""
    for sweep in sweeps:
        if sweep.live:
            continue  # its driver publishes
        opener = tracker_opener(sweep, workplace.settings)
        publisher = Publisher(workplace.ledger, sweep.sweep_id, opener)
        publisher.start()
        if not publisher.stop(LONGEST_SECONDS):
            reason = publisher.problem or f"it took more than {LONGEST_SECONDS:.0f} s"
            print_warning(
                f"MLflow does not show everything of {sweep.sweep_id} yet: {reason}; nothing is "
                "lost, the next command that adds to the sweep publishes the rest"
            )
