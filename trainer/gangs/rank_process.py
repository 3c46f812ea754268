"""`RankProcess`: one rank as a killable child of this process, forked from a warm server.

The server has imported torch, transformers and DeepSpeed, so only the first rank of a process waits
for that. A server that dies takes no rank with it, and one that dies under a request is started
again once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from multiprocessing import forkserver, get_context, spawn
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from infra.errors import CommunicationTrial
from trainer.gangs.rank_child import RankLaunch, RankMessage, live

SERVER_GONE = 255
"""What Python has as a rank's exit code when its server died first; the rank may be alive."""

_starting = threading.local()
_preparation_data = spawn.get_preparation_data


def _preparation_without_main(name: str) -> dict[str, Any]:
    """What a child is told to set up; a rank is not told to import our caller's main module."""
    data: dict[str, Any] = _preparation_data(name)
    if getattr(_starting, "rank", False):
        # In a Ray worker that import alone takes 3 s.
        data.pop("init_main_from_name", None)
        data.pop("init_main_from_path", None)
    return data


spawn.get_preparation_data = _preparation_without_main


class RankProcess:
    """One rank in a child of its own."""

    def __init__(self, launch: RankLaunch) -> None:
        """Fork it.

        Raises:
            CommunicationTrial: If its server dies twice.
        """
        self.rank = launch.rank
        self.log = Path(launch.log)
        context = get_context("forkserver")
        context.set_forkserver_preload(["trainer.gangs.deaf", "trainer.gangs.warm"])
        self.connection, theirs = context.Pipe()
        with theirs:
            self._process: ForkServerProcess = context.Process(
                target=live, args=(theirs, launch.model_dump_json()), daemon=True
            )
            _starting.rank = True
            try:
                self._fork()
            except (EOFError, OSError) as error:
                self.connection.close()
                raise CommunicationTrial(
                    f"rank {self.rank} could not be forked in two attempts "
                    f"({type(error).__name__}: {error}): its server was killed, or the machine is "
                    "out of memory or processes"
                ) from error
            finally:
                _starting.rank = False

    def _fork(self) -> None:
        try:
            self._process.start()
        except (EOFError, OSError):
            _end_server()
            self._process.start()

    @property
    def pid(self) -> int | None:
        """Process id."""
        return self._process.pid

    def receive(self) -> RankMessage | None:
        """The next message, or None when the rank is gone."""
        try:
            return RankMessage.model_validate_json(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None

    def send(self, words: bytes) -> None:
        """Say an answer, or to stop; silent when the rank is gone."""
        with contextlib.suppress(OSError):
            self.connection.send_bytes(words)

    def kill(self) -> None:
        """End it at once."""
        if self._process.is_alive():
            self._process.kill()
        elif self._process.exitcode == SERVER_GONE and self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def end(self) -> int | None:
        """Kill it if it still runs; returns its exit code."""
        self._process.join(timeout=0.5)
        self.kill()
        self._process.join(timeout=5.0)
        self.connection.close()
        return self._process.exitcode


def _end_server() -> None:
    """Make sure that the server is gone, so that the next rank gets another."""
    server: Any = forkserver._forkserver
    if server._forkserver_pid is not None:
        # Its ranks hold it open: asked to end, it would wait for them.
        with contextlib.suppress(ProcessLookupError):
            os.kill(server._forkserver_pid, signal.SIGKILL)
        server._stop()
