"""A real head asked from outside its cluster: packages, logs, and what becomes of outages."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.clusters import ClusterEntry
from infra.errors import StoreError
from sweep.execution.head import Head
from tests.cli.laptop import LONGEST_SECONDS, asked, environment
from tests.execution.ray_head import RayHead, ray_head
from tests.relay import Relay


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with ray_head(cpus=2) as head:
        yield head


def test_nobody_at_the_address_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(StoreError, match=f"no Ray head answers at {address}"):
            Head(ClusterEntry(address=address))


def test_a_head_that_is_silent_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.execution.head.SILENT_SECONDS", (5.0, 0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(StoreError, match=f"the Ray head at {address} is silent"):
            Head(ClusterEntry(address=address))


@pytest.mark.slow
@pytest.mark.cluster
def test_a_head_is_asked_for_its_packages_once_and_nothing_is_installed_where_all_are_there(
    head: RayHead, tmp_path: Path
) -> None:
    code = f"""
import pathlib, platform
from infra.clusters import ClusterEntry
from sweep.execution.environment import FOLDER, Found, pins_for
from sweep.execution.head import Head
home = pathlib.Path({str(tmp_path)!r})
head = Head(ClusterEntry(address={head.address!r}, ledger="sqlite:////mnt/ledger.db"))
jobs = lambda: sum(job.metadata.get("rmsweep") == "question" for job in head._client.list_jobs())
assert pins_for(head, home) == [], "it has all of ours"
(kept,) = (home / FOLDER).iterdir()
found = Found.model_validate_json(kept.read_text())
assert found.python == platform.python_version() and "torch" in found.packages
assert pins_for(head, home) == [] and jobs() == 1, "asked once"
kept.write_text(found.model_dump_json()[:40])
assert pins_for(head, home) == [] and jobs() == 2, "asked again, since what was kept is damaged"
fewer = found.model_copy(update={{"packages": found.packages - {{"torch"}}}})
kept.write_text(fewer.model_dump_json())
assert any(pin.startswith("torch==") for pin in pins_for(head, home)) and jobs() == 2
"""
    answer = asked(head, tmp_path, "-c", code)

    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
@pytest.mark.cluster
def test_following_a_submission_goes_on_after_an_outage_of_the_way_to_its_head(
    head: RayHead, tmp_path: Path
) -> None:
    with Relay(int(head.address.rpartition(":")[2])) as relay:
        code = f"""
import sys
from infra.clusters import ClusterEntry
from sweep.cli.following import SubmissionFollower
from sweep.execution.head import Head, Submission
there = ClusterEntry(address={head.address!r})
spoken = "import time; print('one', flush=True); time.sleep(12); print('two', flush=True)"
name = Head(there).start(entrypoint=f'python -c "{{spoken}}"')
far = ClusterEntry(address="http://127.0.0.1:{relay.port}")
handed = Submission(sweep_id="s", submission_id=name, address=far.address)
sys.exit(SubmissionFollower(far, handed).follow())
"""
        following = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment(head, tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert following.stdout is not None
        heard = ""
        while heard != "one\n" and following.poll() is None:  # after what Ray says of the job
            heard = following.stdout.readline()
        relay.cut()
        time.sleep(6)
        relay.mend()
        said, complained = following.communicate(timeout=LONGEST_SECONDS)

    assert (heard + said).split() == ["one", "two"], complained
    assert following.returncode == 0
    assert complained.count("no Ray head answers") == 1
    assert "looking again" in complained


@pytest.mark.slow
@pytest.mark.cluster
def test_a_head_that_knows_nothing_of_a_submission_is_not_waited_for(
    head: RayHead, tmp_path: Path
) -> None:
    code = f"""
from infra.clusters import ClusterEntry
from sweep.cli.following import SubmissionFollower
from sweep.execution.head import Submission
there = ClusterEntry(address={head.address!r})
handed = Submission(sweep_id="lost-12345678", submission_id="of-old", address=there.address)
SubmissionFollower(there, handed).follow()
"""
    answer = asked(head, tmp_path, "-c", code)

    assert "was started anew and knows nothing of of-old" in answer.stderr
    assert f"`rmsweep resume lost-12345678 --cluster {head.address}`" in answer.stderr
