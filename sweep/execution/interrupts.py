"""`Interrupt`: the first Ctrl-C or SIGTERM asks to end in order, the second ends at once."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

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

    def install(self) -> None:
        """Take the signals; once more after others, such as Ray's start, have taken them."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            previous = signal.signal(number, self._handle)
            self._before.setdefault(number, previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested and now - self._first > ECHO_SECONDS:
            raise KeyboardInterrupt
        self._first = self._first if self.requested else now
        self.requested = True
