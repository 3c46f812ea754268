"""Where trials leave their files: the `ObjectStore` protocol and the local folder behind it.

Keys are `/`-separated relative names. A reader never sees half an object: writers write aside and
rename. Vendor errors become ours at this border.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from infra.errors import DiskFullError, InputError, MissingObjectError, StoreError


class ObjectStore(Protocol):
    """Bytes under keys. Implementations: `LocalStore` here, `S3Store` in `infra.s3_store`."""

    @property
    def uri(self) -> str:
        """The address `open_store` turns back into this store."""
        ...

    def read(self, key: str) -> bytes:
        """The object's bytes. Raises `MissingObjectError` naming the key."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Put an object, replacing it whole or not at all."""
        ...

    def exists(self, key: str) -> bool:
        """Whether the store holds this key."""
        ...

    def keys(self, prefix: str = "") -> list[str]:
        """All keys that start with the prefix, sorted."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; silent when there is none."""
        ...

    def upload(self, path: Path, key: str) -> None:
        """Put a file's content under a key."""
        ...

    def download(self, key: str, path: Path) -> None:
        """Write an object to a file, creating parent folders."""
        ...


def checked_key(key: str) -> str:
    """The key itself, refused if it could leave the store's root."""
    parts = PurePosixPath(key).parts
    if not key or key.startswith("/") or "\\" in key or ".." in parts or "\0" in key:
        raise InputError(f"object keys are relative names without '..', got {key!r}")
    return key


class LocalStore:
    """A folder as an object store."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()

    @property
    def uri(self) -> str:
        """`file:` and the absolute folder."""
        return f"file:{self.root}"

    def read(self, key: str) -> bytes:
        """The object's bytes."""
        with _translated(key):
            return self._path(key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        """Write aside, flush to disk, rename."""
        with self._aside(key) as aside, aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def exists(self, key: str) -> bool:
        """Whether the file is there."""
        return self._path(key).is_file()

    def keys(self, prefix: str = "") -> list[str]:
        """Sorted keys under a prefix; files being written are not listed."""
        base = self._path(prefix).parent if prefix else self.root
        found = []
        for path in base.rglob("*"):
            key = path.relative_to(self.root).as_posix()
            if key.startswith(prefix) and path.is_file() and not path.name.startswith(".aside-"):
                found.append(key)
        return sorted(found)

    def delete(self, key: str) -> None:
        """Remove the file if it is there."""
        self._path(key).unlink(missing_ok=True)

    def upload(self, path: Path, key: str) -> None:
        """Copy a file in, aside first."""
        with self._aside(key) as aside:
            shutil.copyfile(path, aside)

    def download(self, key: str, path: Path) -> None:
        """Copy an object out."""
        with _translated(key):
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._path(key), path)

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)

    @contextmanager
    def _aside(self, key: str) -> Iterator[Path]:
        target = self._path(key)
        aside = target.with_name(f".aside-{uuid.uuid4().hex}")
        with _translated(key):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield aside
                aside.replace(target)
            finally:
                aside.unlink(missing_ok=True)


def open_store(uri: str) -> ObjectStore:
    """The store behind `file:/folder`, a plain folder, or `s3://bucket/prefix`."""
    if uri.startswith("s3://"):
        from infra.s3_store import S3Store

        return S3Store(uri)
    scheme, separator, rest = uri.partition(":")
    if separator and scheme == "file":
        return LocalStore(Path(rest.removeprefix("//")))
    if separator and "/" not in scheme:
        raise InputError(f"storage must be file:FOLDER or s3://BUCKET/PREFIX, got {uri!r}")
    return LocalStore(Path(uri))


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise MissingObjectError(f"the store holds no object {key!r}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"no space left while writing {key!r}; free some and run the command again: "
                "nothing finished is lost"
            ) from error
        raise StoreError(f"the store failed on {key!r}: {error}") from error
