"""Where trials leave their files: the `ObjectStore` protocol and the local folder behind it.

Keys are `/`-separated relative names. A reader never sees half an object: writers write aside and
rename. Vendor errors become ours at this border.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Protocol

from infra.errors import (
    DiskFullError,
    InputError,
    MissingError,
    MissingObjectError,
    OutageError,
    StoreError,
    is_disk_full,
)

OUTAGE_SECONDS = 300.0
"""How long a training waits for a store that is away; after that it is lost from its checkpoint."""
UNFINISHED_SECONDS = 86_400.0
"""A file aside that nobody has touched for so long is not being written any more."""
_ASIDE = ".aside-"
"""Start of the names of files that are being written."""


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
    """The key itself, refused unless it is a plain relative name of one spelling."""
    path = PurePosixPath(key)
    plain = str(path) == key and not path.is_absolute() and key != "."
    if not plain or ".." in path.parts or "\\" in key or "\0" in key:
        raise InputError(
            f"object keys are relative names such as 'trials/a/model.bin', without '..', '.', '//' "
            f"or a slash at the end, got {key!r}"
        )
    if any(part.startswith(_ASIDE) for part in path.parts):
        raise InputError(f"names that start with {_ASIDE!r} are the store's own, got {key!r}")
    return key


class LocalStore:
    """A folder as an object store; links that lead out of the folder are not followed."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()

    @property
    def uri(self) -> str:
        """`file:` and the absolute folder."""
        return f"file:{self.root}"

    def read(self, key: str) -> bytes:
        """The object's bytes."""
        path = self._path(key)
        with _reading(key):
            return path.read_bytes()

    def write(self, key: str, data: bytes) -> None:
        """Write aside, flush to disk, rename."""
        with self._aside(key) as aside, aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def exists(self, key: str) -> bool:
        """Whether the file is there."""
        path = self._path(key)
        with translated(key):
            return path.is_file()

    def keys(self, prefix: str = "") -> list[str]:
        """Sorted keys under a prefix, looking only into folders that can hold some."""
        folder, _, start = prefix.rpartition("/")
        base = self._path(folder) if folder else self.root
        found: list[str] = []
        with translated(prefix):
            for where, folders, files in os.walk(base, onerror=_unless_missing):
                if where == str(base):
                    folders[:] = [name for name in folders if name.startswith(start)]
                    files = [name for name in files if name.startswith(start)]  # noqa: PLW2901
                parent = Path(where).relative_to(self.root)
                found += [
                    (parent / name).as_posix() for name in files if not name.startswith(_ASIDE)
                ]
        return sorted(found)

    def delete(self, key: str) -> None:
        """Remove the file if it is there."""
        path = self._path(key)
        with translated(key), suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            path.unlink()

    def upload(self, path: Path, key: str) -> None:
        """Copy a file in, aside first."""
        require_file(path)
        with self._aside(key) as aside:
            shutil.copyfile(path, aside)
            _flush(aside)

    def download(self, key: str, path: Path) -> None:
        """Copy an object out, aside first."""
        source = self._path(key)
        with translated(key):
            path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{_ASIDE}{uuid.uuid4().hex}")
        try:
            with _reading(key):
                shutil.copyfile(source, aside)
                aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        path = self.root / checked_key(key)
        # Only the folders count: a file is replaced by renaming, which does not follow links.
        folder = path.parent.resolve()
        if path.is_symlink() or not folder.is_relative_to(self.root.resolve()):
            raise InputError(f"{key!r} leads out of the store {self.root} through a link")
        return path

    @contextmanager
    def _aside(self, key: str) -> Iterator[Path]:
        target = self._path(key)
        aside = target.with_name(f"{_ASIDE}{uuid.uuid4().hex}")
        with translated(key):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield aside
                aside.replace(target)
            finally:
                aside.unlink(missing_ok=True)


def require_file(path: Path) -> None:
    """Raise `MissingError` unless a file to be uploaded is there."""
    if not path.is_file():
        raise MissingError(f"there is no file {path} to put into the store")


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Errors of the file system as ours."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(
                f"no space left while writing {key!r}; free some and run the command again: "
                "nothing finished is lost"
            ) from error
        raise StoreError(f"the store failed on {key!r}: {error}") from error


def require_writable(store: ObjectStore) -> None:
    """Raise unless objects can be put into the store and deleted again.

    A service that does not answer raises nothing: whoever trains waits for it.

    Raises:
        InputError: With what the store says.
        DiskFullError: If it is a folder without space.
    """
    key = f"tried-{uuid.uuid4().hex}"  # no folder of its own, which would stay
    try:
        store.write(key, b"")
        store.delete(key)
    except OutageError:
        return
    except DiskFullError:
        raise
    except StoreError as error:
        raise InputError(
            f"nothing can be kept at {store.uri}: {error}; name a place that can be written to"
        ) from error


def unfinished_files(store: ObjectStore) -> list[Path]:
    """Files that writers who died left half written in a folder, sorted.

    Of those who still write none is told, and none of S3, whose rules for a bucket drop them.
    """
    if not isinstance(store, LocalStore):
        return []
    dead = time.time() - UNFINISHED_SECONDS
    found = []
    with translated(""):
        for where, _, files in os.walk(store.root, onerror=_unless_missing):
            for path in (Path(where, name) for name in files if name.startswith(_ASIDE)):
                with suppress(FileNotFoundError):
                    if path.lstat().st_mtime < dead:
                        found.append(path)
    return sorted(found)


def open_store(uri: str, *, outage_seconds: float = 0.0) -> ObjectStore:
    """The store behind `file:/folder`, a plain folder, or `s3://bucket/prefix`.

    Args:
        uri: Its address.
        outage_seconds: How long a service that does not answer is waited for, at every call.
    """
    if uri.startswith("s3://"):
        from infra.patient_store import PatientStore
        from infra.s3_store import S3Store

        return PatientStore(S3Store(uri), outage_seconds) if outage_seconds else S3Store(uri)
    scheme, separator, rest = uri.partition(":")
    if separator and scheme == "file":
        return LocalStore(Path(rest.removeprefix("//")))
    if separator and "/" not in scheme:
        raise InputError(f"storage must be file:FOLDER or s3://BUCKET/PREFIX, got {uri!r}")
    return LocalStore(Path(uri))


@contextmanager
def _reading(key: str) -> Iterator[None]:
    with translated(key):
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise MissingObjectError(f"the store holds no object {key!r}") from error


def _unless_missing(error: OSError) -> None:
    """Folders may vanish while they are listed; anything else is a failure."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
