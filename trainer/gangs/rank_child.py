"""A rank from the inside: set up the process, train, tell the parent; heavy imports come late.

Whatever goes wrong is told as data (a kind, a message, the traceback's text).
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

import infra.errors
from infra.errors import (
    BugTrial,
    CommunicationTrial,
    DataError,
    DataTrialFailure,
    DiskFullTrial,
    InputError,
    OutOfMemoryTrial,
    RmsweepError,
    StoreError,
    TrialFailure,
)
from infra.frozen import Frozen
from infra.object_store import OUTAGE_SECONDS, open_store
from trainer.config import TrainerConfig
from trainer.gangs.interfaces import interface_towards
from trainer.reporting import Answer, CheckpointReference, TrialOutcome, TrialReport

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")
_GANG_WORDS = ("connection closed by peer", "connection reset by peer", "gloo", "nccl", "timed out")


class GangPart(Frozen):
    """The ranks of a gang that live on one machine, and where all of them meet."""

    first: int
    """Its lowest rank."""
    count: int
    master_address: str
    master_port: int
    log_prefix: str
    """Where the logs of this attempt go in the store."""


class RankLaunch(Frozen):
    """What a child is told when it is started."""

    config: TrainerConfig
    store_uri: str
    identity: str
    resume_from: tuple[CheckpointReference, ...]
    """Newest first."""
    benchmarks_only: bool
    rank: int
    local_rank: int | None = None
    """Which of its machine's devices; the rank itself when absent."""
    master_address: str = "127.0.0.1"
    master_port: int
    log: str
    """File that takes everything printed."""
    deaf: bool = False
    """Whether SIGTERM is for the parent alone, who stops the training with a checkpoint."""
    environment: dict[str, str]


class RankFailure(Frozen):
    """Why a rank gave up."""

    error: str
    """Name of a class of `infra.errors`."""
    message: str
    traceback: str

    def to_error(self, rank: int) -> RmsweepError:
        """The error as the parent raises it; the traceback is a note on it."""
        kind = getattr(infra.errors, self.error, BugTrial)
        known = isinstance(kind, type) and issubclass(kind, RmsweepError)
        error = kind(self.message) if known else BugTrial(self.message)
        error.add_note(f"rank {rank}:\n{self.traceback}")
        return error


class RankMessage(Frozen):
    """One message of a rank: exactly one of the three, or nothing set for a quiet end."""

    report: TrialReport | None = None
    outcome: TrialOutcome | None = None
    failure: RankFailure | None = None


STOP_NOW = b"stop now"
"""Said by the parent between reports. It is no answer, so the next report still waits for its own;
on the wire it is not to be taken for one."""


class PipeReporter:
    """Reports to the parent and waits for its answer; ends the process when the parent is gone.

    A stop may come at any time and is kept beside the answers.
    """

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._stop = threading.Event()
        threading.Thread(target=self._listen, name="parent", daemon=True).start()

    def report(self, report: TrialReport) -> Answer:
        """Send a report; wait for what to do."""
        sys.stdout.write(f"{report.model_dump_json()}\n")
        self.say(RankMessage(report=report))
        return self._answers.get()

    def stop_asked(self) -> bool:
        """Whether the parent has said to stop without waiting for the next report."""
        return self._stop.is_set()

    def say(self, message: RankMessage) -> None:
        """Send anything."""
        self._line.send_bytes(message.model_dump_json().encode())

    def _listen(self) -> None:
        while True:
            try:
                heard = self._line.recv_bytes()
            except (EOFError, OSError):
                os._exit(3)  # nobody is left to report to
            if heard == STOP_NOW:
                self._stop.set()
            else:
                self._answers.put("stop" if heard == b"stop" else "continue")


def live(line: Connection, launch_json: str) -> None:
    """Body of a rank's process."""
    launch = RankLaunch.model_validate_json(launch_json)
    _settle(launch)
    reporter = PipeReporter(line)
    code = 0
    try:
        message = RankMessage(outcome=_work(launch, reporter))
    except BaseException as error:  # noqa: BLE001 -- the border where any failure becomes data
        traceback.print_exc()
        message = RankMessage(failure=to_failure(error))
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(OSError):
        reporter.say(message)
    # Without the vendors' farewells: a partner that is gone would make them wait.
    os._exit(code)


def to_failure(error: BaseException) -> RankFailure:
    """An exception as data, vendor errors translated."""
    text = "".join(traceback.format_exception(error))
    kind: type[RmsweepError]
    message = str(error)
    if isinstance(error, DataError):
        kind = DataTrialFailure
    elif isinstance(error, infra.errors.SpecError):
        kind = InputError
    elif isinstance(error, TrialFailure | InputError | StoreError):
        kind = type(error)
    else:
        kind, message = _translated(error)
    return RankFailure(error=kind.__name__, message=message, traceback=text)


def _translated(error: BaseException) -> tuple[type[RmsweepError], str]:
    said = f"{type(error).__name__}: {error}"
    lower = said.lower()
    if infra.errors.is_disk_full(error):
        return DiskFullTrial, full_disk(error)
    if isinstance(error, MemoryError) or any(words in lower for words in _MEMORY_WORDS):
        advice = "lower machine.micro_batch_pairs, raise machine.zero_stage or add workers"
        return OutOfMemoryTrial, f"the trial does not fit its devices; {advice}: {said[:500]}"
    if isinstance(error, RuntimeError) and any(words in lower for words in _GANG_WORDS):
        return CommunicationTrial, f"a rank vanished or a collective timed out: {said[:500]}"
    return BugTrial, said


def full_disk(error: BaseException) -> str:
    """What a full disk is told as."""
    return (
        f"no space is left on {socket.gethostname()}; free some: the trial is tried again after a "
        f"pause, from its last checkpoint ({type(error).__name__}: {str(error)[:300]})"
    )


def _settle(launch: RankLaunch) -> None:
    """This process as a rank: signals, output, environment, threads."""
    if launch.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    log = os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for stream, number in (("stdout", 1), ("stderr", 2)):
        setattr(sys, stream, os.fdopen(number, "w", buffering=1, closefd=False))
    machine = launch.config.machine
    local = launch.rank if launch.local_rank is None else launch.local_rank
    os.environ.update(launch.environment)
    os.environ.update(
        RANK=str(launch.rank),
        LOCAL_RANK=str(local),
        WORLD_SIZE=str(machine.workers),
        MASTER_ADDR=launch.master_address,
        MASTER_PORT=str(launch.master_port),
        OMP_NUM_THREADS=str(machine.threads),
    )
    if not Path("/dev/nvidiactl").exists():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    if machine.workers > 1 and "GLOO_SOCKET_IFNAME" not in os.environ:
        interface = interface_towards(launch.master_address, launch.master_port)
        if interface is not None:
            os.environ["GLOO_SOCKET_IFNAME"] = interface


def _work(launch: RankLaunch, reporter: PipeReporter) -> TrialOutcome:
    import torch

    from trainer.entrypoint import score_benchmarks, train_reward_model

    torch.set_num_threads(launch.config.machine.threads)
    store = open_store(launch.store_uri, outage_seconds=OUTAGE_SECONDS)
    if launch.benchmarks_only:
        return score_benchmarks(launch.config, store=store, identity=launch.identity)
    return train_reward_model(
        launch.config,
        store=store,
        identity=launch.identity,
        reporter=reporter,
        stop_asked=reporter.stop_asked,
        resume_from=launch.resume_from,
        scratch=Path(launch.log).parent,  # which whoever started this rank removes
    )
