"""A training that dies at a chosen moment of writing a checkpoint, without a word or a cleanup.

What it dies of is the kernel's: `SIGKILL` before or after an operation, `SIGXFSZ` in the middle of
a file. It runs in children of the server that ranks are forked from.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from infra.object_store import LocalStore
from tests.trainer.trials import Notebook
from trainer.config import TrainerConfig
from trainer.gangs.ranks import free_port
from trainer.reporting import CheckpointReference

When = Literal["before", "within", "after"]
DEATHS = {-signal.SIGKILL, -signal.SIGXFSZ}


@dataclass(frozen=True)
class Moment:
    """Of one operation on the store; a deletion has no middle."""

    operation: str
    """`upload`, `write` or `delete`, and the object's name below `checkpoints/`."""
    when: When
    rank: int = 0

    def __str__(self) -> str:
        return f"{self.when} {self.operation} on rank {self.rank}"


class DyingStore(LocalStore):
    """A local store whose process does not survive a moment of its work on checkpoints."""

    def __init__(self, root: Path, *, log: Path, moment: Moment | None) -> None:
        super().__init__(root)
        self._log = log
        self._moment = moment

    def write(self, key: str, data: bytes) -> None:
        """Put an object."""
        self._do("write", key, len(data), lambda: LocalStore.write(self, key, data))

    def upload(self, path: Path, key: str) -> None:
        """Put a file."""
        size = path.stat().st_size
        self._do("upload", key, size, lambda: LocalStore.upload(self, path, key))

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._do("delete", key, 0, lambda: LocalStore.delete(self, key))

    def _do(self, verb: str, key: str, size: int, work: Callable[[], None]) -> None:
        _, checkpoints, name = key.partition("/checkpoints/")
        if not checkpoints:
            work()
            return
        operation = f"{verb} {name}"
        with self._log.open("a") as log:
            log.write(f"{operation}\n")
        here = self._moment is not None and self._moment.operation == operation
        when = self._moment.when if self._moment is not None and here else None
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if when == "within":
            resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
        work()
        if when == "after":
            os.kill(os.getpid(), signal.SIGKILL)


def train_until(
    config: TrainerConfig,
    root: Path,
    *,
    log: Path,
    moment: Moment | None,
    resume_from: Sequence[CheckpointReference],
    stop_at: int,
) -> list[str]:
    """Train on in the ranks of one gang until one dies at the moment, or all stop at a step.

    Returns:
        Every operation on checkpoints, rank by rank, in their order.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["trainer.gangs.deaf", "trainer.gangs.warm"])
    port = free_port()
    ranks = range(config.machine.workers)
    told = [each.model_dump_json() for each in resume_from]
    logs = [log.with_suffix(f".{rank}") for rank in ranks]
    processes = [
        context.Process(
            target=_rank,
            args=(config.model_dump_json(), root, logs[rank], moment, told, stop_at, rank, port),
        )
        for rank in ranks
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    codes = [process.exitcode for process in processes]
    if moment is None:
        assert set(codes) == {0}
    else:
        assert codes[moment.rank] in DEATHS, f"{moment}: {codes}"
    return [line for each in logs if each.is_file() for line in each.read_text().splitlines()]


def _rank(  # noqa: PLR0917 -- what crosses to the child
    config_json: str,
    root: Path,
    log: Path,
    moment: Moment | None,
    told: list[str],
    stop_at: int,
    rank: int,
    port: int,
) -> None:
    import torch

    from trainer.entrypoint import train_reward_model

    torch.set_num_threads(1)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python would make an error of it
    config = TrainerConfig.model_validate_json(config_json)
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(config.machine.workers),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        DS_ACCELERATOR="cpu",
    )
    mine = moment if moment is not None and moment.rank == rank else None
    code = 1
    try:
        train_reward_model(
            config,
            store=DyingStore(root, log=log, moment=mine),
            identity="t",
            reporter=Notebook(stop=lambda report: report.step == stop_at),
            resume_from=[CheckpointReference.model_validate_json(each) for each in told],
        )
        code = 0
    finally:
        os._exit(code)  # a partner that is gone would be waited for in the vendors' farewells
