"""A web server on loopback that keeps what it is sent, and misbehaves when told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

SECRET = "T0/B1/verysecret"


@dataclass
class Receiver:
    """A server that keeps what it was sent."""

    port: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Statuses of the next answers; 200 when there are none left, 0 for never."""
    hold: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> SecretStr:
        return SecretStr(f"http://127.0.0.1:{self.port}/services/{SECRET}?token={SECRET}")


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens within the block."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.paths.append(self.path)
            status = kept.answers.pop(0) if kept.answers else 200
            if status == 0:
                kept.hold.wait(30)
                return
            if status == 200:
                kept.messages.append(json.loads(body))
            self.send_response(status)
            self.send_header("Location", f"http://127.0.0.1:{kept.port}/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield kept
        kept.hold.set()
        server.shutdown()
        thread.join()
