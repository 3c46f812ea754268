"""`LogCourier`: carries what running ranks write into the store, where anybody may follow it.

Invariant: a log that cannot be carried never ends a training. What a reader finds is a whole
beginning of the log, at most `EVERY_SECONDS` old while the store keeps up.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from infra.errors import StoreError
from infra.object_store import ObjectStore
from infra.patient_store import PatientStore

EVERY_SECONDS = 5.0
"""Longest time between a line and its being in the store."""
REST = 20.0
"""A log is sent whole, so a long one is sent less often: after twenty times what it took."""


CLOSING_SECONDS = 60.0
"""How long the last words of an attempt wait for a store that is away; its end waits with them."""


class LogCourier:
    """Sends the logs of one part of a gang until closed."""

    def __init__(
        self,
        store: ObjectStore,
        prefix: str,
        logs: Sequence[Path],
        *,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        """Begin.

        Args:
            store: Where they go; one that is away is not waited for before the end.
            prefix: Start of their keys; the file's name follows.
            logs: Files that are, or will be, written to.
            every_seconds: Between two looks.
        """
        self._store: ObjectStore = store
        self._prefix = prefix
        self._logs = tuple(logs)
        self._every = every_seconds
        self._sent: dict[Path, int] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
        self._thread.start()

    def carry(self) -> None:
        """Send every log that has grown.

        Raises:
            StoreError: If the store refuses; what could not be sent is sent with the next.
        """
        with self._lock:
            for log in self._logs:
                size = log.stat().st_size if log.is_file() else -1
                if size > self._sent.get(log, -1):
                    self._store.upload(log, f"{self._prefix}{log.name}")
                    self._sent[log] = size

    def close(self) -> None:
        """Send what is left, now that nobody writes any more."""
        self._over.set()
        self._thread.join()
        self._store = PatientStore(self._store, CLOSING_SECONDS)
        with contextlib.suppress(StoreError):
            self.carry()

    def _run(self) -> None:
        wait = self._every
        while not self._over.wait(wait):
            began = time.monotonic()
            with contextlib.suppress(StoreError):
                self.carry()
            wait = max(self._every, REST * (time.monotonic() - began))
