"""A ledger on PostgreSQL over TLS, as SECURITY.md tells to switch it on.

The packaged server knows no TLS: what asks for it is met by a relay that ends it, in PostgreSQL's
words, as poolers and clouds do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from infra.errors import StoreError
from sweep.records.ledger import Ledger
from tests.infra.authority import Authority
from tests.records.rows import register
from tests.relay import Relay


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.made(tmp_path)


@pytest.fixture
def address(postgresql_url: str, authority: Authority) -> Iterator[str]:
    """Of a database that is reached over TLS alone."""
    url = sa.make_url(postgresql_url)
    socket = Path(str(url.query["host"])) / ".s.PGSQL.5432"
    with Relay(socket, authority=authority, negotiated=True) as relay:
        yield f"postgresql://{url.username}@127.0.0.1:{relay.port}/{url.database}"


def test_a_ledger_is_used_over_tls_whose_certificate_is_verified(
    address: str, authority: Authority
) -> None:
    verified = f"{address}?sslmode=verify-full&sslrootcert={authority.root}"
    with Ledger.open(verified) as ledger:
        register(ledger)
        with ledger.database.reading() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            assert driver.pgconn.ssl_in_use
    with Ledger.open(verified) as ledger:
        assert [row.name for row in ledger.sweeps()] == ["head"]


def test_a_server_of_another_authority_is_refused(address: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority.made(tmp_path / "other")

    with pytest.raises(StoreError, match="SSL error"):
        Ledger.open(f"{address}?sslmode=verify-full&sslrootcert={other.root}")


def test_a_server_under_another_name_than_its_certificate_has_is_refused(
    address: str, authority: Authority
) -> None:
    renamed = f"{address}?sslmode=verify-full&sslrootcert={authority.root}&hostaddr=127.0.0.1"

    with pytest.raises(StoreError, match="does not match host name"):
        Ledger.open(renamed.replace("@127.0.0.1:", "@elsewhere.example:"))
