"""`GangListener`: one running gang seen as a queue of messages that is never waited on for long.

A gang's messages block; an actor must not, or it could hear neither `stop` nor `end`. So a thread
waits for the gang, and the actor asks the listener, at most a second at a time. Whatever goes wrong
while launching or training becomes a `TrialFault`; nothing is raised.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Protocol

from infra.errors import (
    BugTrial,
    CommunicationTrial,
    DataTrialFailure,
    DiskFullError,
    DiskFullTrial,
    InputError,
    OutOfMemoryTrial,
    RmsweepError,
    StoreError,
    TrialFailure,
    is_disk_full,
)
from sweep.engine.fingerprints import is_own_frame
from sweep.execution.orders import TrialFault, TrialOrder
from trainer.gangs.rank_child import full_disk
from trainer.reporting import Answer, TrialOutcome, TrialReport

FAULT_LINES = 12
"""Lines of a traceback kept beside the message; the whole stays in the trial's logs."""

Message = TrialReport | TrialOutcome | TrialFault


class RunningGang(Protocol):
    """The ranks of one trial, as `trainer.gangs.ranks.TrialProcess` offers them."""

    def messages(self) -> Iterator[TrialReport | TrialOutcome]:
        """Reports, each to be answered, then one outcome. Raises a `TrialFailure`."""
        ...

    def answer(self, answer: Answer) -> None:
        """Answer the last report."""
        ...

    def stop(self) -> None:
        """Have it checkpoint and end at its next step, not only at its next report."""
        ...

    def kill(self) -> None:
        """End every rank."""
        ...


Launch = Callable[[TrialOrder], RunningGang]


def launch_gang(order: TrialOrder) -> RunningGang:
    """Start the ranks of an order, here and on the other machines of its gang."""
    if len(order.parts) > 1:
        from sweep.execution.spreading import SpreadGang

        return SpreadGang(order)
    from trainer.gangs.ranks import TrialProcess

    return TrialProcess(
        order.config,
        store_uri=order.store_uri,
        identity=order.identity,
        resume_from=order.resume_from,
        benchmarks_only=order.benchmarks_only,
    )


class GangListener:
    """Launches a gang in the background and hands out what it says."""

    def __init__(self, order: TrialOrder, launch: Launch) -> None:
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._gang: RunningGang | None = None
        self._stopped = False
        self._killed = False
        self._thread = threading.Thread(
            target=self._listen, args=(order, launch), name=f"gang-{order.attempt}", daemon=True
        )
        self._thread.start()

    def next_message(self, timeout_seconds: float) -> Message | None:
        """The next message, or None when none came in time."""
        try:
            return self._messages.get(timeout=timeout_seconds)
        except queue.Empty:
            return None

    def answer(self, answer: Answer) -> None:
        """Answer the last report; a gang that is already gone says so through its messages."""
        if self._gang is not None:
            with contextlib.suppress(OSError):
                self._gang.answer(answer)

    def stop(self) -> None:
        """Have the gang end at its next step, also one that is still being launched; said once."""
        with self._lock:
            said, self._stopped = self._stopped, True
            gang = self._gang
        if gang is not None and not said:
            gang.stop()

    def kill(self) -> None:
        """End every rank, also of a gang that is still being launched."""
        with self._lock:
            self._killed = True
            gang = self._gang
        if gang is not None:
            gang.kill()

    def _listen(self, order: TrialOrder, launch: Launch) -> None:
        try:
            self._messages.put(self._relay(order, launch))
        except Exception as error:  # noqa: BLE001 -- the border where any failure becomes data
            self._messages.put(to_fault(error))

    def _relay(self, order: TrialOrder, launch: Launch) -> Message:
        gang = launch(order)
        with self._lock:
            self._gang = gang
            stopped, killed = self._stopped, self._killed
        if stopped:
            gang.stop()
        if killed:
            gang.kill()
        for message in gang.messages():
            if isinstance(message, TrialOutcome):
                return message
            self._messages.put(message)
        return TrialFault(kind="communication", message="the ranks ended without an outcome")


def to_fault(error: BaseException) -> TrialFault:
    """An exception as data: its kind, its message, the last lines of its traceback."""
    if is_disk_full(error) and not isinstance(error, RmsweepError):
        error = DiskFullTrial(full_disk(error))
    if isinstance(error, RmsweepError):
        # The rank's traceback comes as a note.
        lines = [*str(error).splitlines(), *"\n".join(getattr(error, "__notes__", ())).splitlines()]
    else:
        lines = [f"{type(error).__name__}: {error}"]
        lines += "".join(traceback.format_exception(error)).splitlines()
    if len(lines) > FAULT_LINES:
        last = lines[1 - FAULT_LINES :]
        # Where our code failed says more than where a vendor's did, which may be far below.
        own = [line for line in lines[: -len(last)] if is_own_frame(line)]
        kept = [] if any(map(is_own_frame, last)) else own[-1:]
        lines = [lines[0], *kept, *last[len(kept) :]]
    return TrialFault(kind=_kind_of(error), message="\n".join(lines))


def _kind_of(error: BaseException) -> str:
    if isinstance(error, TrialFailure):
        return error.kind
    if isinstance(error, DiskFullError):
        return DiskFullTrial.kind
    if isinstance(error, StoreError):
        return CommunicationTrial.kind
    if isinstance(error, InputError):  # its source, its backbone, or settings of these
        return DataTrialFailure.kind
    return OutOfMemoryTrial.kind if isinstance(error, MemoryError) else BugTrial.kind
