"""Publishing to an MLflow server that asks for a password."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import StoreError
from infra.mlflow_tracker import MlflowTracker
from infra.tracking import RunFacts
from tests.infra.authority import Authority
from tests.infra.mlflow_server import PASSWORD, USER, MlflowServer, mlflow_server
from tests.relay import Relay

pytestmark = pytest.mark.cluster  # alone on its cores: the server takes them while it starts


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow-server")) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)


def publish(server: MlflowServer, key: str) -> str:
    tracker = MlflowTracker(server.uri, "auth")
    return tracker.ensure_run(
        RunFacts(key=key, name=key, parent_key=None, params={"a": "1"}, tags={}, started=None)
    )


def test_a_password_from_the_environment_is_used(
    server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)

    assert publish(server, "environment") == publish(server, "environment")


def test_a_password_from_a_file_is_used(server: MlflowServer, tmp_path: Path) -> None:
    file = tmp_path / ".mlflow" / "credentials"
    file.parent.mkdir()
    file.write_text(
        f"[mlflow]\nmlflow_tracking_username = {USER}\nmlflow_tracking_password = {PASSWORD}\n"
    )

    assert publish(server, "file") == publish(server, "file")


def test_a_wrong_password_is_one_clear_error(
    server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong-but-secret")

    with pytest.raises(StoreError) as caught:
        publish(server, "wrong")

    assert "MLFLOW_TRACKING_USERNAME" in str(caught.value)
    assert server.uri in str(caught.value)
    assert "wrong-but-secret" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_nobody_sees_anything_without_signing_in(server: MlflowServer) -> None:
    for path in ("/", "/api/2.0/mlflow/experiments/search?max_results=1", "/version"):
        try:
            with urllib.request.urlopen(f"{server.uri}{path}", timeout=10) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, b""
        assert status == 401 or b"experiment" not in text.lower(), path


def test_a_server_behind_an_authority_of_ones_own_is_published_to_over_tls(
    server: MlflowServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    authority = Authority.made(tmp_path)
    with Relay(int(server.uri.rpartition(":")[2]), authority=authority) as relay:
        sealed = MlflowServer(f"https://127.0.0.1:{relay.port}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(StoreError, match=r"certificate.*MLFLOW_TRACKING_SERVER_CERT_PATH"):
            publish(sealed, "sealed")
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(authority.root))

        assert publish(sealed, "sealed") == publish(server, "sealed")
