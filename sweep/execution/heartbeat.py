"""`Heartbeat`: says in the ledger that this driver lives, from a thread nothing else can hold up.

A driver that may have been taken over must not go on: `lost` is set as soon as the ledger says so,
or when no beat could be written for as long as the last one was good for.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from infra.errors import BusyError, StoreError
from sweep.records.ledger import Ledger
from sweep.records.rows import Holder

TTL_SECONDS = 30.0
"""How long a driver that gives no sign of life is waited for."""
BEAT_SECONDS = 5.0


class Heartbeat:
    """Beats until left; `lost` tells why another driver may be at work now."""

    def __init__(
        self,
        ledger: Ledger,
        holder: Holder,
        *,
        ttl: float = TTL_SECONDS,
        every: float = BEAT_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._holder = holder
        self._ttl = ttl
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self.lost: BusyError | StoreError | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(timeout=self._every)

    def _beat(self) -> None:
        good_until = time.monotonic() + self._ttl
        while not self._over.wait(self._every):
            began = time.monotonic()
            try:
                self._ledger.heartbeat(self._holder, self._ttl)
                good_until = began + self._ttl
            except BusyError as error:
                self.lost = error
                return
            except StoreError as error:
                if time.monotonic() > good_until:
                    self.lost = error
                    return
