"""A server on the loopback that answers S3 requests with what it was told, and counts them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answers:
    """What is answered to every request, and how often it was asked."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: int = 0
    last: tuple[str, dict[str, str]] = ("", {})
    """Target and headers of the last request."""
    address: str = ""

    def refuse(self, status: int, code: str, **headers: str) -> None:
        """Answer with an error of S3."""
        self.status = status
        text = f"<Error><Code>{code}</Code><Message>said so</Message></Error>"
        self.body = text.encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@contextmanager
def answering() -> Iterator[Answers]:
    """Start it; ended with the block."""
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            answers.asked += 1
            answers.last = (self.path, dict(self.headers))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(answers.status)
            for name, value in answers.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answers.body)))
            self.end_headers()
            self.wfile.write(answers.body)

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 -- http.server's names

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        answers.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield answers
        finally:
            server.shutdown()
            thread.join()
