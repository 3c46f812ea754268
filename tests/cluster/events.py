"""What happens to clusters, in the order it is rehearsed in; each waits until it hits something."""

from __future__ import annotations

import time

from tests.cluster.machines import may_mount
from tests.cluster.stage import Rehearsal, drivers, gang_ranks, ranks


def a_machine_arrives(of: Rehearsal) -> None:
    of.wait("a first rank", lambda: bool(ranks(of)))
    of.machines.join("late", disk_megabytes=64 if may_mount() else None)


def a_rank_dies_in_a_gang(of: Rehearsal) -> None:
    of.wait("a gang of two at work", lambda: len(gang_ranks(of)) > 0)
    time.sleep(2)  # into its steps, each of which is a collective
    victims = gang_ranks(of)
    if victims:
        victims[-1].kill()


def a_machine_is_lost(of: Rehearsal) -> None:
    of.wait("a rank", lambda: bool(ranks(of)))
    of.machines.lose("one")
    of.machines.join("one again")


def the_driver_is_killed(of: Rehearsal) -> None:
    of.wait("a driver", lambda: bool(drivers(of)))
    for driver in drivers(of):
        driver.kill()


def a_disk_is_full(of: Rehearsal) -> None:
    if not may_mount():
        of.say("  (no small disk can be made here; left out)")
        return
    of.wait("a rank", lambda: bool(ranks(of)))
    of.machines.fill("late")
    time.sleep(20)
    of.machines.clear("late")


def s3_is_away(of: Rehearsal) -> None:
    of.wait("a rank", lambda: bool(ranks(of)))
    of.s3.stop()
    time.sleep(of.away_seconds)
    of.s3.start()


def postgresql_is_away(of: Rehearsal) -> None:
    of.wait("a rank", lambda: bool(ranks(of)))
    of.database.stop()
    time.sleep(of.away_seconds)
    of.database.start()


def a_machine_is_taken_back(of: Rehearsal) -> None:
    of.wait("a rank on it", lambda: bool(ranks(of, "two")))
    said = of.machines.take_back("two")
    if said != "nothing runs here any more":
        raise AssertionError(f"expected what ran there to checkpoint and go: {said}")
    of.machines.join("two again")


EVENTS = (
    a_machine_arrives,
    a_rank_dies_in_a_gang,
    a_machine_is_lost,
    the_driver_is_killed,
    a_disk_is_full,
    s3_is_away,
    postgresql_is_away,
    a_machine_is_taken_back,
)
