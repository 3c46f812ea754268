"""A driver in a process of its own: waits for `go`, claims trials, prints their identities.

`all` claims whatever it can get, then waits for `go`; `hold` takes the sweep and the first trial,
saves a checkpoint and waits to be killed.
"""

from __future__ import annotations

import sys

from sweep.records.ledger import Ledger
from sweep.records.rows import Holder
from trainer.reporting import CheckpointReference, TrialReport

TTL = 3600.0


def main(url: str, sweep_id: str, mode: str) -> None:
    """Claim as the mode says."""
    holder = Holder.here()
    with Ledger.open(url) as ledger:
        trials = ledger.trials(sweep_id)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        if mode == "hold":
            ledger.acquire_sweep(sweep_id, holder, TTL)
            attempt = ledger.claim(trials[0].identity, sweep_id, holder, TTL)
            assert attempt is not None
            checkpoint = CheckpointReference(step=5, manifest_sha256=f"{5:064x}")
            ledger.record_report(
                attempt.attempt_id,
                TrialReport(step=5, fraction=0.05, seconds=1.0, checkpoint=checkpoint),
            )
            sys.stdout.write(f"{attempt.identity}\n")
            sys.stdout.flush()
            sys.stdin.readline()
            return
        for trial in trials:
            if ledger.claim(trial.identity, sweep_id, holder, TTL) is not None:
                sys.stdout.write(f"{trial.identity}\n")
        sys.stdout.write("done\n")
        sys.stdout.flush()
        sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
