"""What every ledger must do with many trials, writers at once and drivers that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from infra.errors import BusyError, SchemaError, StoreError
from sweep.records.ledger import Ledger
from sweep.records.rows import Holder
from sweep.records.schema import meta
from tests.records.rows import TTL, checkpoint, identity_of, register

CLAIMER = Path(__file__).with_name("claiming_driver.py")


class LedgerProcessesContract:
    """Run by every database; subclasses give the `url` of an empty one."""

    @pytest.fixture
    def opened(self, url: str) -> Iterator[Ledger]:
        with Ledger.open(url) as ledger:
            yield ledger

    def test_ten_thousand_trials_are_registered_and_listed(self, opened: Ledger) -> None:
        register(opened, count=10_000)

        assert len(opened.trials("head-1a2b3c4d")) == 10_000
        assert opened.reports(identity_of(number) for number in range(10_000)) == {}

    def test_a_newer_schema_is_refused(self, url: str, opened: Ledger) -> None:
        with opened.database.writing() as connection:
            connection.execute(sa.update(meta).values(value="99"))

        with pytest.raises(SchemaError, match=r"schema version 99.*up to version 1"):
            Ledger.open(url)

    def test_a_reader_that_tails_misses_nothing_of_writers_at_once(
        self, url: str, opened: Ledger
    ) -> None:
        register(opened)
        writers, each = 4, 25
        errors: list[BaseException] = []

        def write(name: int) -> None:
            try:
                with Ledger.open(url) as mine:
                    for number in range(each):
                        mine.record_decision("head-1a2b3c4d", f"{name}", {"number": number})
            except BaseException as error:  # noqa: BLE001 -- shown by the test below
                errors.append(error)

        threads = [threading.Thread(target=write, args=(name,)) for name in range(writers)]
        for thread in threads:
            thread.start()
        seen = [0]
        while any(thread.is_alive() for thread in threads) or opened.events(seen[-1], 1):
            seen += [event.seq for event in opened.events(seen[-1], 10)]
        for thread in threads:
            thread.join()

        assert not errors
        assert seen == list(range(writers * each + 3))

    def test_two_drivers_that_claim_the_same_trials_get_each_once(
        self, url: str, opened: Ledger
    ) -> None:
        register(opened, count=50)
        command = [sys.executable, str(CLAIMER), url, "head-1a2b3c4d"]

        drivers = [
            subprocess.Popen([*command, "all"], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
            for _ in range(2)
        ]
        for driver in drivers:
            assert driver.stdout is not None
            assert driver.stdout.readline() == b"ready\n"
        for driver in drivers:
            assert driver.stdin is not None
            driver.stdin.write(b"go\n")
            driver.stdin.flush()
        # Both live until both are through: what a dead one claimed may be claimed again.
        claimed = [_lines_until(driver, b"done\n") for driver in drivers]
        for driver in drivers:
            driver.communicate(b"go\n", timeout=60)

        assert sorted(claimed[0] + claimed[1]) == sorted(
            identity_of(number).encode() for number in range(50)
        )
        assert all(driver.returncode == 0 for driver in drivers)

    def test_a_killed_driver_on_this_machine_is_known_dead_at_once(
        self, url: str, opened: Ledger
    ) -> None:
        register(opened)
        driver = subprocess.Popen(
            [sys.executable, str(CLAIMER), url, "head-1a2b3c4d", "hold"],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
        )
        assert driver.stdout is not None
        assert driver.stdout.readline() == b"ready\n"
        assert driver.stdin is not None
        driver.stdin.write(b"go\n")
        driver.stdin.flush()
        assert driver.stdout.readline().strip() == identity_of(0).encode()
        mine = Holder.here()
        with Ledger.open(url) as now:
            with pytest.raises(BusyError, match=f"process {driver.pid} on"):
                now.acquire_sweep("head-1a2b3c4d", mine, TTL)
            assert now.claim(identity_of(0), "head-1a2b3c4d", mine, TTL) is None

            os.kill(driver.pid, signal.SIGKILL)
            driver.wait()

            now.acquire_sweep("head-1a2b3c4d", mine, TTL)
            taken = now.claim(identity_of(0), "head-1a2b3c4d", mine, TTL)
        driver.stdout.close()
        driver.stdin.close()
        assert taken is not None
        assert (taken.number, taken.resume_from) == (2, checkpoint(5))

    def test_a_database_that_went_away_is_a_store_error(self, opened: Ledger) -> None:
        with opened.database.writing() as connection:
            connection.execute(sa.text("DROP TABLE publications"))

        with pytest.raises(StoreError, match="publications"):
            opened.publications("head-1a2b3c4d")


def _lines_until(driver: subprocess.Popen[bytes], last: bytes) -> list[bytes]:
    assert driver.stdout is not None
    lines = []
    while (line := driver.stdout.readline()) not in (last, b""):
        lines.append(line.strip())
    return lines
