"""Machines come and go for as long as asked: `python -m tests.cluster.soak [--minutes M]`.

Sweeps follow each other on a cluster of this machine while every few minutes a machine leaves,
with or without notice, or one arrives. What must be zero in the end: trials lost, trials executed
twice at once or again after they had succeeded, placement groups left over, processes of ranks,
open files of the head that grow without end, temporary files.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import sys
import time
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import psutil
import yaml

from sweep.records.ledger import Ledger
from sweep.records.lifecycle import ENDED_SWEEP_STATES
from sweep.records.rows import AttemptView
from tests.cluster.stage import AWAY_SECONDS, SWEEP, Rehearsal, a_cluster, drivers, ranks

FEWEST, MOST = 1, 3
QUIET_SECONDS = 30.0
"""After the last sweep, how long what is over may take to be gone."""
SPARE_FILES = 50
"""Open files by which a head that has settled may differ from one that was just started."""


def main() -> int:
    """Churn, count, and say what is not zero."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=180.0, help="seconds between two changes")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    with a_cluster(AWAY_SECONDS) as of:
        of.mlflow.start()
        of.home.mkdir()
        began = time.monotonic()
        submitted = [submit(of, 0)]
        open_files = None
        next_change = began + asked.every
        while time.monotonic() < began + 60 * asked.minutes:
            if of.state(submitted[-1]) in ENDED_SWEEP_STATES:
                submitted.append(submit(of, len(submitted)))
                open_files = open_files or files_of_head(of)
            if time.monotonic() >= next_change:
                next_change += asked.every
                change(of, chance)
            time.sleep(1)
        of.say("no more changes; what runs may end")
        last = submitted[-1]
        of.wait("the last sweep", lambda: of.state(last) == "succeeded", sweep=last)
        counts = count(of, submitted, open_files)
    for name, number in counts.items():
        sys.stdout.write(f"{name}: {number}\n")
    return 1 if any(counts.values()) else 0


def submit(of: Rehearsal, number: int) -> str:
    """Hand over the next sweep, which trains what none before it has trained."""
    asked: dict[str, Any] = deepcopy(SWEEP)
    asked["name"] = f"soak{number}"
    asked["baseline"]["data"] |= {"seed": number, "pairs": 8192}
    file = of.home / f"soak{number}.yaml"
    file.write_text(yaml.safe_dump(asked))
    told = json.loads(of.rmsweep("submit", str(file), "--cluster", of.machines.address, "--json"))
    of.say(f"submitted {told['sweep']}")
    return str(told["sweep"])


def change(of: Rehearsal, chance: random.Random) -> None:
    """One machine more or less."""
    names = of.machines.names
    grows = len(names) <= FEWEST or (len(names) < MOST and chance.random() < 0.5)
    if grows:
        name = f"m{chance.randrange(10**6)}"
        of.machines.join(name)
        of.say(f"{name} arrives")
        return
    name = chance.choice(names)
    if chance.random() < 0.5:
        of.say(f"{name} is taken back with notice: {of.machines.take_back(name)}")
    else:
        of.machines.lose(name)
        of.say(f"{name} is lost")


def count(of: Rehearsal, submitted: Sequence[str], open_files: int | None) -> dict[str, int]:
    """What must be zero."""
    lost = twice = 0
    with Ledger.open(of.database.url) as ledger:
        for sweep_id in submitted:
            views = ledger.trials(sweep_id)
            lost += sum(view.state != "succeeded" for view in views)
            for view in views:
                twice += overlaps(ledger.attempts([view.identity]))
    of.say("waiting for what is over to be gone")
    time.sleep(QUIET_SECONDS)
    grown = 0 if open_files is None else files_of_head(of) - open_files
    return {
        "trials lost": lost,
        "trials executed twice": twice,
        "placement groups": placement_groups(of),
        "ranks": len(ranks(of)),
        "drivers": len(drivers(of)),
        "open files beyond the head's usual": max(0, grown - SPARE_FILES),
        "temporary files": sum(1 for _ in of.machines.temporary_files("rmsweep-*")),
    }


def overlaps(attempts: Sequence[AttemptView]) -> int:
    """Attempts that began before the one before them had ended, or after one had succeeded."""
    in_order = sorted(attempts, key=lambda attempt: attempt.started)
    return sum(
        later.started < (earlier.ended or later.started) or earlier.state == "succeeded"
        for earlier, later in itertools.pairwise(in_order)
    )


def placement_groups(of: Rehearsal) -> int:
    """Placement groups that hold, or wait for, resources."""
    entry = of.entry()
    # Ray reads this process's token when it is imported, and now it is known.
    from sweep.execution.head import Head

    told = Head(entry).asked("/api/v0/placement_groups?detail=1")["result"]["result"]
    return sum(group["state"] != "REMOVED" for group in told)


def files_of_head(of: Rehearsal) -> int:
    """Open files of the head's own processes.

    A machine more costs it about eight; the machine's own, some sixty, are none of the head's.
    """
    total = 0
    for process in of.machines.processes("head"):
        with contextlib.suppress(psutil.Error):
            total += process.num_fds()
    return total


if __name__ == "__main__":
    sys.exit(main())
