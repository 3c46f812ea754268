"""Gangs of ranks as killable children of this process, forked warm; imports no torch itself.

Nothing survives from one trial to the next, a rank that hangs in a collective can be killed, and a
rank whose parent dies ends itself. Reports, outcomes and failures cross the border as JSON, never
as pickled objects.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing import connection
from pathlib import Path

from infra.errors import CommunicationTrial, PreemptedTrial, RmsweepError
from infra.object_store import OUTAGE_SECONDS, open_store
from trainer.config import TrainerConfig
from trainer.gangs.log_courier import LogCourier
from trainer.gangs.rank_child import STOP_NOW, GangPart, RankLaunch, RankMessage
from trainer.gangs.rank_process import RankProcess
from trainer.reporting import Answer, CheckpointReference, TrialOutcome, TrialReport, TrialReporter

LAST_WORDS_SECONDS = 2.0
"""After one rank failed, how long the others may still say what they died of."""

KEPT_VARIABLES = ("RMSWEEP_", "AWS_")
"""Prefixes of what a rank inherits from this process's environment as it is now."""


class TrialProcess:
    """The ranks of one attempt at a trial that live on this machine: all of them, or a part."""

    def __init__(  # noqa: PLR0913 -- all by name
        self,
        config: TrainerConfig,
        *,
        store_uri: str,
        identity: str,
        resume_from: Sequence[CheckpointReference] = (),
        benchmarks_only: bool = False,
        part: GangPart | None = None,
        deaf: bool = False,
    ) -> None:
        """Fork the ranks, which ignore SIGTERM where they are `deaf`."""
        store = open_store(store_uri)
        self._logs = Path(tempfile.mkdtemp(prefix="rmsweep-logs-"))
        part = part or GangPart(
            first=0,
            count=1 if benchmarks_only else config.machine.workers,
            master_address="127.0.0.1",
            master_port=free_port(),
            log_prefix=next_log_prefix(store_uri, identity),
        )
        ranks = range(part.first, part.first + part.count)
        self._courier = LogCourier(
            store, part.log_prefix, [self._logs / f"rank-{rank}.txt" for rank in ranks]
        )
        self._leads = part.first == 0
        self._killed = False
        environment = {
            name: value for name, value in os.environ.items() if name.startswith(KEPT_VARIABLES)
        }
        self._ranks: list[RankProcess] = []
        for local, rank in enumerate(ranks):
            launch = RankLaunch(
                config=config,
                store_uri=store_uri,
                identity=identity,
                resume_from=tuple(resume_from),
                benchmarks_only=benchmarks_only,
                rank=rank,
                local_rank=local,
                master_address=part.master_address,
                master_port=part.master_port,
                log=str(self._logs / f"rank-{rank}.txt"),
                deaf=deaf,
                environment=environment,
            )
            try:
                self._ranks.append(RankProcess(launch))
            except CommunicationTrial:
                self._end()
                raise

    @property
    def pids(self) -> list[int]:
        """Process ids of the ranks."""
        return [rank.pid for rank in self._ranks if rank.pid is not None]

    def outcome(self, reporter: TrialReporter) -> TrialOutcome:
        """How it ended, once all its reports were answered by who listens.

        Raises:
            RmsweepError: As `messages`.
        """
        for message in self.messages():
            if isinstance(message, TrialOutcome):
                return message
            self.answer(reporter.report(message))
        raise AssertionError("messages() ends with an outcome or an error")

    def messages(self) -> Iterator[TrialReport | TrialOutcome]:
        """Reports, each to be answered before the next comes, then one outcome.

        A part without rank 0 says nothing and ends when its ranks have.

        Raises:
            TrialFailure: What killed the trial, with the rank's traceback as a note. Other
                deliberate errors of a rank (`InputError`, `StoreError`) are raised as themselves.
        """
        outcome = None
        waiting = {rank.connection: rank for rank in self._ranks}
        try:
            while waiting:
                for ready in connection.wait(list(waiting)):
                    rank = waiting[ready]  # type: ignore[index]
                    message = rank.receive()
                    if message is None or message.failure is not None:
                        raise self._cause(rank, message)
                    if message.report is not None:
                        yield message.report
                        continue
                    if rank.rank == 0:
                        outcome = message.outcome
                    del waiting[rank.connection]
        finally:
            self._end()
        if outcome is not None:
            yield outcome
        elif self._leads:
            raise CommunicationTrial("all ranks ended, but none said how the trial went")

    def answer(self, answer: Answer) -> None:
        """Answer the last report."""
        self._ranks[0].send(answer.encode())

    def stop(self) -> None:
        """Have the trial checkpoint after the step it is at and end; reports are answered as ever.

        It is asked of rank 0, which tells the others; a part without rank 0 has nobody to ask. A
        rank that has not begun to train finds it waiting.
        """
        if self._leads:
            self._ranks[0].send(STOP_NOW)

    def kill(self) -> None:
        """End every rank at once; `messages` then raises `PreemptedTrial`."""
        self._killed = True
        for rank in self._ranks:
            rank.kill()

    def _cause(self, first: RankProcess, message: RankMessage | None) -> RmsweepError:
        """The most telling of what the ranks died of: the others only saw a partner vanish."""
        if self._killed:
            return PreemptedTrial("the trial's ranks were killed on request")
        failures = {first.rank: message.failure if message is not None else None}
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        others = {rank.connection: rank for rank in self._ranks if rank is not first}
        while others and (left := deadline - time.monotonic()) > 0:
            for ready in connection.wait(list(others), timeout=left):
                rank = others.pop(ready)  # type: ignore[call-overload]
                said = rank.receive()
                failures[rank.rank] = said.failure if said is not None else None
        spoken = {rank: failure for rank, failure in failures.items() if failure is not None}
        telling = {r: f for r, f in spoken.items() if f.error != CommunicationTrial.__name__}
        vanished = [rank for rank, failure in failures.items() if failure is None]
        if vanished and not telling:
            return _death(next(rank for rank in self._ranks if rank.rank == vanished[0]))
        rank, failure = min((telling or spoken).items())
        return failure.to_error(rank)

    def _end(self) -> None:
        for rank in self._ranks:
            rank.end()
        self._courier.close()
        shutil.rmtree(self._logs, ignore_errors=True)


def run_trial(
    config: TrainerConfig,
    *,
    store_uri: str,
    identity: str,
    reporter: TrialReporter,
    resume_from: Sequence[CheckpointReference] = (),
) -> TrialOutcome:
    """Train one reward model in ranks of this machine and wait for it.

    Raises:
        RmsweepError: As `TrialProcess.messages`.
    """
    process = TrialProcess(config, store_uri=store_uri, identity=identity, resume_from=resume_from)
    try:
        return process.outcome(reporter)
    finally:
        process.kill()


def _death(rank: RankProcess) -> RmsweepError:
    code = rank.end()
    tail = ""
    if rank.log.is_file():
        tail = "\n".join(rank.log.read_text(errors="replace").splitlines()[-20:])
    if code == -15:
        error: RmsweepError = PreemptedTrial(f"rank {rank.rank} was told to terminate")
    elif code == -9:
        error = CommunicationTrial(
            f"rank {rank.rank} was killed (signal 9); when nobody did it, the machine ran out of "
            "memory: use fewer trials at once or a smaller machine.micro_batch_pairs"
        )
    else:
        error = CommunicationTrial(f"rank {rank.rank} ended without a word (exit code {code})")
    if tail:
        error.add_note(tail)
    return error


def next_log_prefix(store_uri: str, identity: str) -> str:
    """Where the logs of a new attempt go; a store that is away is waited for."""
    store = open_store(store_uri, outage_seconds=OUTAGE_SECONDS)
    prefix = f"trials/{identity}/logs/attempt-"
    numbers = [key.removeprefix(prefix).partition("/")[0] for key in store.keys(prefix)]
    return f"{prefix}{max((int(number) for number in numbers), default=0) + 1}/"


def free_port(address: str = "127.0.0.1") -> int:
    """A port nobody listens on at an address of this machine."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
