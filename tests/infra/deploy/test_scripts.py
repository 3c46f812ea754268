"""Rendered scripts and Containerfiles: linted, and run for real as far as one machine goes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest

from infra.deploy.rendering import render, write
from tests.infra.deploy.layouts import LAYOUTS, made

BIN = Path(sysconfig.get_path("scripts"))
STUBS = {
    "scontrol": """#!/usr/bin/env bash
echo "$@" >>"$STUB_LOG"
[ "$1" = show ] && echo node-1 && echo node-2
exit 0
""",
    # One task of the step, on the first node: what symmetric-run would run there.
    "srun": """#!/usr/bin/env bash
echo "srun $*" >>"$STUB_LOG"
env | grep -E '^(RAY_|RMSWEEP_|PGPASSWORD)' | sort >"$STUB_LOG.env"
while [ "$1" != -- ]; do shift; done
shift
"$@"
""",
    # A sweep that checkpoints on SIGTERM, as the supervisor does.
    "rmsweep": """#!/usr/bin/env bash
echo "rmsweep $*" >>"$STUB_LOG"
trap 'echo noticed >>"$STUB_LOG"; sleep "${STUB_SECONDS:-0}"
      echo checkpointed >>"$STUB_LOG"; exit 130' TERM
echo started >>"$STUB_LOG"
[ -n "${STUB_CODE:-}" ] && exit "$STUB_CODE"
while :; do sleep 0.1; done
""",
}


def tool(name: str) -> str:
    found = shutil.which(name, path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed; `make setup` installs it")
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_scripts_pass_the_shells_own_check_and_shellcheck(name: str, tmp_path: Path) -> None:
    write(render(LAYOUTS[name]), tmp_path)
    scripts = [*tmp_path.rglob("*.sh"), *tmp_path.rglob("*.sbatch")]

    for script in scripts:
        subprocess.run(["bash", "-n", script], check=True)
    result = subprocess.run(
        [tool("shellcheck"), *scripts], capture_output=True, text=True, check=False
    )

    assert len(scripts) == 2 + len(LAYOUTS[name].teams)
    assert result.stdout == ""


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_containerfiles_pass_hadolint_and_copy_what_there_is(kind: str, tmp_path: Path) -> None:
    write(render(made()), tmp_path)
    path = tmp_path / "images" / f"Containerfile.{kind}"

    result = subprocess.run([tool("hadolint"), path], capture_output=True, text=True, check=False)

    assert result.stdout == ""
    lines = path.read_text().splitlines()
    root = Path(__file__).resolve().parents[3]
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line and "deploy/" not in line:
            assert all((root / name).exists() for name in line.split()[1:-1]), line
    # The last user is the one that containers run as.
    assert [line for line in lines if line.startswith("USER")] == ["USER 1000:1000"]


def test_made_secrets_are_random_private_and_stay(tmp_path: Path) -> None:
    write(render(made()), tmp_path)
    script = tmp_path / "compose" / "make-secrets.sh"

    first = subprocess.run([script], capture_output=True, text=True, check=True)
    made_once = {p.name: p.read_text() for p in (script.parent / "secrets").iterdir()}
    subprocess.run([script], capture_output=True, check=True)
    made_twice = {p.name: p.read_text() for p in (script.parent / "secrets").iterdir()}

    assert made_once == made_twice
    random = ("ray_token", "postgres_password", "mlflow_password", "s3_secret_key")
    values = {made_once[name] for name in random}
    assert len(values) == len(random)
    assert all(len(value) == 64 for value in values)
    for path in (script.parent / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not [value for value in values if value in first.stdout]
    identities = json.loads(made_once["s3_identities.json"])["identities"]
    assert identities[0]["credentials"][0]["secretKey"] == made_once["s3_secret_key"]
    assert f"admin_password = {made_once['mlflow_password']}" in made_once["mlflow_auth.ini"]
    assert "default_permission = NO_PERMISSIONS" in made_once["mlflow_auth.ini"]
    assert (script.parent / ".gitignore").read_text() == "secrets/\n"


def test_every_secret_of_the_compose_file_is_one_the_script_makes(tmp_path: Path) -> None:
    import yaml

    write(render(made()), tmp_path)
    folder = tmp_path / "compose"
    subprocess.run([folder / "make-secrets.sh"], capture_output=True, check=True)

    document = yaml.safe_load((folder / "compose.yaml").read_text())

    for secret in document["secrets"].values():
        assert (folder / secret["file"]).is_file()


def test_a_container_gets_its_secrets_from_files_and_no_other_variable(tmp_path: Path) -> None:
    write(render(made()), tmp_path)
    (tmp_path / "password").write_text("a 'quoted' $(id) word\n")
    entry = tmp_path / "images" / "with-secrets.sh"
    given = {
        "PATH": os.environ["PATH"],
        "PGPASSWORD_FILE": str(tmp_path / "password"),
        "LD_PRELOAD_FILE": str(tmp_path / "password"),
    }

    shown = subprocess.run(
        [entry, "env"], env=given, capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert "PGPASSWORD=a 'quoted' $(id) word" in shown
    assert not [line for line in shown if line.startswith(("PGPASSWORD_FILE", "LD_PRELOAD="))]


def test_a_secret_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    write(render(made()), tmp_path)

    result = subprocess.run(
        [tmp_path / "images" / "with-secrets.sh", "true"],
        env={"PATH": os.environ["PATH"], "PGPASSWORD_FILE": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 2
    assert "PGPASSWORD_FILE is" in result.stderr


class Job:
    """The batch script on a machine whose Slurm is a stub; everything else is real."""

    def __init__(self, folder: Path, *, code: str = "") -> None:
        stubs = folder / "env" / "bin"
        stubs.mkdir(parents=True)
        for name, text in STUBS.items():
            (stubs / name).write_text(text)
            (stubs / name).chmod(0o755)
        settings = {"home": str(folder / "home"), "environment": str(folder / "env"), "nodes": 2}
        write(render(made(slurm=settings)), folder)
        self.log = folder / "log"
        self.home = folder / "home"
        self.command = [str(folder / "slurm" / "research.sbatch"), "my sweep.yaml"]
        self.environment = {
            "PATH": f"{stubs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "SLURM_JOB_ID": "4711",
            "SLURM_JOB_NODELIST": "node-[1-2]",
            "SLURM_JOB_NUM_NODES": "2",
            "STUB_LOG": str(self.log),
            "STUB_CODE": code,
        }

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def said(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def test_a_batch_job_starts_ray_on_all_nodes_with_a_token_of_its_own(tmp_path: Path) -> None:
    job = Job(tmp_path, code="0")
    (job.home / "secrets").mkdir(parents=True)
    (job.home / "secrets" / "ledger.env").write_text("PGPASSWORD='hush hush'\n")
    (job.home / "secrets" / "ledger.env").chmod(0o600)

    process = job.start()
    output = process.communicate(timeout=60)[0]

    assert process.returncode == 0, output
    srun = next(line for line in job.said() if line.startswith("srun"))
    assert "ray symmetric-run --address node-1:24711 --min-nodes 2" in srun
    assert "rmsweep supervise my sweep.yaml" in job.said()
    environment = Path(f"{job.log}.env").read_text().splitlines()
    assert "PGPASSWORD=hush hush" in environment
    assert "RAY_AUTH_MODE=token" in environment
    assert f"RAY_AUTH_TOKEN_PATH={job.home}/jobs/4711/ray-token" in environment
    assert "hush" not in srun + output
    assert not (job.home / "jobs" / "4711").exists()
    assert "requeue 4711" not in job.said()


def test_a_failed_sweep_ends_its_job_with_the_sweeps_code(tmp_path: Path) -> None:
    process = Job(tmp_path, code="1").start()

    process.communicate(timeout=60)

    assert process.returncode == 1


def test_before_its_end_a_job_checkpoints_and_queues_itself_again(tmp_path: Path) -> None:
    job = Job(tmp_path)
    process = job.start()
    deadline = time.monotonic() + 60
    while "started" not in job.said() and time.monotonic() < deadline:
        time.sleep(0.1)

    process.send_signal(signal.SIGTERM)  # as --signal=B:TERM does: to the batch shell alone
    output = process.communicate(timeout=60)[0]

    assert process.returncode == 0, output
    assert job.said()[-2:] == ["checkpointed", "requeue 4711"]
    # The requeued job goes on with the same token.
    token = job.home / "jobs" / "4711" / "ray-token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) == 64


def test_a_second_signal_does_not_end_a_job_that_is_still_checkpointing(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.environment["STUB_SECONDS"] = "3"
    process = job.start()
    for said in ("started", "noticed"):
        deadline = time.monotonic() + 60
        while said not in job.said() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)  # for its preemption, and for the end of its time

    output = process.communicate(timeout=60)[0]

    assert process.returncode == 0, output
    assert job.said()[-2:] == ["checkpointed", "requeue 4711"]


def test_secrets_that_others_can_read_stop_a_job(tmp_path: Path) -> None:
    job = Job(tmp_path, code="0")
    (job.home / "secrets").mkdir(parents=True)
    (job.home / "secrets" / "ledger.env").write_text("PGPASSWORD=hush\n")
    (job.home / "secrets" / "ledger.env").chmod(0o644)

    process = job.start()
    output = process.communicate(timeout=60)[0]

    assert process.returncode == 2
    assert "can be read by others" in output
    assert job.said() == []
