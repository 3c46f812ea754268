"""Submitting a sweep to a real Ray head with a dashboard and a token, as a user does."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.clusters import ClusterEntry
from infra.errors import StoreError
from sweep.cli.planning import plan_file
from sweep.cli.workplace import open_workplace
from sweep.execution.head import Head
from sweep.execution.submitting import (
    PACKAGES,
    pinned_packages,
    source_folders,
    write_parcel,
)
from sweep.execution.supervising import SWEEP_FILE
from sweep.records.submissions import SUBMITTED_KIND
from tests.analysis.made_sweeps import MadeArm, Recipe, make_sweep
from tests.cli.conftest import Command
from tests.execution.ray_head import RayHead, ray_head

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


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with ray_head(cpus=2) as head:
        yield head


def submit(head: RayHead, token: str, home: Path, file: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: Ray reads its token once per process."""
    home.mkdir(exist_ok=True)
    (home / "clusters.yaml").write_text(f"lab: {{address: '{head.address}', shared: ['{home}']}}")
    told = replace(head, token=token)
    return asked(
        told, home, "-m", "sweep.cli.main", "submit", str(file), "--cluster", "lab", "--json"
    )


def asked(head: RayHead, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python that has the token."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={
            **os.environ,
            "RMSWEEP_HOME": str(home),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": head.token,
        },
        capture_output=True,
        text=True,
        check=False,
    )


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


@pytest.fixture
def file(home: Path, tmp_path: Path) -> Path:
    home.mkdir()
    file = tmp_path / "submitted.yaml"
    file.write_text(SWEEP)
    return file


def test_every_package_of_the_project_travels() -> None:
    assert [folder.name for folder in source_folders()] == list(PACKAGES)
    assert all((folder / "__init__.py").is_file() for folder in source_folders())


def test_the_pinned_environment_names_every_dependency_once_with_this_version() -> None:
    pins = pinned_packages()

    assert any(pin.startswith("ray[default,tune]==") for pin in pins)
    assert any(pin.startswith("torch==") for pin in pins)
    assert len({pin.split("==")[0] for pin in pins}) == len(pins)


@pytest.mark.parametrize("design", ["one_factor", "grid", "random, points: 1"])
@pytest.mark.parametrize("scheduler", ["none", "asha, first: 1/2"])
def test_the_sweep_that_arrives_is_the_one_that_was_sent(
    home: Path, file: Path, tmp_path: Path, design: str, scheduler: str
) -> None:
    file.write_text(f"{SWEEP}design: {{kind: {design}}}\nscheduler: {{kind: {scheduler}}}\n")
    workplace = open_workplace()
    sent, _ = plan_file(workplace, str(file), ())

    write_parcel(sent, tmp_path)
    arrived, _ = plan_file(workplace, str(tmp_path / SWEEP_FILE), ())

    assert arrived.sweep_id == sent.sweep_id
    assert arrived.spec == sent.spec
    assert [t.identity for t in arrived.trials] == [t.identity for t in sent.trials]


def test_nobody_at_the_address_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(StoreError, match=f"no Ray head answers at {address}"):
            Head(ClusterEntry(address=address))


def test_a_file_only_this_machine_sees_is_refused_before_anything_is_sent(
    rmsweep: Command,
    file: Path,
    home: Path,
    tmp_path: Path,
) -> None:
    pairs = tmp_path / "pairs.jsonl"
    rows = [
        {"prompt": f"q{number}", "chosen": f"yes {number}", "rejected": f"no {number}"}
        for number in range(100)
    ]
    pairs.write_text("\n".join(map(json.dumps, rows)))
    file.write_text(
        SWEEP.replace(
            "weights: {text: 1}",
            f"weights: {{mine: 1}}, sources: {{mine: {{kind: file, settings: {{path: {pairs}}}}}}}",
        ).replace("{text: 20}", "{mine: 5}")
    )
    (home / "clusters.yaml").write_text(
        f"lab: {{address: 'http://127.0.0.1:9', shared: ['{home}']}}"
    )

    answer = rmsweep("submit", str(file), "--cluster", "lab")

    assert answer.code == 2
    assert f"data.sources.mine.settings.path: {pairs}" in answer.err


@pytest.mark.slow
@pytest.mark.cluster
def test_a_wrong_token_is_refused(head: RayHead, home: Path, file: Path) -> None:
    answer = submit(head, "f" * 64, home, file)

    assert answer.returncode == 2
    assert "did not accept this machine's token" in answer.stderr
    assert "ffff" not in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("workers: 4", "asks for 4 worker(s) with 1 CPU thread(s) each; the 1 machine(s)"),
        ("needs_gpu: true", "asks for GPUs (machine.needs_gpu), the 1 machine(s)"),
    ],
)
def test_what_no_machine_there_can_ever_hold_is_refused_before_it_is_sent(
    head: RayHead, home: Path, file: Path, machine: str, expected: str
) -> None:
    file.write_text(SWEEP.replace("  data: {", f"  machine: {{{machine}}}\n  data: {{"))
    await_machines(head, home)

    answer = submit(head, head.token, home, file)

    assert answer.returncode == 2
    assert expected in answer.stderr
    assert "grows: true" in answer.stderr


@pytest.mark.slow
@pytest.mark.cluster
def test_a_check_for_a_cluster_asks_its_head_what_it_has(
    head: RayHead, home: Path, file: Path
) -> None:
    await_machines(head, home)

    verb = ("-m", "sweep.cli.main", "check", str(file), "--json", "--cluster", head.address)
    answer = asked(head, home, *verb)

    assert answer.returncode == 0, answer.stderr
    estimate = json.loads(answer.stdout)["estimate"]
    assert (estimate["devices"], estimate["device"]) == (2, "cpu-core")
    two = estimate["makespan_hours"]["mid"]
    assert (
        json.loads(asked(head, home, *verb, "--devices", "1").stdout)["estimate"]["makespan_hours"][
            "mid"
        ]
        > 1.5 * two
    )


@pytest.mark.slow
@pytest.mark.cluster
def test_a_submission_whose_environment_cannot_be_made_tells_why_in_status(
    home: Path, head: RayHead
) -> None:
    home.mkdir()
    arms = [MadeArm(name="baseline", point={"head": "a"})]
    made = make_sweep(home, Recipe(arms=arms, items=10, finish=None))
    code = (
        "from infra.clusters import ClusterEntry; from sweep.execution.head import Head; "
        f"print(Head(ClusterEntry(address='{head.address}')).submit('unborn', "
        "{'pip': ['/nowhere/missing-1-py3-none-any.whl']}).submission_id)"
    )
    name = asked(head, home, "-c", code).stdout.strip()
    place = {"address": head.address, "submission": name}
    made.ledger.record_decision(made.sweep_id, SUBMITTED_KIND, place)
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        shown = asked(head, home, "-m", "sweep.cli.main", "status", "--json")
        note = json.loads(shown.stdout)["note"]
        if "before a driver came up" in note or time.monotonic() > deadline:
            break
        time.sleep(2)

    assert "the submission failed before a driver came up: runtime_env setup failed" in note
    assert "missing-1-py3-none-any.whl" in note


def shown_when(rmsweep: Command, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The sweep as soon as this holds of it, or when the time is up."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        shown: dict[str, Any] = json.loads(rmsweep("show", "submitted", "--json").out)
        if holds(shown) or time.monotonic() > deadline:
            return shown
        time.sleep(2)


@pytest.mark.slow
@pytest.mark.cluster
def test_a_submitted_sweep_runs_to_its_end_on_the_cluster(
    rmsweep: Command, file: Path, home: Path, head: RayHead
) -> None:
    answer = submit(head, head.token, home, file)
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    pending = json.loads(rmsweep("status", "submitted", "--json").out)
    shown = shown_when(rmsweep, lambda shown: shown["state"] not in ("pending", "running"))

    assert pending["trials_total"] == told["trials"] == told["to_train"] == 2
    assert shown["state"] == "succeeded"
    assert [trial["state"] for trial in shown["trials"]] == ["succeeded"] * 2
    assert head.token not in json.dumps(shown) + answer.stdout + answer.stderr


@pytest.mark.slow
@pytest.mark.cluster
def test_a_job_whose_folder_is_taken_away_goes_on(
    rmsweep: Command, file: Path, home: Path, head: RayHead
) -> None:
    file.write_text(SWEEP.replace("[1, 2]", "[1, 2, 3]").replace("pairs: 32", "pairs: 256"))
    answer = submit(head, head.token, home, file)
    assert answer.returncode == 0, answer.stderr
    shown_when(rmsweep, lambda shown: any(trial["step"] for trial in shown["trials"]))
    unpacked = head.folder / "session_latest" / "runtime_resources" / "working_dir_files"
    for folder in unpacked.iterdir():
        shutil.rmtree(folder, ignore_errors=True)

    shown = shown_when(rmsweep, lambda shown: shown["state"] not in ("pending", "running"))

    assert shown["state"] == "succeeded"
    assert [trial["attempts"] for trial in shown["trials"]] == [1, 1, 1]
