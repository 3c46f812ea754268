"""`Devices`: how many devices a sweep may use now, of a cluster that changes and that others use.

Counted anew every few seconds: machines that come and go, that are about to be taken away, and
what other sweeps ask of the same cluster in the ledger.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sized

from sweep.engine.sharing import demand_of, owed, usable
from sweep.engine.view import SweepView
from sweep.execution.cluster import Cluster
from sweep.execution.heartbeat import TTL_SECONDS
from sweep.execution.leaving import leaving_machines
from sweep.execution.placement import device_count, gang_bundles
from sweep.records.ledger import Ledger
from sweep.records.rows import Holder
from trainer.config import MachineConfig

COUNT_SECONDS = 10.0
"""Between two looks at the machines of a cluster that may grow or shrink."""
LEAVING_SECONDS = 1.0
"""Between two looks for machines that leave: some clouds give notice of half a minute."""
ASK_SECONDS = 5.0
"""Between two looks at what other sweeps ask of the cluster."""


class Devices:
    """What one sweep may use; nothing before it has a cluster."""

    def __init__(self, ledger: Ledger, holder: Holder, machines: set[MachineConfig]) -> None:
        self.cluster: Cluster | None = None
        self.machines = machines
        """What the sweep's trials ask for."""
        self.leaving: frozenset[str] = frozenset()
        """Machines that are about to be taken away, by Ray's ids."""
        self.generation = 0
        """Goes up when machines are to leave or a gang has lost one: no actor is kept warm beyond
        it, since it may hold a place on a machine that goes or is gone."""
        self._ledger = ledger
        self._holder = holder
        self._share: int | None = None
        self._owed = 0
        self._next_count = self._next_leaving = self._next_ask = 0.0

    def use(self, cluster: Cluster) -> None:
        """Take the devices of this cluster from now on.

        Raises:
            InputError: If a gang cannot fit on it.
        """
        for machine in self.machines:
            gang_bundles(machine, cluster)
        self.cluster = cluster

    @property
    def shared(self) -> bool:
        """Whether others may use the cluster too, and machines come and go."""
        return self.cluster is not None and not self.cluster.embedded

    def look(self) -> None:
        """See which machines there are and which of them leave."""
        if self.cluster is None or not self.shared:
            return
        now = time.monotonic()
        if now >= self._next_leaving:
            self._next_leaving = now + LEAVING_SECONDS
            leaving = leaving_machines()
            if leaving != self.leaving:
                self.generation += not leaving <= self.leaving
                self.leaving = leaving
                self._next_count = now
        if now >= self._next_count:
            self._next_count = now + COUNT_SECONDS
            self.cluster = self.cluster.now()

    def ask(self, view: SweepView) -> None:
        """Say what the sweep could use, and learn its part of what there is."""
        if self.cluster is None or not self.shared or time.monotonic() < self._next_ask:
            return
        self._next_ask = time.monotonic() + ASK_SECONDS
        total = int(self.cluster.gpus if self.cluster.on_gpus else self.cluster.cpus)
        slots = self._slots
        mine = demand_of(view, slots=slots, at_most=total)
        asked = self._ledger.ask(self.cluster.key, mine, self._holder, TTL_SECONDS)
        self._share = usable(total, asked)[view.sweep_id] // slots
        self._owed = math.ceil(owed(total, asked)[view.sweep_id] / slots)

    @property
    def owed(self) -> int:
        """Devices in use that sweeps of higher priority wait for."""
        return self._owed

    def count(self, waiting: Sized, held: float) -> int:
        """Devices the sweep may use, busy ones included.

        Args:
            waiting: Gangs that have waited for their devices for long; others have the rest then,
                and further claims would only be charged for waiting behind them.
            held: Devices of all its gangs.
        """
        if self.cluster is None:
            return 0  # nothing is decided without a cluster but how a finished sweep ends
        everything = device_count(self.machines, self.cluster)
        if self._share is not None:
            everything = min(everything, self._share)
        return min(everything, math.ceil(held)) if waiting else everything

    @property
    def _slots(self) -> int:
        """Slots of the cluster one worker takes."""
        assert self.cluster is not None
        if self.cluster.on_gpus:
            return 1
        return max((machine.threads for machine in self.machines), default=1)
