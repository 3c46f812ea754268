"""The ledger on SQLite and on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from infra.errors import BusyError, DiskFullError, InputError, SchemaError, StoreError
from sweep.records.ledger import Ledger
from tests.records.ledger_changes_contract import LedgerChangesContract
from tests.records.ledger_contract import LedgerContract
from tests.records.ledger_looks_contract import LedgerLooksContract
from tests.records.ledger_processes_contract import LedgerProcessesContract
from tests.records.ledger_sweeps_contract import LedgerSweepsContract
from tests.records.rows import TTL, identity_of, register, stranger


def _record_noise(ledger: Ledger, count: int) -> None:
    for number in range(count):
        ledger.record_decision("head-1a2b3c4d", "noise", {"number": number, "text": "x" * 4000})


class TestLedgerOnSqlite(
    LedgerContract,
    LedgerSweepsContract,
    LedgerChangesContract,
    LedgerLooksContract,
    LedgerProcessesContract,
):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url

    def test_a_full_disk_is_named_and_loses_nothing(self, url: str) -> None:
        with Ledger.open(url) as ledger:
            register(ledger)

            @sa.event.listens_for(ledger.database.engine, "connect")
            def _limit(connection: object, _entry: object) -> None:
                connection.execute("PRAGMA max_page_count = 80")  # type: ignore[attr-defined]

            ledger.database.engine.dispose()
            with pytest.raises(DiskFullError, match="what it held is intact"):
                _record_noise(ledger, 1000)
        with Ledger.open(url) as ledger:
            kept = ledger.decisions("head-1a2b3c4d")
            assert 0 < len(kept) < 1000
            assert len(ledger.trials("head-1a2b3c4d")) == 4

    def test_a_file_that_is_no_database_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "ledger.db").write_text("this is a shopping list, not a database\n" * 100)

        with pytest.raises(StoreError, match="not a database"):
            Ledger.open(f"sqlite:///{tmp_path}/ledger.db")

    def test_a_ledger_that_cannot_be_written_says_what_it_needs(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="expected a file that this user may write"):
            Ledger.open(f"sqlite:///{tmp_path}")

    def test_a_database_of_something_else_is_refused(self, url: str) -> None:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE meta (key TEXT, value TEXT)"))
        engine.dispose()

        with pytest.raises(SchemaError, match="holds tables of something else"):
            Ledger.open(url)

    def test_a_folder_that_cannot_be_made_is_a_store_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()

        with pytest.raises(StoreError, match="folder cannot be made"):
            Ledger.open(f"sqlite:///{tmp_path}/file/ledger.db")

    @pytest.mark.parametrize("url", ["sqlite://", "mysql://u:hush@h/d", "nonsense"])
    def test_other_addresses_are_refused_without_their_password(self, url: str) -> None:
        with pytest.raises(InputError, match="must be sqlite:///FILE or postgresql://") as caught:
            Ledger.open(url)
        assert "hush" not in str(caught.value)


class TestLedgerOnPostgresql(
    LedgerContract,
    LedgerSweepsContract,
    LedgerChangesContract,
    LedgerLooksContract,
    LedgerProcessesContract,
):
    @pytest.fixture
    def url(self, postgresql_url: str) -> str:
        return postgresql_url

    def test_a_ledger_from_before_devices_were_shared_takes_parts_of_one(self, url: str) -> None:
        with Ledger.open(url) as ledger, ledger.database.writing() as connection:
            for table in ("memberships", "attempts"):
                connection.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN workers TYPE integer")
        with Ledger.open(url) as ledger:
            register(ledger, "head-1a2b3c4d", count=1)

            ledger.claim(identity_of(0), "head-1a2b3c4d", stranger(), TTL, 0.25)

            (attempt,) = ledger.attempts([identity_of(0)])
            assert attempt.workers == 0.25

    @pytest.mark.parametrize("ahead", [3600.0, -3600.0])
    def test_a_machine_whose_clock_is_wrong_takes_no_sweep_from_a_living_driver(
        self, url: str, ahead: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        true = time.time
        with Ledger.open(url) as ledger:
            register(ledger, "head-1a2b3c4d", count=1)
            ledger.acquire_sweep("head-1a2b3c4d", stranger("first"), TTL)
            monkeypatch.setattr(time, "time", lambda: true() + ahead)

            with Ledger.open(url) as elsewhere:
                assert abs(elsewhere.now() - true()) < TTL
                assert elsewhere.sweep("head-1a2b3c4d").live
                with pytest.raises(BusyError, match="is driven by process"):
                    elsewhere.acquire_sweep("head-1a2b3c4d", stranger("second"), TTL)
                # Nor is one that it drives itself taken for dead by others.
                ledger.release_sweep("head-1a2b3c4d", stranger("first"))
                elsewhere.acquire_sweep("head-1a2b3c4d", stranger("second"), TTL)
            with pytest.raises(BusyError, match="is driven by process"):
                ledger.acquire_sweep("head-1a2b3c4d", stranger("first"), TTL)

    def test_a_server_that_is_not_there_is_a_store_error_without_the_password(self) -> None:
        with pytest.raises(StoreError) as caught:
            Ledger.open("postgresql://me:hush@127.0.0.1:9/none")

        assert "hush" not in str(caught.value)


def test_a_ledger_imports_the_mappers_before_another_thread_does() -> None:
    program = "import sys, sweep.records.ledger; sys.exit('sqlalchemy.orm' not in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
