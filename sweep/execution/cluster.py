"""`Cluster`: the Ray cluster a sweep executes on, joined or started for this process alone.

A cluster that was joined is left as it was found. An embedded one belongs to this process: it has
its own address and its own token, and dies with the process, however that ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psutil
import ray
from ray._private import worker
from ray.tune.execution import class_cache

from infra.errors import InputError, RmsweepError
from sweep.execution.leaving import leaving_machines

START_ATTEMPTS = 3
"""The first start on a busy machine can fail while Ray's agents are still being imported."""
OBJECT_STORE_BYTES = 128 * 1024 * 1024
"""Only messages cross it; Ray would reserve 30 % of the memory."""
VITAL = frozenset({"raylet", "gcs_server"})
"""Names of Ray's processes that a cluster does not outlive."""

QUIET = {
    # Ray runs its workers at niceness 15: three times slower beside anything else.
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # How long Ray waits for its own processes: on a busy machine their imports take long.
    "RAY_gcs_server_port_wait_time_s": "120",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_agent_register_timeout_ms": "120000",
    # How long Ray's agents wait for a control process that died with its driver; 60 s by default.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "20",
    # Tune writes nothing for users, installs no signal handler, and forgets at once.
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "86400",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    # An actor ticks every second; one that does not end in this time is killed.
    "TUNE_FORCE_TRIAL_CLEANUP_S": "15",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What one machine of the cluster offers."""

    cpus: float
    gpus: float
    node_id: str = ""
    """Ray's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What there is to execute on."""

    embedded: bool
    """Nobody else uses it, and it never grows."""
    nodes: tuple[Node, ...]
    """Those that stay: none that is about to be taken away."""
    key: str = ""
    """Names it among all clusters; empty for an embedded one."""
    on_gpus: bool = False
    """Whether trials take GPUs; settled when it is joined, so that a cluster whose GPU machines are
    all gone waits for others instead of training on the CPUs of its head."""
    vital: tuple[psutil.Process, ...] = ()
    """Ray's own processes that this one has started, without which nothing goes on."""

    def now(self) -> Cluster:
        """The same cluster with the machines it has by now."""
        return replace(self, nodes=_nodes())

    @property
    def cpus(self) -> float:
        """CPUs of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)


@contextmanager
def open_cluster(*, address: str | None, cpus: int | None) -> Iterator[Cluster]:
    """Join the cluster at an address, or start one here that ends with the block.

    Raises:
        InputError: If no cluster answers at the address.
        RmsweepError: If none could be started here.
    """
    os.environ.update(QUIET)
    _silence()
    embedded = address is None and not ray.is_initialized()
    joined_here = address is not None and not ray.is_initialized()
    if joined_here:
        _join(str(address))
    vital = _start(cpus) if embedded else ()
    try:
        nodes = _nodes()
        key = "" if embedded else _cluster_key()
        on_gpus = any(node.gpus for node in nodes)
        yield Cluster(embedded=embedded, nodes=nodes, key=key, on_gpus=on_gpus, vital=vital)
    finally:
        if embedded or joined_here:
            ray.shutdown()  # of a joined cluster this only leaves it


def without_secrets() -> None:
    """Keep Tune from copying AWS keys into runtime environments, which Ray shows to everybody.

    Workers find credentials where they run: in their own environment or files.
    """
    secret = {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(secret)


def _join(address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"no Ray cluster answers at {address!r}: {error}; check the address and its token "
            "(RAY_AUTH_TOKEN), or leave the address out to run on this machine alone"
        ) from error


def _start(cpus: int | None) -> tuple[psutil.Process, ...]:
    """Start a cluster here; its raylet and its control process."""
    # A token of this process: other users share the loopback. Ray reads it once, so it stays; left
    # to itself Ray would write one to the home folder, and later commands would trip over it.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    attempt = 0
    while True:
        attempt += 1
        before = set(psutil.Process().children())
        try:
            # Without "local" a stale address file of an earlier cluster would be joined.
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=OBJECT_STORE_BYTES,
            )
        except Exception as error:
            ray.shutdown()
            _end_leftovers(before)
            if attempt == START_ATTEMPTS:
                raise RmsweepError(
                    f"Ray did not start on this machine in {START_ATTEMPTS} attempts: {error}"
                ) from error
            time.sleep(attempt)
        else:
            started = set(psutil.Process().children()) - before
            return tuple(process for process in started if process.name() in VITAL)


def _end_leftovers(before: set[psutil.Process]) -> None:
    """End what a failed start has left running: Ray forgets it, and it would slow the next one."""
    started = set(psutil.Process().children()) - before
    family = {process for child in started for process in (child, *_descendants(child))}
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(family, timeout=10)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _nodes() -> tuple[Node, ...]:
    leaving = leaving_machines()
    return tuple(
        Node(
            cpus=found["Resources"].get("CPU", 0.0),
            gpus=found["Resources"].get("GPU", 0.0),
            node_id=found["NodeID"],
        )
        for found in ray.nodes()
        if found["Alive"] and found["NodeID"] not in leaving
    )


def _cluster_key() -> str:
    return str(worker.global_worker.gcs_client.cluster_id.hex())


def _silence() -> None:
    """Keep Ray's talk off the user's terminal; what matters comes back as errors."""
    for name in ("ray", "ray.tune", "ray.train", "ray.air", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"ray(\.|$)")
    # What a cluster publishes of its errors Ray prints on standard output, among a command's JSON.
    worker.print_to_stdstream = lambda data, ignore_prefix: None
