"""A machine that is about to be taken away: who says so, and who is told.

`python -m sweep.execution.leaving --seconds N` runs on that machine, wherever its notice arrives:
a pod's `preStop`, a unit's `ExecStop`, a cloud's hook. Ray then places nothing more on it, drivers
have what runs there checkpoint at its next step and go on elsewhere, and the raylet ends itself
once nothing is left. It returns when that has happened, or when the time is over.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from ray._private import services, state
from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled
from ray.core.generated.autoscaler_pb2 import DrainNodeReason

from infra.errors import InputError, RmsweepError, StoreError

LOOK_SECONDS = 0.5


def leaving_machines() -> frozenset[str]:
    """Ray's ids of the machines this cluster is told to be without soon."""
    return frozenset(state.state.get_draining_nodes())


def announce(address: str, node: str, *, seconds: float) -> None:
    """Tell the cluster that it will be without a machine in so many seconds.

    Raises:
        StoreError: If the cluster refuses, which it does for its head.
    """
    accepted, why = GcsClient(address=address).drain_node(
        node,
        DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"),
        "the machine is taken away",
        int(1000 * (time.time() + seconds)),
    )
    if not accepted:
        raise StoreError(f"the cluster at {address} keeps the machine {node}: {why}")


def is_there(address: str, node: str) -> bool:
    """Whether the cluster still has the machine."""
    known = state.GlobalState()
    known._initialize_global_state(services._get_gcs_client_options(address))
    return any(found["NodeID"] == node and found["Alive"] for found in known.node_table())


def leave(address: str, node: str, *, seconds: float) -> bool:
    """Announce it and wait; whether nothing was left running when the time was over."""
    until = time.monotonic() + seconds
    announce(address, node, seconds=seconds)
    while is_there(address, node):
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Take this machine out of its cluster; 0 when nothing was left running on it."""
    parser = argparse.ArgumentParser(
        prog="python -m sweep.execution.leaving",
        description="Have what trains on this machine checkpoint and go on elsewhere.",
    )
    parser.add_argument("--seconds", type=float, required=True, help="until it is taken away")
    parser.add_argument("--address", default=os.environ.get("RAY_ADDRESS", ""), help="HOST:PORT")
    parser.add_argument("--node", default="", help="Ray's id, where one machine has several")
    asked = parser.parse_args(arguments)
    try:
        gone = leave(*_found(asked.address, asked.node), seconds=asked.seconds)
    except RmsweepError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write("nothing runs here any more\n" if gone else "the time is over\n")
    return 0 if gone else 1


def _found(address: str, node: str) -> tuple[str, str]:
    """The cluster's address and this machine's id, from the raylet that runs here."""
    nodes = {node} if node else set(services.find_node_ids())
    addresses = {address} if address else set(services.find_gcs_addresses())
    if len(nodes) != 1 or len(addresses) != 1:
        raise InputError(
            f"expected one raylet on this machine, found {len(nodes)} of {len(addresses)} "
            "clusters; say which with --node and --address"
        )
    return addresses.pop(), nodes.pop()


if __name__ == "__main__":
    sys.exit(main())
