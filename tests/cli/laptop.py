"""A machine outside of a cluster: what its user asks, each time in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.cli.conftest import Command
from tests.execution.ray_head import RayHead

SWEEP = """\
name: submitted
baseline:
  backbone: {scale: xs}
  data: {pairs: 32, weights: {text: 1}}
  strategy: {batch_pairs: 16}
  evaluation:
    benchmarks:
      validation: {split: validation, parts: {text: 20}}
      test: {split: test, parts: {text: 20}}
axes:
  head.layers: [1, 2]
replicates: {seeds: 1}
"""
LONGEST_SECONDS = 400.0


def submit(
    head: RayHead, token: str, home: Path, file: Path, *, environment: str = "auto"
) -> subprocess.CompletedProcess[str]:
    """In a process of its own: Ray reads its token once per process."""
    home.mkdir(exist_ok=True)
    entry = f"{{address: '{head.address}', shared: ['{home}'], environment: {environment}}}"
    (home / "clusters.yaml").write_text(f"lab: {entry}")
    told = replace(head, token=token)
    return asked(
        told, home, "-m", "sweep.cli.main", "submit", str(file), "--cluster", "lab", "--json"
    )


def asked(head: RayHead, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python that has the token."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(head, home),
        capture_output=True,
        text=True,
        check=False,
    )


def environment(head: RayHead, home: Path) -> dict[str, str]:
    """Of a process that has the token."""
    told = {"RMSWEEP_HOME": str(home), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": head.token}
    return {**os.environ, **told}


def await_machines(head: RayHead, home: Path) -> None:
    """A head answers before it knows of the machine it is on."""
    code = (
        "from infra.clusters import ClusterEntry; from sweep.execution.head import Head; "
        f"print(len(Head(ClusterEntry(address='{head.address}')).machines()))"
    )
    deadline = time.monotonic() + LONGEST_SECONDS
    while asked(head, home, "-c", code).stdout.strip() != "1":
        assert time.monotonic() < deadline
        time.sleep(1)


def shown_when(rmsweep: Command, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The sweep as soon as this holds of it, or when the time is up."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        shown: dict[str, Any] = json.loads(rmsweep("show", "submitted", "--json").out)
        if holds(shown) or time.monotonic() > deadline:
            return shown
        time.sleep(2)
