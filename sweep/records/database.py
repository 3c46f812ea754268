"""The database behind the ledger: connections, transactions, schema version, errors made ours.

Writers take one lock for the whole ledger at the start of their transaction (SQLite: `BEGIN
IMMEDIATE`; PostgreSQL: an advisory lock), so writes happen one after another on both, `seq` grows
in commit order, and no transaction ever has to be repeated.
"""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

# SQLAlchemy looks at values through its mappers once anybody has imported them. MLflow does, in the
# publisher's thread: a query under way met them half imported and failed. So they come first.
import sqlalchemy.orm
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from infra.errors import DiskFullError, InputError, RmsweepError, SchemaError, StoreError
from sweep.records.schema import SCHEMA_VERSION, attempts, demands, memberships, meta, metadata

BUSY_SECONDS = 30
"""How long a writer waits for the writers before it."""
_WRITERS_LOCK = 0x726D_7377_6565_70  # "rmsweep", the advisory lock's number on PostgreSQL
_LOCK_WRITERS = sa.select(
    sa.func.set_config("lock_timeout", f"{BUSY_SECONDS}s", True),
    sa.func.pg_advisory_xact_lock(_WRITERS_LOCK),
)
_POSTGRES_DISK_FULL = "53100"


class Database:
    """Transactions on one ledger; safe to share between threads, not between forked processes."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._local = threading.local()
        self.address = engine.url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent snapshot that waits for nobody; inside a transaction of this thread, its."""
        joined = self._joined
        if joined is not None:
            yield joined
            return
        with self._translated(), self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that has the ledger's writing lock; all or nothing.

        Inside another of this thread it is part of that: both happen, or neither.
        """
        joined = self._joined
        if joined is not None:
            with self._translated():
                yield joined
            return
        with self._translated(), self.engine.connect() as connection:
            connection.execution_options(rmsweep_write=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(_LOCK_WRITERS)
                self._local.connection = connection
                try:
                    yield connection
                finally:
                    self._local.connection = None

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    @property
    def _joined(self) -> Connection | None:
        """The transaction this thread is writing in."""
        found: Connection | None = getattr(self._local, "connection", None)
        return found

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise _our_error(error, self.address) from error


def open_database(url: str) -> Database:
    """Connect, create the tables in an empty database, and check the schema's version.

    Raises:
        InputError: If the address is no SQLite file's and no PostgreSQL server's.
        SchemaError: If a newer version of this project wrote the ledger.
        StoreError: If the database cannot be reached or is none.
    """
    database = Database(_engine(_checked_url(url)))
    try:
        with database.writing() as connection:
            _create_or_check(connection, database.address)
    except RmsweepError:
        database.close()
        raise
    return database


def database_in_memory() -> Database:
    """An empty database that ends with this process; only threads of it can see it."""
    engine = sa.create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    database = Database(engine)
    with database.writing() as connection:
        _create_or_check(connection, database.address)
    return database


def _checked_url(url: str) -> URL:
    expected = "the ledger's address must be sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InputError(f"{expected}, got {url.partition('://')[0]!r}") from error
    backend = parsed.get_backend_name()
    if backend in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise InputError(f"{expected}, got one that starts with {backend!r}")
    if not parsed.database or parsed.database == ":memory:":
        raise InputError(f"{expected}; a database in memory cannot be seen by other processes")
    return parsed


def _engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == "postgresql":
            return sa.create_engine(
                url, pool_pre_ping=True, pool_size=4, connect_args={"connect_timeout": 10}
            )
        folder = Path(url.database or "").expanduser().absolute().parent
        folder.mkdir(parents=True, exist_ok=True)
        url = url.set(database=str(Path(url.database or "").expanduser()))
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=4)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise InputError(
            "a ledger on PostgreSQL needs psycopg: pip install 'rmsweep[postgresql]'"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"no space left for the ledger's folder: {error}") from error
        raise StoreError(f"the ledger's folder cannot be made: {error}") from error
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    connection.execute("PRAGMA journal_mode = WAL")
    # The ledger is the only memory of a sweep: what it said is kept through a power cut as well.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A reader that turns writer fails when another wrote in between; writers say so at once.
    writes = connection.get_execution_options().get("rmsweep_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _create_or_check(connection: Connection, address: str) -> None:
    if sa.inspect(connection).has_table(meta.name):
        found = connection.execute(
            sa.select(meta.c.value).where(meta.c.key == "schema_version")
        ).scalar()
        if found is None or not found.isdecimal():
            raise SchemaError(f"{address} holds tables of something else; name another database")
        if int(found) > SCHEMA_VERSION:
            raise SchemaError(
                f"{address} was written with schema version {found}, this rmsweep reads up to "
                f"version {SCHEMA_VERSION}; install the newer rmsweep or name another ledger"
            )
        # Drivers of the release before, which know nothing of these, go on beside newer ones.
        demands.create(connection, checkfirst=True)
        _let_workers_be_parts(connection)
        return
    metadata.create_all(connection)
    connection.execute(sa.insert(meta), [{"key": "schema_version", "value": str(SCHEMA_VERSION)}])


def _let_workers_be_parts(connection: Connection) -> None:
    """Trials may share a device: PostgreSQL would round their part of it; SQLite keeps it as is."""
    if connection.dialect.name != "postgresql":
        return
    for table in (memberships, attempts):
        columns = sa.inspect(connection).get_columns(table.name)
        if any(one["name"] == "workers" and isinstance(one["type"], sa.Integer) for one in columns):
            connection.exec_driver_sql(
                f"ALTER TABLE {table.name} ALTER COLUMN workers TYPE double precision"
            )


def _our_error(error: DBAPIError, address: str) -> StoreError:
    origin: Any = error.orig
    message = str(origin).strip()
    full = "disk is full" in message or getattr(origin, "sqlstate", None) == _POSTGRES_DISK_FULL
    if full:
        return DiskFullError(
            f"no space left for the ledger {address}; free some and run the command again: "
            "what it held is intact"
        )
    if "unable to open database file" in message or "readonly database" in message:
        return StoreError(
            f"the ledger {address} cannot be written: expected a file that this user may write, in "
            "a folder where it may make others (to look on, too)"
        )
    if "database is locked" in message or "lock timeout" in message:
        return StoreError(
            f"other processes kept the ledger {address} busy for {BUSY_SECONDS} seconds; "
            "run the command again"
        )
    return StoreError(f"the ledger {address} failed: {message}")
