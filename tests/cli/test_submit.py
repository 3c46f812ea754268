"""Submitting a sweep to a real Ray head with a dashboard and a token, as a user does."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.object_store import open_store
from infra.provenance import take_provenance
from sweep.cli.planning import plan_file
from sweep.cli.workplace import open_workplace
from sweep.execution.sender import PACKAGES
from sweep.execution.submitting import source_folders, write_parcel
from sweep.execution.supervising import SWEEP_FILE
from sweep.records.submissions import SUBMITTED_KIND
from tests.analysis.made_sweeps import MadeArm, Recipe, make_sweep
from tests.cli.conftest import Command
from tests.cli.laptop import (
    LONGEST_SECONDS,
    SWEEP,
    asked,
    await_machines,
    shown_when,
    submit,
)
from tests.execution.ray_head import RayHead, ray_head
from trainer.record import read_record


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with ray_head(cpus=2) as head:
        yield head


@pytest.fixture
def file(home: Path, tmp_path: Path) -> Path:
    home.mkdir()
    file = tmp_path / "submitted.yaml"
    file.write_text(SWEEP)
    return file


def test_every_package_of_the_project_travels() -> None:
    assert [folder.name for folder in source_folders()] == list(PACKAGES)
    assert all((folder / "__init__.py").is_file() for folder in source_folders())


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
def test_a_sweep_runs_in_the_pinned_environment_that_ray_installs(
    rmsweep: Command, file: Path, home: Path, head: RayHead
) -> None:
    answer = submit(head, head.token, home, file, environment="pip")
    assert answer.returncode == 0, answer.stderr
    shown = shown_when(rmsweep, lambda shown: shown["state"] not in ("pending", "running"))

    assert any(pin.startswith("torch==") for pin in json.loads(answer.stdout)["installs"])
    assert shown["state"] == "succeeded"


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
    priced = told["estimate"]
    assert (priced["trials"], priced["devices"], priced["device"]) == (2, 2, "cpu-core")
    assert 0 < priced["device_hours"]["low"] <= priced["device_hours"]["high"]
    assert shown["state"] == "succeeded"
    assert [trial["state"] for trial in shown["trials"]] == ["succeeded"] * 2
    store = open_store(str(home / "store"))
    for trial in shown["trials"]:
        (attempt,) = read_record(store, trial["identity"]).attempts
        assert attempt.provenance.code == take_provenance().code != ""
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


@pytest.mark.slow
@pytest.mark.cluster
def test_a_sweep_that_was_stopped_goes_on_there_at_one_command_and_repeats_nothing(
    rmsweep: Command, file: Path, home: Path, head: RayHead
) -> None:
    longer = SWEEP.replace("[1, 2]", "[1, 2, 3, 4]").replace("pairs: 32", "pairs: 512")
    file.write_text(longer.replace("seeds: 1", "seeds: 2"))
    told = json.loads(submit(head, head.token, home, file).stdout)
    shown_when(rmsweep, lambda shown: any(t["state"] == "succeeded" for t in shown["trials"]))
    rmsweep("stop", told["sweep"])
    stopped = shown_when(rmsweep, lambda shown: shown["state"] == "stopped")
    done = {t["identity"]: t["attempts"] for t in stopped["trials"] if t["state"] == "succeeded"}

    again = "resume", told["sweep"], "--cluster", "lab", "--json"
    answer = asked(head, home, "-m", "sweep.cli.main", *again)
    assert answer.returncode == 0, answer.stderr
    shown = shown_when(rmsweep, lambda shown: shown["state"] == "succeeded")

    assert 0 < len(done) < 8
    resumed = json.loads(answer.stdout)
    assert (resumed["sweep"], resumed["to_train"]) == (told["sweep"], 8 - len(done))
    assert resumed["submission"] != told["submission"]
    assert shown["state"] == "succeeded"
    assert len(json.loads(rmsweep("ls", "--json").out)) == 1
    assert {t["identity"]: t["attempts"] for t in shown["trials"] if t["identity"] in done} == done
