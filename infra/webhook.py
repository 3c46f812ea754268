"""`Webhook`: small JSON messages to a web address, sent beside whatever else goes on.

Invariant: nobody waits for the receiver and nothing fails with it. The address is a secret - in
chats it is all one needs to write there - and stands in no message, log or error.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.request import HTTPRedirectHandler, Request

from pydantic import SecretStr

_log = logging.getLogger(__name__)
_WAITING = 100
"""Messages that may wait; a receiver that is down for longer loses the later ones."""
_TRIES = 3


class Webhook:
    """Sends messages in the order they were given, in a thread of its own."""

    def __init__(
        self, address: SecretStr, *, timeout_seconds: float = 5.0, pause_seconds: float = 2.0
    ) -> None:
        """Prepare; nothing is sent before `send`.

        Args:
            address: `http(s)://HOST/...`.
            timeout_seconds: What connecting or answering may take.
            pause_seconds: Before a message is tried again; doubled each time.
        """
        self._address = address
        self._timeout = timeout_seconds
        self._pause = pause_seconds
        self._messages: queue.Queue[Mapping[str, Any]] = queue.Queue(_WAITING)
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.undelivered = 0
        """Messages given up."""

    @property
    def shown(self) -> str:
        """The address as it may be shown: scheme and host."""
        parts = urllib.parse.urlsplit(self._address.get_secret_value())
        return f"{parts.scheme}://{parts.hostname}/***"

    def send(self, message: Mapping[str, Any]) -> None:
        """Have a message sent soon; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
            self._thread.start()
        try:
            self._messages.put_nowait(message)
        except queue.Full:
            self.undelivered += 1

    def close(self, timeout_seconds: float) -> bool:
        """Wait a while for what is under way, then stop; False if something was not delivered."""
        if self._thread is None:
            return True
        with self._messages.all_tasks_done:  # of a queue, what `join` waits for without an end
            done = self._messages.all_tasks_done.wait_for(
                lambda: not self._messages.unfinished_tasks, timeout_seconds
            )
        self._ending.set()
        if not done:
            _log.warning("the webhook at %s did not take every message in time", self.shown)
        return done and self.undelivered == 0

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                message = self._messages.get(timeout=0.2)
            except queue.Empty:
                continue
            self._deliver(message)
            self._messages.task_done()

    def _deliver(self, message: Mapping[str, Any]) -> None:
        pause = self._pause
        for left in range(_TRIES - 1, -1, -1):
            problem, again = self._post(message)
            if problem is None:
                return
            if not (left and again) or self._ending.wait(pause):
                self.undelivered += 1
                _log.warning("the webhook at %s took no message: %s", self.shown, problem)
                return
            pause *= 2

    def _post(self, message: Mapping[str, Any]) -> tuple[str | None, bool]:
        """What went wrong, if anything, and whether trying again may help."""
        try:
            request = Request(
                self._address.get_secret_value(),
                data=json.dumps(message, default=str).encode(),
                headers={"Content-Type": "application/json", "User-Agent": "rmsweep"},
                method="POST",
            )
            with _OPENER.open(request, timeout=self._timeout) as answer:
                answer.read(1000)
        except urllib.error.HTTPError as error:
            error.close()
            return f"it answered {error.code}", error.code >= 500 or error.code == 429
        except (OSError, ValueError) as error:
            # Only the kind is told: the text of some of these errors quotes the address.
            return type(getattr(error, "reason", error)).__name__, isinstance(error, OSError)
        except Exception as error:  # noqa: BLE001 -- a bug in telling must not end the sweep
            return type(error).__name__, False
        return None, False


class _NoRedirect(HTTPRedirectHandler):
    """A message goes where it was told to go, or nowhere."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


_OPENER = urllib.request.build_opener(_NoRedirect)
