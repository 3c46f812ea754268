"""Logs of running ranks reach the store while they are written."""

from __future__ import annotations

import time
from pathlib import Path

from infra.errors import OutageError
from infra.object_store import LocalStore
from trainer.gangs.log_courier import LogCourier

LONGEST_SECONDS = 30.0


class AwayStore(LocalStore):
    """A folder whose service is away for its first uploads."""

    away = 2

    def upload(self, path: Path, key: str) -> None:
        if self.away:
            self.away -= 1
            raise OutageError("away")
        super().upload(path, key)


def await_text(store: LocalStore, key: str, text: bytes) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not store.exists(key) or store.read(key) != text:
        assert time.monotonic() < deadline, f"{key} never held {text!r}"
        time.sleep(0.01)


def test_a_line_is_in_the_store_before_the_rank_ends(tmp_path: Path) -> None:
    store, log = LocalStore(tmp_path / "store"), tmp_path / "rank-0.txt"
    courier = LogCourier(store, "logs/", [log], every_seconds=0.01)

    log.write_bytes(b"step 1\n")
    await_text(store, "logs/rank-0.txt", b"step 1\n")
    log.write_bytes(b"step 1\nstep 2\n")
    await_text(store, "logs/rank-0.txt", b"step 1\nstep 2\n")
    courier.close()


def test_closing_sends_the_last_words_of_every_rank(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    logs = [tmp_path / f"rank-{rank}.txt" for rank in range(3)]
    courier = LogCourier(store, "logs/", logs, every_seconds=1000)
    for log in logs[:2]:
        log.write_text(log.name)

    courier.close()

    assert store.keys() == ["logs/rank-0.txt", "logs/rank-1.txt"]


def test_a_store_that_is_away_ends_nothing_and_gets_the_whole_log_later(tmp_path: Path) -> None:
    store, log = AwayStore(tmp_path / "store"), tmp_path / "rank-0.txt"
    log.write_bytes(b"all of it")
    courier = LogCourier(store, "logs/", [log], every_seconds=0.01)

    await_text(store, "logs/rank-0.txt", b"all of it")
    courier.close()

    assert store.away == 0
