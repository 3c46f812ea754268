"""A hub of data sets on the loopback: as much of its HTTP interface as reading a set asks for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_the-right-one"


@dataclass(frozen=True)
class HubSet:
    """The files of a data set by revision: a branch or tag."""

    revisions: Mapping[str, Mapping[str, bytes]]
    private: bool = False

    def commit(self, revision: str) -> str | None:
        """The commit a branch, tag or commit names."""
        commits = {name: hashlib.sha1(name.encode()).hexdigest() for name in self.revisions}
        return commits.get(revision) or (revision if revision in commits.values() else None)

    def files(self, commit: str) -> Mapping[str, bytes]:
        """By name."""
        return next(files for name, files in self.revisions.items() if self.commit(name) == commit)


@contextmanager
def hub_of(sets: Mapping[str, HubSet]) -> Iterator[str]:
    """The address of a hub that holds these data sets."""

    class Handler(_HubHandler):
        known = sets

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _HubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    known: Mapping[str, HubSet]

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def do_GET(self) -> None:
        """Any request: reading asks by HEAD and POST as well."""
        place = urlsplit(self.path)
        parts = [unquote(part) for part in place.path.strip("/").split("/")]
        asked = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        if parts[0] == "api":
            self._answer(parts[1:4], parts[4:], place.query, asked)
        else:
            self._answer(parts[:3], parts[3:], place.query, asked)

    do_HEAD = do_POST = do_GET  # noqa: N815 -- as above

    def _answer(self, name: list[str], rest: list[str], query: str, asked: str) -> None:
        found = self.known.get("/".join(name[1:])) if name[0] == "datasets" else None
        token = self.headers.get("authorization")
        commit = found.commit(rest[1] if len(rest) > 1 else "main") if found else None
        if found is None or (found.private and token != f"Bearer {TOKEN}"):
            self._send(401, b"{}", X_Error_Code="RepoNotFound")
        elif commit is None:
            self._send(404, b"{}", X_Error_Code="RevisionNotFound")
        elif rest[:1] == ["resolve"]:
            data = found.files(commit).get("/".join(rest[2:]))
            if data is None:
                self._send(404, b"{}", X_Error_Code="EntryNotFound")
            else:
                self._send(200, data, ETag=f'"{_sha1(data)}"', X_Repo_Commit=commit)
        else:
            told = _told("/".join(name[1:]), found, commit, rest, query, asked)
            self._send(200, json.dumps(told).encode(), Content_Type="application/json")

    def _send(self, code: int, data: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _told(name: str, found: HubSet, commit: str, rest: list[str], query: str, asked: str) -> object:
    """What is known of a data set, of a folder, or of some files."""
    files = found.files(commit)
    if rest[:1] == ["tree"]:
        return _entries(files, "/".join(rest[2:]), deep="recursive=true" in query.lower())
    if rest[:1] == ["paths-info"]:
        named = json.loads(asked)["paths"] if asked[:1] == "{" else parse_qs(asked)["paths"]
        return [_entry(path, files[path]) for path in named if path in files]
    date = "2026-01-01T00:00:00.000Z"
    siblings = [{"rfilename": path} for path in files]
    return {"_id": "1", "id": name, "sha": commit, "private": found.private, "gated": False,
            "disabled": False, "tags": [], "downloads": 0, "likes": 0, "lastModified": date,
            "createdAt": date, "siblings": siblings}  # fmt: skip


def _entries(files: Mapping[str, bytes], folder: str, *, deep: bool) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    base = f"{folder}/" if folder else ""
    for path, data in files.items():
        inside, _, below = path.removeprefix(base).partition("/")
        if path.startswith(base) and below:
            inner = f"{base}{inside}"
            found[inner] = {"type": "directory", "path": inner, "size": 0, "oid": "0" * 40}
        if path.startswith(base) and (deep or not below):
            found[path] = _entry(path, data)
    return list(found.values())


def _entry(path: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": len(data), "oid": _sha1(data)}


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
