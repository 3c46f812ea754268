"""`Interrupt`: the first Ctrl-C or SIGTERM asks to end in order, the second ends at once.

What another thread finds wrong ends the main thread at once too, even where it waits inside Ray.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

from infra.errors import RmsweepError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ECHO_SECONDS = 1.0
"""Signals this close together are one: Ray and terminals tell a whole family of processes, and a
supervisor passes on what it was told."""


class Interrupt:
    """Watches for signals while entered; outside the main thread it watches for nothing."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self.requested = False
        """Somebody wants the sweep to end in order."""
        self.error: RmsweepError | None = None
        """Why the main thread was ended at once, if that was not a second signal."""
        self._first = 0.0

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        if self.error is not None and kind is not None and issubclass(kind, KeyboardInterrupt):
            raise self.error from None

    def install(self) -> None:
        """Take the signals; once more after others, such as Ray's start, have taken them."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            previous = signal.signal(number, self._handle)
            self._before.setdefault(number, previous)

    def leave(self, error: RmsweepError) -> None:
        """Have the main thread leave at once and raise this error; said by another thread."""
        self.error = error
        main = threading.main_thread().ident
        if self._before and main is not None:
            signal.pthread_kill(main, signal.SIGTERM)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.error is not None:
            raise KeyboardInterrupt
        now = time.monotonic()
        if self.requested and now - self._first > ECHO_SECONDS:
            raise KeyboardInterrupt
        self._first = self._first if self.requested else now
        self.requested = True
