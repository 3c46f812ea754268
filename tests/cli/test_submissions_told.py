"""What is said of a submission without a cluster: another Ray on it, data only it sees."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import ray

from sweep.cli.planning import plan_file
from sweep.cli.workplace import Workplace, open_workplace
from sweep.engine.planning.plan import SweepPlan
from sweep.execution.registration import register
from sweep.records.rows import Holder
from sweep.records.submissions import GAVE_UP_KIND, SUBMITTED_KIND
from tests.cli.conftest import Command
from tests.infra.authority import Authority
from tests.relay import Relay

SWEEP = """\
name: submitted
baseline:
  backbone: {scale: xs}
  data: {pairs: 32, weights: {text: 1}}
  evaluation: {benchmarks: {validation: {split: validation, parts: {text: 20}}}}
replicates: {seeds: 1}
"""


@pytest.fixture
def file(home: Path, tmp_path: Path) -> Path:
    home.mkdir()
    file = tmp_path / "submitted.yaml"
    file.write_text(SWEEP)
    return file


@pytest.fixture
def older_head() -> Iterator[str]:
    """Address of what answers as a head of another Ray does."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            version = {
                "version": "4",
                "ray_version": "2.41.0",
                "ray_commit": "",
                "session_name": "",
            }
            body = json.dumps(version).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_another_ray_on_the_cluster_is_refused_with_both_versions(
    rmsweep: Command, file: Path, home: Path, older_head: str
) -> None:
    (home / "clusters.yaml").write_text(f"lab: {{address: '{older_head}', shared: ['{home}']}}")

    answer = rmsweep("submit", str(file), "--cluster", "lab")

    assert answer.code == 2
    assert f"the cluster runs Ray 2.41.0, this machine has {ray.__version__}" in answer.err
    assert "install ray==2.41.0 here" in answer.err


def test_a_head_behind_an_authority_of_ones_own_is_reached_by_the_variable_that_is_named(
    rmsweep: Command,
    file: Path,
    home: Path,
    tmp_path: Path,
    older_head: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    authority = Authority.made(tmp_path)
    with Relay(int(older_head.rpartition(":")[2]), authority=authority) as relay:
        sealed = f"{{address: 'https://127.0.0.1:{relay.port}', shared: ['{home}']}}"
        (home / "clusters.yaml").write_text(f"lab: {sealed}")
        refused = rmsweep("submit", str(file), "--cluster", "lab")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.root))
        reached = rmsweep("submit", str(file), "--cluster", "lab")

    assert refused.code == 1
    assert "set REQUESTS_CA_BUNDLE to the file" in refused.err
    assert reached.code == 2
    assert "the cluster runs Ray 2.41.0" in reached.err


def test_a_sweep_whose_data_only_the_cluster_sees_is_listed_before_its_trials_are_known(
    rmsweep: Command, file: Path, tmp_path: Path
) -> None:
    file.write_text(
        SWEEP.replace(
            "weights: {text: 1}",
            "weights: {theirs: 1}, sources: {theirs: {kind: file, settings: "
            "{path: /mnt/theirs/pairs.jsonl}}}",
        ).replace("{text: 20}", "{theirs: 5}")
    )
    workplace = open_workplace()
    plan, _ = plan_file(workplace, str(file), ())
    assert plan.pending
    register(plan, workplace.ledger, workplace.settings)
    workplace.ledger.record_decision(
        plan.sweep_id, SUBMITTED_KIND, {"address": "http://127.0.0.1:9", "submission": "s-1"}
    )

    status = rmsweep("status", "submitted", "--json")
    listed = json.loads(rmsweep("ls", "--json").out)
    shown = rmsweep("show", "submitted", "--json")

    assert (status.code, shown.code) == (0, 0), status.err + shown.err
    told = json.loads(status.out)
    assert told["state"] == "pending"
    assert "submitted to http://127.0.0.1:9 as s-1" in told["note"]
    assert [row["sweep"] for row in listed] == [plan.sweep_id]
    assert json.loads(shown.out)["trials"] == []


def registered(file: Path) -> tuple[Workplace, SweepPlan]:
    workplace = open_workplace()
    plan, _ = plan_file(workplace, str(file), ())
    register(plan, workplace.ledger, workplace.settings)
    return workplace, plan


def test_a_sweep_a_driver_has_is_not_handed_over_again(rmsweep: Command, file: Path) -> None:
    workplace, plan = registered(file)
    workplace.ledger.acquire_sweep(plan.sweep_id, Holder.here(), 60.0)

    answer = rmsweep("resume", "submitted", "--cluster", "http://127.0.0.1:9")

    assert answer.code == 2
    assert f"sweep {plan.sweep_id} is running already" in answer.err


def test_a_changed_file_gets_the_choices_of_a_local_resume(rmsweep: Command, file: Path) -> None:
    _, plan = registered(file)
    file.write_text(SWEEP.replace("pairs: 32", "pairs: 64"))

    answer = rmsweep("resume", str(file), "--cluster", "http://127.0.0.1:9")

    assert answer.code == 2
    assert f"is not the sweep {plan.sweep_id} any more" in answer.err
    assert "data.pairs: 32 -> 64" in answer.err


def test_a_file_whose_sweep_was_extended_is_refused_before_it_is_sent(
    rmsweep: Command, file: Path, home: Path, older_head: str
) -> None:
    (home / "clusters.yaml").write_text(f"lab: {{address: '{older_head}', shared: ['{home}']}}")
    registered(file)
    assert rmsweep("extend", "submitted", "--seeds", "2").code == 0

    for verb in ("submit", "resume"):
        answer = rmsweep(verb, str(file), "--cluster", "lab")

        assert answer.code == 2
        assert "was extended since this file" in answer.err


def test_a_ledger_that_is_not_the_clusters_is_named_where_it_lacks_the_sweep(
    rmsweep: Command, home: Path
) -> None:
    home.mkdir()
    entry = "{address: 'http://127.0.0.1:9', ledger: 'postgresql://rmsweep@db/rmsweep'}"
    (home / "clusters.yaml").write_text(f"lab: {entry}")

    answer = rmsweep("resume", "submitted", "--cluster", "lab")

    assert answer.code == 2
    assert "this machine's ledger is not the cluster's, postgresql://rmsweep@db/rmsweep" in (
        answer.err
    )


def test_a_sweep_whose_data_only_the_cluster_sees_is_handed_over_from_the_ledger(
    rmsweep: Command, file: Path, home: Path, tmp_path: Path, older_head: str
) -> None:
    data = tmp_path / "theirs" / "pairs.jsonl"
    rows = [{"prompt": f"q{n}", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(100)]
    data.parent.mkdir()
    data.write_text("\n".join(map(json.dumps, rows)))
    file.write_text(
        SWEEP.replace(
            "weights: {text: 1}",
            "weights: {theirs: 1}, sources: {theirs: {kind: file, settings: "
            f"{{path: {data}}}}}}}",
        ).replace("{text: 20}", "{theirs: 5}")
    )
    registered(file)
    data.unlink()
    entry = f"{{address: '{older_head}', shared: ['{home}', '{data.parent}']}}"
    (home / "clusters.yaml").write_text(f"lab: {entry}")

    answer = rmsweep("resume", "submitted", "--cluster", "lab")

    # All the way to the head, which is of another Ray.
    assert "the cluster runs Ray 2.41.0" in answer.err


def test_status_names_the_command_that_goes_on_with_a_submission_that_ended(
    rmsweep: Command, file: Path
) -> None:
    workplace, plan = registered(file)
    place = {"address": "http://127.0.0.1:9", "submission": "s-1"}
    workplace.ledger.record_decision(plan.sweep_id, SUBMITTED_KIND, place)
    workplace.ledger.record_decision(plan.sweep_id, GAVE_UP_KIND, {"reason": "no disk"})

    note = json.loads(rmsweep("status", "submitted", "--json").out)["note"]

    assert note == (
        f"its submission ended: no disk; `rmsweep resume {plan.sweep_id} "
        "--cluster http://127.0.0.1:9` goes on"
    )
