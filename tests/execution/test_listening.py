"""What a listener makes of a gang, whatever the gang does."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import (
    BackboneError,
    CommunicationTrial,
    DamagedTrial,
    DataError,
    DiskFullError,
    DivergedTrial,
    OtherLayoutTrial,
    OutOfMemoryTrial,
    PreemptedTrial,
    StoreError,
)
from sweep.execution.listening import FAULT_LINES, GangListener, Message, to_fault
from sweep.execution.orders import TrialFault, TrialOrder
from tests.execution.scripted import launch_script, script
from trainer.config import TrainerConfig
from trainer.gangs.rank_child import to_failure
from trainer.reporting import Answer, TrialOutcome, TrialReport


def order_of(config: TrainerConfig, store: Path) -> TrialOrder:
    return TrialOrder(attempt=1, identity="a" * 64, config=config, store_uri=f"file:{store}")


def drain(listener: GangListener, answer: Answer = "continue") -> list[Message]:
    messages: list[Message] = []
    while not messages or isinstance(messages[-1], TrialReport):
        message = listener.next_message(5.0)
        assert message is not None
        messages.append(message)
        if isinstance(message, TrialReport):
            listener.answer(answer)
    return messages


def test_reports_come_in_order_and_the_outcome_comes_last(tmp_path: Path) -> None:
    listener = GangListener(order_of(script(steps=3), tmp_path), launch_script)

    *reports, outcome = drain(listener)

    assert [report.step for report in reports if isinstance(report, TrialReport)] == [1, 2, 3]
    assert isinstance(outcome, TrialOutcome)
    assert outcome.finished


def test_a_stopped_gang_ends_with_an_unfinished_outcome(tmp_path: Path) -> None:
    listener = GangListener(order_of(script(steps=9), tmp_path), launch_script)

    _, outcome = drain(listener, answer="stop")

    assert isinstance(outcome, TrialOutcome)
    assert (outcome.finished, outcome.step) == (False, 1)


def test_silence_is_none_and_not_an_error(tmp_path: Path) -> None:
    listener = GangListener(order_of(script(step_seconds=30), tmp_path), launch_script)

    assert listener.next_message(0.05) is None
    listener.kill()


def test_a_killed_gang_ends_with_a_fault(tmp_path: Path) -> None:
    listener = GangListener(order_of(script(step_seconds=30), tmp_path), launch_script)
    listener.next_message(0.2)

    listener.kill()

    assert isinstance(listener.next_message(5.0), TrialFault)


def test_a_gang_killed_while_it_is_launched_is_killed_once_it_is_there(tmp_path: Path) -> None:
    launching, killed = threading.Event(), threading.Event()

    class LateGang:
        def messages(self) -> Iterator[TrialReport | TrialOutcome]:
            killed.wait(5.0)
            yield from ()

        def answer(self, answer: Answer) -> None: ...

        def stop(self) -> None: ...

        def kill(self) -> None:
            killed.set()

    def launch(order: TrialOrder) -> LateGang:
        launching.set()
        time.sleep(0.2)
        return LateGang()

    listener = GangListener(order_of(script(), tmp_path), launch)
    launching.wait(5.0)
    listener.kill()

    fault = listener.next_message(5.0)
    assert killed.is_set()
    assert isinstance(fault, TrialFault)
    assert fault.kind == "communication"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(DivergedTrial("loss is nan"), "diverged", id="diverged"),
        pytest.param(OutOfMemoryTrial("too large"), "out_of_memory", id="out of memory"),
        pytest.param(PreemptedTrial("gone"), "preempted", id="preempted"),
        pytest.param(CommunicationTrial("rank 1"), "communication", id="communication"),
        pytest.param(DamagedTrial("step 7"), "damaged", id="no whole checkpoint"),
        pytest.param(OtherLayoutTrial("2 ranks"), "damaged", id="a checkpoint of other ranks"),
        pytest.param(DataError("no pairs"), "data", id="data"),
        pytest.param(BackboneError("no model"), "data", id="backbone"),
        pytest.param(StoreError("refused"), "communication", id="store"),
        pytest.param(MemoryError(), "out_of_memory", id="host memory"),
        pytest.param(KeyError("x"), "bug", id="anything else"),
    ],
)
def test_every_error_has_a_kind(error: Exception, kind: str) -> None:
    assert to_fault(error).kind == kind


def test_a_fault_starts_with_the_message_and_ends_with_the_last_lines_of_the_traceback() -> None:
    error = DivergedTrial("the loss was not finite at step 7")
    error.add_note("\n".join(f"line {number}" for number in range(100)))

    lines = to_fault(error).message.splitlines()

    assert lines[0] == "the loss was not finite at step 7"
    assert lines[-1] == "line 99"
    assert len(lines) == FAULT_LINES


def test_a_stop_reaches_the_gang_at_once_and_only_once_also_while_it_is_launched(
    tmp_path: Path,
) -> None:
    launching, go_on = threading.Event(), threading.Event()
    stops: list[str] = []

    class StoppableGang:
        def __init__(self) -> None:
            self._ended = threading.Event()

        def messages(self) -> Iterator[TrialReport | TrialOutcome]:
            assert self._ended.wait(5.0)
            yield TrialOutcome(finished=False, step=7, fraction=0.7, seconds=1.0, metrics={})

        def answer(self, answer: Answer) -> None: ...

        def stop(self) -> None:
            stops.append("stop")
            self._ended.set()

        def kill(self) -> None:
            self._ended.set()

    def launch(order: TrialOrder) -> StoppableGang:
        launching.set()
        assert go_on.wait(5.0)
        return StoppableGang()

    early = GangListener(order_of(script(), tmp_path), launch)
    assert launching.wait(5.0)
    early.stop()
    assert stops == []
    go_on.set()
    assert isinstance(early.next_message(5.0), TrialOutcome)
    early.stop()
    assert stops == ["stop"]

    running = GangListener(order_of(script(), tmp_path), launch)
    assert running.next_message(0.2) is None
    running.stop()
    running.stop()
    assert isinstance(running.next_message(5.0), TrialOutcome)
    assert stops == ["stop", "stop"]


def test_a_full_disk_is_named_with_its_machine_whoever_met_it() -> None:
    met = OSError(errno.ENOSPC, "No space left on device", "/tmp/x")
    by_a_library = RuntimeError("I/O error: No space left on device (os error 28)")

    for error in (met, by_a_library, StoreError("the store failed")):
        fault = to_fault(error)
        if isinstance(error, StoreError):
            assert fault.kind == "communication"
            continue
        assert fault.kind == "disk_full"
        assert fault.message.startswith(f"no space is left on {socket.gethostname()}; free some")
        assert to_failure(error).error == "DiskFullTrial"
    assert to_fault(DiskFullError("no space left while writing 'x'")).kind == "disk_full"
