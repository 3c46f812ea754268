"""`RayWatch`: notices that Ray's own processes under this driver have died, and has it leave.

Without its raylet a driver waits inside Ray for ever, and without the control process Ray ends it
without a word to the ledger. So the main thread is taken out of Ray by a signal and leaves as from
any error; a main thread that Ray does not let go is given up after a while, lease released.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import psutil

from infra.errors import RmsweepError
from sweep.execution.interrupts import Interrupt

LOOK_SECONDS = 1.0
LEAVE_SECONDS = 90.0
"""What leaving in order may take: Ray is shut down, trials are closed, the rest is published."""


class RayWatch:
    """Has a driver leave its cluster when that dies; entered before the cluster is opened."""

    def __init__(
        self,
        interrupt: Interrupt,
        *,
        let_go: Callable[[], None] = lambda: None,
        leave_seconds: float = LEAVE_SECONDS,
    ) -> None:
        """Prepare.

        Args:
            interrupt: Takes the main thread out, wherever it is.
            let_go: Releases the sweep, when the main thread has not left in time.
            leave_seconds: How long it is waited for.
        """
        self.interrupt = interrupt
        self._let_go = let_go
        self._leave_seconds = leave_seconds
        self._done = threading.Event()
        self._left = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()

    @contextmanager
    def over(self, processes: Sequence[psutil.Process]) -> Iterator[None]:
        """Look after these processes inside the block; its caller ends them afterwards."""
        names = {process: process.name() for process in processes}
        if names:
            threading.Thread(
                target=self._look, args=(names,), name="ray-watch", daemon=True
            ).start()
        try:
            yield
        finally:
            self._done.set()

    def _look(self, names: Mapping[psutil.Process, str]) -> None:
        while not self._done.wait(LOOK_SECONDS):
            gone = next((name for process, name in names.items() if _is_gone(process)), None)
            if gone is None:
                continue
            error = RmsweepError(
                f"Ray failed under the sweep: its process {gone} on this machine died; run the "
                "command again to go on, nothing finished is lost"
            )
            self.interrupt.leave(error)
            if not self._left.wait(self._leave_seconds):
                self._give_up(error)
            return

    def _give_up(self, error: RmsweepError) -> None:
        with contextlib.suppress(RmsweepError):
            self._let_go()
        sys.stderr.write(f"error: {error}\n")
        sys.stderr.flush()
        os._exit(error.exit_code)


def _is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
