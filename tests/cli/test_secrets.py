"""Secrets are planted wherever they may come from, a sweep is run, and all it left is searched."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from tests.webhook_receiver import SECRET as WEBHOOK_SECRET
from tests.webhook_receiver import receiving

PLANTED = {
    "AWS_ACCESS_KEY_ID": "plantedkeyid7391",
    "AWS_SECRET_ACCESS_KEY": "plantedkeysecret7391",
    "AWS_SESSION_TOKEN": "plantedsession7391",
    "PGPASSWORD": "plantedpg7391",
    "MLFLOW_TRACKING_PASSWORD": "plantedmlflow7391",
    "MLFLOW_TRACKING_TOKEN": "plantedmlflowtoken7391",
    "HF_TOKEN": "plantedhub7391",
    "RAY_AUTH_TOKEN": "plantedray" + "73910000" * 4,
}
SWEEP = """\
name: secrets
baseline:
  backbone: {scale: xs}
  data: {pairs: 32, weights: {text: 1}}
  strategy: {batch_pairs: 16}
  evaluation:
    benchmarks:
      validation: {split: validation, parts: {text: 20}}
axes:
  head.layers: [1]
replicates: {seeds: 1}
"""


def watch(seen: set[str], over: threading.Event, secrets: Sequence[str]) -> None:
    """Keep every command line that holds a secret, of any process of this machine."""
    while not over.wait(0.3):
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if any(secret in line for secret in secrets):
                    seen.add(line)


def holding(folder: Path, secrets: list[str]) -> list[str]:
    """Files below a folder that hold a secret."""
    needles = [secret.encode() for secret in secrets]
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                found += [f"{path}: {n.decode()}" for n in needles if n in data]
    return found


@pytest.mark.cluster
def test_no_planted_secret_is_in_anything_a_sweep_leaves_or_shows(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    lines: set[str] = set()
    over = threading.Event()
    secrets = [*PLANTED.values(), WEBHOOK_SECRET]
    watcher = threading.Thread(target=watch, args=(lines, over, secrets))
    watcher.start()
    # Ray's sockets live in it, and their names may have 107 characters.
    with (
        receiving() as receiver,
        tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as scratch,
    ):
        environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith(("RMSWEEP_", "RAY_"))},
            **PLANTED,
            "RMSWEEP_HOME": str(home),
            "RMSWEEP_CPUS": "1",
            "RMSWEEP_WEBHOOK": receiver.address.get_secret_value(),
            "RAY_TMPDIR": scratch,
            "OMP_NUM_THREADS": "1",
        }
        try:
            said = [
                subprocess.run(
                    [sys.executable, "-m", "sweep.cli.main", *arguments],
                    env=environment,
                    cwd=tmp_path,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                for arguments in (
                    ("run", "sweep.yaml"),
                    ("show", "secrets"),
                    ("status", "secrets", "--json"),
                    ("report", "secrets", "--out", str(tmp_path / "report.html")),
                )
            ]
        finally:
            over.set()
            watcher.join()
        logs = list(Path(scratch).rglob("*.log"))
        leaks = holding(tmp_path, secrets) + holding(Path(scratch), secrets)

    assert [one.returncode for one in said] == [0] * len(said), said
    assert receiver.messages, "the webhook was not told, so its address was not used"
    assert (home / "ledger.db").stat().st_size > 0
    assert (home / "mlflow.db").stat().st_size > 0
    assert logs, "Ray kept its logs elsewhere"
    assert leaks == []
    assert lines == set()
    shown = "".join(one.stdout + one.stderr for one in said)
    assert [secret for secret in secrets if secret in shown] == []
