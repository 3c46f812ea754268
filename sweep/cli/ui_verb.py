"""`ui`: MLflow's pages on the runs of a sweep, served on this machine only."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, Annotated

import typer

from infra.errors import InputError, StoreError
from infra.mlflow_environment import s3_environment
from infra.mlflow_names import view_page, view_tag
from infra.settings import masked
from sweep.cli.console import out
from sweep.cli.workplace import open_workplace

START_SECONDS = 180.0
"""MLflow's server needs 15 s here on a quiet machine."""

_NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Without it MLflow starts nine processes for jobs nobody here asks for, 250 MB each."""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(ui)


def ui(
    sweep: Annotated[
        str | None, typer.Argument(help="Open at this sweep's runs; else at the overview.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Open MLflow on the runs; Ctrl-C ends it."""
    workplace = open_workplace()
    tracking, experiment, shown = workplace.settings.tracking_uri, None, ""
    if sweep is not None:
        row = workplace.ledger.sweep(sweep)
        tracking = row.tracking_uri
        shown = row.sweep_id
        experiment = (row.spec_json.get("tracking") or {}).get("experiment") or row.name
    if tracking.startswith(("http://", "https://")):
        _show(_address(tracking.rstrip("/"), experiment, shown), open_browser=browser)
        return
    if not _free(port):
        raise InputError(f"port {port} is taken on 127.0.0.1; name another with --port")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # MLflow's server ends with us
    said = tempfile.TemporaryFile()  # noqa: SIM115 -- open as long as the server, which writes it
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--default-artifact-root", str(workplace.settings.artifact_uri)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=said,
        # Its address may hold a password, which everybody could read in a command line.
        env=os.environ
        | _NO_JOBS
        | s3_environment(workplace.settings)
        | {"MLFLOW_BACKEND_STORE_URI": tracking},
    )
    try:
        base = f"http://127.0.0.1:{port}"
        await_server(server, base, said)
        _show(_address(base, experiment, shown), open_browser=browser)
        out.print("Ctrl-C ends it.")
        server.wait()
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
        said.close()


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def await_server(server: subprocess.Popen[bytes], base: str, said: IO[bytes]) -> None:
    """Return once a server answers at an address.

    Args:
        server: Its process.
        base: Where it will listen.
        said: What it writes to its error stream.

    Raises:
        StoreError: If it ends, with its last line, or is silent for `START_SECONDS`.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise StoreError(
                f"MLflow's server ended with code {server.returncode} as it started: {masked(last)}"
            )
        try:
            with urllib.request.urlopen(f"{base}/health", timeout=2):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.3)
    raise StoreError(f"MLflow's server did not answer within {START_SECONDS:.0f} s")


def _address(base: str, experiment: str | None, shown: str) -> str:
    """The page of a sweep's arms, or of all there is where MLflow was not told of them yet."""
    if experiment is None:
        return base
    name = urllib.parse.quote(experiment)
    query = f"{base}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}"
    try:
        with urllib.request.urlopen(query, timeout=30) as answer:
            found = json.load(answer)["experiment"]
    except (urllib.error.URLError, TimeoutError, KeyError, ValueError):
        return base
    if view_tag(shown) not in {tag["key"] for tag in found.get("tags", ())}:
        return f"{base}/#/experiments/{found['experiment_id']}"
    return f"{base}/{view_page(str(found['experiment_id']), shown)}"


def _show(address: str, *, open_browser: bool) -> None:
    out.print(f"MLflow: {address}", soft_wrap=True)
    if open_browser:
        typer.launch(address)
