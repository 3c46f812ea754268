"""Our S3 store beside boto3, a sync-style transfer and pyarrow: `python -m tests.benchmarks.store`.

1 GB in objects of 64 MB, and 10,000 of 10 kB, up to and down from a real S3 server on the loopback.
Contestants take turns, in rotated order, each with the same number of threads and with checksums
on; what counts is the wall time of a turn, and the figure is the quotient of medians.

- ours: `S3Store.upload` and `.download`, called from a pool of threads
- boto3: `upload_file` and `download_file` of one client, from the same pool
- sync: one `TransferManager` of s3transfer, which `aws s3 sync` is made of
- pyarrow: `S3FileSystem`, streams of 8 MB, from the same pool
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import boto3.session
from botocore.config import Config
from pyarrow import fs
from s3transfer.manager import TransferConfig, TransferManager

from infra.s3_store import S3Store
from tests.benchmarks.measuring import report
from tests.cluster.services import BUCKET, CREDENTIALS, S3Server

ROUNDS = 7
THREADS = 8
MEGABYTE = 2**20
SHAPES = {"64 MB": (16, 64 * MEGABYTE), "10 kB": (10_000, 10_000)}
BLOCK = 8 * MEGABYTE


class Contestant(Protocol):
    """One way to move many files."""

    def up(self, files: Sequence[Path], prefix: str) -> None:
        """Send all files."""
        ...

    def down(self, names: Sequence[str], prefix: str, folder: Path) -> None:
        """Fetch all objects."""
        ...


class Pooled:
    """One file per task of a pool."""

    def __init__(self, up: Callable[[Path, str], Any], down: Callable[[str, Path], Any]) -> None:
        self._up = up
        self._down = down

    def up(self, files: Sequence[Path], prefix: str) -> None:
        """Send all files."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda file: self._up(file, f"{prefix}/{file.name}"), files))

    def down(self, names: Sequence[str], prefix: str, folder: Path) -> None:
        """Fetch all objects."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda name: self._down(f"{prefix}/{name}", folder / name), names))


class Synced:
    """All files to one transfer manager, which has the threads."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 -- boto3 has no types
        self._client = client

    def up(self, files: Sequence[Path], prefix: str) -> None:
        """Send all files."""
        with TransferManager(self._client, TransferConfig(**_THREADS)) as manager:
            for future in [
                manager.upload(str(file), BUCKET, f"{prefix}/{file.name}") for file in files
            ]:
                future.result()

    def down(self, names: Sequence[str], prefix: str, folder: Path) -> None:
        """Fetch all objects."""
        with TransferManager(self._client, TransferConfig(**_THREADS)) as manager:
            for future in [
                manager.download(BUCKET, f"{prefix}/{name}", str(folder / name)) for name in names
            ]:
                future.result()


_THREADS = {"max_request_concurrency": THREADS, "max_submission_concurrency": THREADS}


def contestants(endpoint: str) -> dict[str, Contestant]:
    """All of them, against one server."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        config=Config(
            s3={"addressing_style": "path"},
            max_pool_connections=32,
            request_checksum_calculation="when_supported",
            response_checksum_validation="when_supported",
        ),
    )
    store = S3Store(f"s3://{BUCKET}")
    arrow = fs.S3FileSystem(
        access_key=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        secret_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=urlsplit(endpoint).netloc,
        scheme="http",
        region="us-east-1",
    )

    def send(file: Path, key: str) -> None:
        with file.open("rb") as source, arrow.open_output_stream(f"{BUCKET}/{key}") as target:
            shutil.copyfileobj(source, target, BLOCK)

    def fetch(key: str, file: Path) -> None:
        with arrow.open_input_stream(f"{BUCKET}/{key}") as source, file.open("wb") as target:
            shutil.copyfileobj(source, target, BLOCK)

    return {
        "ours": Pooled(store.upload, store.download),
        "boto3": Pooled(
            lambda file, key: client.upload_file(str(file), BUCKET, key),
            lambda key, file: client.download_file(BUCKET, key, str(file)),
        ),
        "sync": Synced(client),
        "pyarrow": Pooled(send, fetch),
    }


def measure(
    shape: str, files: Sequence[Path], named: dict[str, Contestant], *, rounds: int
) -> list[dict[str, Any]]:
    """Seconds of every contestant's turns, up and down."""
    taken: dict[tuple[str, str], list[float]] = {}
    names = [file.name for file in files]
    for number in range(rounds):
        order = list(named)[number % len(named) :] + list(named)[: number % len(named)]
        for name in order:
            prefix = f"{shape.replace(' ', '')}/{name}"
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                named[name].up(files, prefix)
                sent = time.perf_counter()
                named[name].down(names, prefix, Path(folder))
                fetched = time.perf_counter()
                for file in (files[0], files[-1]):
                    assert (Path(folder) / file.name).read_bytes() == file.read_bytes()
            taken.setdefault((name, "up"), []).append(sent - began)
            taken.setdefault((name, "down"), []).append(fetched - sent)
    size = sum(file.stat().st_size for file in files)
    rows = []
    for way in ("up", "down"):
        medians = {name: statistics.median(taken[name, way]) for name in named}
        best = min(medians.values())
        for name, seconds in medians.items():
            rows.append(
                {
                    "objects": f"{len(files)} of {shape}",
                    "way": way,
                    "who": name,
                    "seconds": seconds,
                    "MB/s": size / MEGABYTE / seconds,
                    "objects/s": len(files) / seconds,
                    "of the best": seconds / best,
                    "fastest": min(taken[name, way]),
                    "slowest": max(taken[name, way]),
                }
            )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--shrink", type=int, default=1, help="move so many times fewer objects")
    parser.add_argument("--only", nargs="*", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--out", type=Path, default=None, help="folder for the JSON")
    asked = parser.parse_args()
    os.environ.update(CREDENTIALS, AWS_DEFAULT_REGION="us-east-1")
    rows = []
    with tempfile.TemporaryDirectory(prefix="store") as folder:
        server = S3Server(Path(folder) / "s3")
        server.start()
        os.environ["RMSWEEP_S3_ENDPOINT"] = server.endpoint
        try:
            named = contestants(server.endpoint)
            for shape in asked.only:
                count, size = SHAPES[shape]
                files = _made(Path(folder) / shape.replace(" ", ""), count // asked.shrink, size)
                measure(shape, files[: max(1, len(files) // 20)], named, rounds=1)  # warm up
                rows += measure(shape, files, named, rounds=asked.rounds)
        finally:
            server.stop()
    report("store", rows, asked.out, rounds=asked.rounds, threads=THREADS)


def _made(folder: Path, count: int, size: int) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number:05}.bin" for number in range(count)]
    for file in files:
        file.write_bytes(os.urandom(size))
    return files


if __name__ == "__main__":
    main()
