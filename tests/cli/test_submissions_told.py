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
from sweep.cli.workplace import open_workplace
from sweep.execution.registration import register
from sweep.records.submissions import SUBMITTED_KIND
from tests.cli.conftest import Command

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
