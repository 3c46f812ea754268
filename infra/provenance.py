"""Where a result comes from: code, packages, interpreter, host; never a secret.

Only named facts are taken. The environment is not among them, and neither are values of options on
the command line, which may hold a token.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import importlib.metadata
import platform
import socket
import subprocess
from pathlib import Path

from infra.frozen import Frozen
from infra.settings import load_settings

PACKAGES = (
    "rmsweep",
    "torch",
    "transformers",
    "tokenizers",
    "deepspeed",
    "numpy",
    "pyarrow",
    "pillow",
    "pydantic",
    "ray",
    "mlflow",
    "optuna",
    "sqlalchemy",
)
"""Packages whose version can change a result or how it was obtained."""
_GIT_SECONDS = 10


class Provenance(Frozen):
    """Facts about the process that made a result."""

    commit: str | None
    """Commit of the project's checkout, or of the one its sources were sent from; absent when
    nobody knows it."""
    dirty_sha256: str | None
    """Digest of what differs from the commit, new files included; absent when nothing does."""
    packages: dict[str, str]
    """Installed version by package."""
    python: str
    platform: str
    host: str
    started: str
    """When it was taken, ISO 8601 in UTC."""

    @property
    def code(self) -> str:
        """`COMMIT`, or `COMMIT+SHA256` of what differs from it; empty when nobody knows it."""
        return "+".join(filter(None, (self.commit, self.dirty_sha256)))


def take_provenance(*, checkout: Path | None = None) -> Provenance:
    """The facts about this process, now.

    Args:
        checkout: Folder whose repository counts; when absent the one this module lies in, and
            without one what the machine's settings say it was sent from.

    Raises:
        SpecError: If those settings are wrong.
    """
    commit, dirty = _code(checkout or Path(__file__).resolve().parent)
    if commit is None and checkout is None:
        sent, _, changed = (load_settings().commit or "").partition("+")
        commit, dirty = sent or None, changed or None
    return Provenance(
        commit=commit,
        dirty_sha256=dirty,
        packages=_packages(),
        python=platform.python_version(),
        platform=platform.platform(),
        host=socket.gethostname(),
        started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )


@functools.cache
def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _code(folder: Path) -> tuple[str | None, str | None]:
    commit = _git(folder, "rev-parse", "HEAD")
    root = _git(folder, "rev-parse", "--show-toplevel")
    if commit is None or root is None:
        return None, None
    if _git(folder, "ls-files", "--error-unmatch", ".") is None:
        return None, None  # installed inside somebody else's repository, such as a `.venv`
    top = Path(root.decode().strip())
    difference = _git(top, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv") or b""
    new = _git(top, "ls-files", "--others", "--exclude-standard", "-z") or b""
    digest = hashlib.sha256(difference)
    for name in sorted(filter(None, new.split(b"\0"))):
        digest.update(b"\0" + name + b"\0" + _content(top / name.decode(errors="surrogateescape")))
    dirty = digest.hexdigest() if difference or new else None
    return commit.decode().strip(), dirty


def _content(path: Path) -> bytes:
    """Digest of a new file: its content must count, but need not be in memory at once."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b"unreadable"


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git says, or None when there is no git, no repository, or no answer in time."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            check=False,
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
