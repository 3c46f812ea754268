"""`Head`: the job server of a cluster's head, and what it tells of the cluster.

What Ray raises is translated here; a wrong token and a silent head have words of their own.
"""

from __future__ import annotations

import logging
import os
import secrets
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient

from infra.clusters import ClusterEntry
from infra.errors import InputError, StoreError
from sweep.execution.supervising import RESUMING

ENDED = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED})
ANSWER_SECONDS = 120.0
ASK_SECONDS = 0.3
SILENT_SECONDS = (10.0, 60.0)
"""How long a head may take to be connected to, and be silent; Ray's client waits for ever."""
COMING_UP_SECONDS = 60.0
"""How long a head is waited for that answers and cannot run jobs yet."""
_COMING_UP = "No available agent"
"""In what Ray's job server says for some seconds after the start of a cluster."""
_UNKNOWN = "does not exist"
"""In what Ray's job server says of a job it does not have."""
_KIND = "accelerator_type:"
"""Begins the resource Ray gives a machine by the model of its GPUs."""
_OVERRIDES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What the cluster has accepted."""

    sweep_id: str
    submission_id: str
    """Ray's name for it."""
    address: str
    installs: tuple[str, ...] = ()
    """Packages with versions that Ray installs there first; none where the machines have all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine of a cluster, as its head has it."""

    name: str
    state: str
    cpus: float
    gpus: float
    gpu_kind: str
    """As Ray names it, such as `H100`; empty where it does not."""
    cpus_used: float | None
    """None where the head does not say."""
    gpus_used: float | None


class _Client(JobSubmissionClient):  # type: ignore[misc]  # Ray has no types
    """Ray's client, which gives up on a head that does not answer."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:  # noqa: ANN401
        return super()._do_request(method, endpoint, timeout=SILENT_SECONDS, **options)


class Head:
    """The job server of a cluster's head; what Ray raises is translated here."""

    def __init__(self, entry: ClusterEntry) -> None:
        """Connect.

        Raises:
            InputError: If the token is wrong or missing.
            StoreError: If nobody answers.
        """
        self.entry = entry
        for name in ("dashboard.modules.dashboard_sdk", "_private.runtime_env.packaging"):
            logging.getLogger(f"ray.{name}").setLevel(logging.ERROR)  # they set their own level
        with _as_addressed(), self._translated():
            self._client = _Client(entry.address)

    @property
    def ray_version(self) -> str:
        """The Ray that runs there, as it said when it was connected to."""
        return str(self._client._server_ray_version)

    @property
    def session(self) -> str:
        """Ray's name for this start of the cluster; another one may have other images."""
        with self._translated():
            answer = self._client._do_request("GET", "/api/version")
            answer.raise_for_status()
            return str(answer.json()["session_name"])

    def answer_of_python(self, code: str, *, seconds: float = ANSWER_SECONDS) -> str:
        """The last line a piece of Python prints, run there in the environment the head has.

        Raises:
            StoreError: If it fails, or takes longer.
        """
        name = self.start(
            entrypoint=f"python -c {shlex.quote(code)}", metadata={"rmsweep": "question"}
        )
        with self._translated():
            deadline = time.monotonic() + seconds
            while (state := self._client.get_job_status(name)) not in ENDED:
                if time.monotonic() > deadline:
                    self._client.stop_job(name)
                    raise StoreError(
                        f"the cluster at {self.entry.address} did not run a job within "
                        f"{seconds:.0f} s ({state.lower()})"
                    )
                time.sleep(ASK_SECONDS)
        said = self.log(name).strip().rpartition("\n")[2]
        if state is not JobStatus.SUCCEEDED:
            raise StoreError(f"a job that lists packages failed at {self.entry.address}: {said}")
        return said

    def submit(
        self, sweep_id: str, runtime_env: dict[str, Any], *, resuming: bool = False
    ) -> Submission:
        """Start the supervisor of a sweep there; `resuming` one that its ledger must know."""
        submission_id = f"{sweep_id}-{secrets.token_hex(3)}"
        self.start(
            entrypoint=f"python -m sweep.execution.supervising {sweep_id}"
            + (f" {RESUMING}" if resuming else ""),
            submission_id=submission_id,
            runtime_env=runtime_env,
            metadata={"rmsweep": "sweep", "sweep": sweep_id},
            entrypoint_num_cpus=self.entry.driver_cpus or None,
        )
        return Submission(
            sweep_id=sweep_id,
            submission_id=submission_id,
            address=self.entry.address,
            installs=tuple(runtime_env.get("pip", ())),
        )

    def start(self, **job: Any) -> str:  # noqa: ANN401 -- as Ray's `submit_job`
        """Start a job, and its name; a cluster that is just coming up is waited for.

        Raises:
            StoreError: If the head does not answer or refuses.
        """
        deadline = time.monotonic() + COMING_UP_SECONDS
        with self._translated():
            while True:
                try:
                    return str(self._client.submit_job(**job))
                except RuntimeError as error:
                    if _COMING_UP not in str(error) or time.monotonic() > deadline:
                        raise
                time.sleep(ASK_SECONDS)

    def standing(self, submission_id: str) -> tuple[JobStatus, str] | None:
        """How the job stands and what Ray says of it; None if this head knows nothing of it.

        A head that was started anew knows nothing of what was submitted to the one before.
        """
        with self._translated():
            try:
                told = self._client.get_job_info(submission_id)
            except RuntimeError as error:
                if _UNKNOWN in str(error):
                    return None
                raise
        return told.status, str(told.message or "").strip()

    def machines(self) -> tuple[Machine, ...]:
        """The cluster's living machines, the head first."""
        nodes = self.asked("/api/v0/nodes?detail=1")["result"]["result"]
        report = self.asked("/api/cluster_status")["clusterStatus"] or {}
        usage = report.get("loadMetricsReport", {}).get("usageByNode") or {}
        living = [node for node in nodes if node["state"] == "ALIVE"]
        living.sort(key=lambda node: (not node["is_head_node"], node["node_name"]))
        return tuple(_machine(node, usage.get(node["node_id"])) for node in living)

    def asked(self, path: str) -> dict[str, Any]:
        """What the dashboard answers at a path: the `data` of its JSON."""
        with self._translated():
            answer = self._client._do_request("GET", path)
            answer.raise_for_status()
            return dict(answer.json()["data"])

    def log(self, submission_id: str) -> str:
        """What supervisor and driver have written so far."""
        with self._translated():
            return str(self._client.get_job_logs(submission_id))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        address = self.entry.address
        try:
            yield
        except AuthenticationError as error:
            raise InputError(
                f"the cluster at {address} did not accept this machine's token; set "
                "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to the cluster's"
            ) from error
        except requests.exceptions.Timeout as error:
            raise StoreError(
                f"the Ray head at {address} is silent; it hangs, is overloaded, or something "
                "between drops what is sent"
            ) from error
        except (ConnectionError, requests.exceptions.RequestException) as error:
            if _is_of_certificate(error):
                raise StoreError(
                    f"nobody this machine trusts vouches for the certificate of {address}; for an "
                    "authority of your own set REQUESTS_CA_BUNDLE to the file with its certificate"
                ) from error
            raise StoreError(
                f"no Ray head answers at {address}; check the address, and that the dashboard's "
                "port is open to this machine"
            ) from error
        except RuntimeError as error:
            raise StoreError(f"the Ray head at {address} refused: {error}") from error


def _is_of_certificate(error: BaseException | None) -> bool:
    """Whether this, or what Ray's client made it of, is about a certificate."""
    while error is not None and not isinstance(error, requests.exceptions.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def _machine(node: Mapping[str, Any], usage: Mapping[str, Any] | None) -> Machine:
    total = node["resources_total"]

    def used(kind: str) -> float | None:
        return None if usage is None else float(usage.get(kind, (0.0, 0.0))[0])

    return Machine(
        name=f"{node['node_name']} (head)" if node["is_head_node"] else node["node_name"],
        state=node["state"].lower(),
        cpus=float(total.get("CPU", 0.0)),
        gpus=float(total.get("GPU", 0.0)),
        gpu_kind=next((n.removeprefix(_KIND) for n in total if n.startswith(_KIND)), ""),
        cpus_used=used("CPU"),
        gpus_used=used("GPU"),
    )


@contextmanager
def _as_addressed() -> Iterator[None]:
    """Ray lets two variables of the environment overrule the address a user gave."""
    kept = {name: os.environ.pop(name) for name in _OVERRIDES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
