"""`train_here`: one training in the foreground of a terminal, into a folder, as its user sees it.

Invariant: what an earlier run into the same folder left is gone on from, and said so; Ctrl-C or
SIGTERM ends a run with a checkpoint, a second one ends it at once.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.errors import DamagedTrial, InputError, OtherLayoutTrial
from infra.object_store import LocalStore, require_writable
from trainer.config import TrainerConfig
from trainer.gangs.ranks import TrialProcess
from trainer.record import left_checkpoints
from trainer.reporting import CheckpointReference, TrialOutcome, TrialReporter

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ECHO_SECONDS = 1.0
"""Signals this close together are one: who ends a family of processes may tell each of them."""

Say = Callable[[str], None]
"""Takes a line for the user that is no report."""


def train_here(
    config: TrainerConfig,
    *,
    folder: Path,
    identity: str,
    reporter: TrialReporter,
    say: Say,
    anew: bool = False,
) -> TrialOutcome:
    """Train one reward model in ranks of this machine, from where an earlier run stopped.

    Args:
        config: What to train.
        folder: Laid out as a trial's part of an object store; made where it is missing.
        identity: Name of the trained weights; another training lies beside, never in the way.
        reporter: Listens.
        say: Told what an earlier run left, and that a signal came.
        anew: Whether to train from the beginning, whatever was left.

    Returns:
        How it ended; not `finished` where a signal stopped it, with a checkpoint.

    Raises:
        InputError: If the folder cannot be written to, if what an earlier run left was made in
            another layout, and as the training.
        KeyboardInterrupt: At the second signal.
        RmsweepError: As `TrialProcess.messages`.
    """
    store = LocalStore(folder)
    require_writable(store)
    left = () if anew else left_checkpoints(store, identity)
    if left:
        say(f"an earlier run left a checkpoint at step {left[0].step}: going on from there")
    try:
        return _train(config, store, identity, reporter, say, left)
    except OtherLayoutTrial as error:  # what was trained so far is not thrown away unasked
        raise InputError(str(error)) from error
    except DamagedTrial as error:
        say(f"{error}: done so")
        return _train(config, store, identity, reporter, say, ())


def _train(
    config: TrainerConfig,
    store: LocalStore,
    identity: str,
    reporter: TrialReporter,
    say: Say,
    left: Sequence[CheckpointReference],
) -> TrialOutcome:
    # Batch systems, service managers and `timeout` signal the whole process group.
    process = TrialProcess(
        config, store_uri=store.uri, identity=identity, resume_from=left, deaf=True
    )
    try:
        with _stopped_by_signals(process, say):
            return process.outcome(reporter)
    finally:
        process.kill()


@contextmanager
def _stopped_by_signals(process: TrialProcess, say: Say) -> Iterator[None]:
    """Outside the main thread, which alone hears signals, nothing is watched for."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first = 0.0

    def handle(number: int, frame: object) -> None:
        nonlocal first
        if first and time.monotonic() - first > ECHO_SECONDS:
            raise KeyboardInterrupt
        if not first:
            first = time.monotonic()
            say("stopping after this step, with a checkpoint; once more ends it at once")
            process.stop()

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
