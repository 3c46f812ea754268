"""`PatientStore`: a store that is waited for while its service is away.

Only an outage is waited for; what the service refuses is refused at once. Every call may be made
again, since an object is replaced whole or not at all.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from infra.errors import OutageError
from infra.object_store import ObjectStore

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 15.0

T = TypeVar("T")


class PatientStore:
    """Another store, with calls made again for a while when its service does not answer."""

    def __init__(
        self,
        store: ObjectStore,
        outage_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Prepare.

        Args:
            store: Asked first and again.
            outage_seconds: How long a service that is away is waited for, per call.
            clock: Monotonic, in seconds.
            pause: Waits so many seconds.
            jitter: From 0 to 1, so that those who failed together do not come back together.
        """
        self._store = store
        self._outage = outage_seconds
        self._clock = clock
        self._pause = pause
        self._jitter = jitter

    @property
    def uri(self) -> str:
        """The other store's."""
        return self._store.uri

    def read(self, key: str) -> bytes:
        """The object's bytes."""
        return self._again(lambda: self._store.read(key))

    def write(self, key: str, data: bytes) -> None:
        """Put an object."""
        self._again(lambda: self._store.write(key, data))

    def exists(self, key: str) -> bool:
        """Whether the store holds this key."""
        return self._again(lambda: self._store.exists(key))

    def keys(self, prefix: str = "") -> list[str]:
        """All keys that start with the prefix, sorted."""
        return self._again(lambda: self._store.keys(prefix))

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._again(lambda: self._store.delete(key))

    def upload(self, path: Path, key: str) -> None:
        """Put a file's content under a key."""
        self._again(lambda: self._store.upload(path, key))

    def download(self, key: str, path: Path) -> None:
        """Write an object to a file."""
        self._again(lambda: self._store.download(key, path))

    def _again(self, call: Callable[[], T]) -> T:
        until = self._clock() + self._outage
        longest = FIRST_WAIT_SECONDS
        while True:
            try:
                return call()
            except OutageError as error:
                wait = max(longest * (0.5 + self._jitter() / 2), error.retry_after or 0.0)
                if self._clock() + wait > until:
                    raise
            self._pause(wait)
            longest = min(2 * longest, LONGEST_WAIT_SECONDS)
