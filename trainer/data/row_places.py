"""Where the rows of a source lie: a local file or folder, an S3 prefix, or the Hugging Face hub.

What is remote is brought to this machine once, under the machine's home folder; from there on all
places are alike. A place that has changed says so by another `state`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from infra.errors import DataError, MissingError
from infra.object_store import open_store
from infra.settings import load_settings
from trainer.data.randomness import key_digest
from trainer.data.row_files import FileFormat, format_of, read_rows

HUB = "hf://"
_HUB_NAME = re.compile(r"[^/\s]+/[^/\s]+|/.+")
S3 = "s3://"


class RowPlace(Protocol):
    """Rows, and the folder their image paths start from."""

    @property
    def folder(self) -> Path:
        """Where image paths start, before a source's own `image_folder`."""
        ...

    def state(self) -> str:
        """Names what lies here now; another text once a file has changed."""
        ...

    def rows(self) -> Iterator[object]:
        """The rows in order; none for one that cannot be read by itself."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """Which part of a hub data set is meant."""

    subset: str | None = None
    split: str = "train"
    revision: str | None = None


def open_place(
    path: str, *, file_format: FileFormat | None, pattern: str, hub: HubSettings
) -> RowPlace:
    """The place a path names.

    Args:
        path: A file or folder, `s3://BUCKET/KEY` (one object, or all below a prefix), or
            `hf://OWNER/NAME`.
        file_format: How files are read; told by their endings when absent.
        pattern: Which files of a folder are read.
        hub: Used with `hf://` only.

    Raises:
        MissingError: If there is nothing there.
        DataError: If a folder holds no file of rows.
    """
    if path.startswith(HUB):
        return _HubPlace(path.removeprefix(HUB), hub)
    local = _fetched(path) if path.startswith(S3) else Path(path).expanduser()
    if local.is_dir():
        files = [
            each
            for each in sorted(local.glob(pattern))
            if each.is_file() and (file_format or format_of(each))
        ]
        if not files:
            raise DataError(f"folder {path} has no file of rows that fits {pattern!r}")
        return _FilePlace(local, tuple(files), file_format)
    if not local.exists() and path.count("/") == 1 and not path.endswith(("jsonl", "parquet")):
        raise MissingError(
            f"file of pairs {path} does not exist; a data set of the hub is written {HUB}{path}"
        )
    return _FilePlace(local.parent, (local,), file_format)


@dataclass(frozen=True, slots=True)
class _FilePlace:
    folder: Path
    files: tuple[Path, ...]
    file_format: FileFormat | None

    def state(self) -> str:
        known = []
        for path in self.files:
            if not path.is_file():
                next(iter(read_rows(path, self.file_format)), None)  # says what is wrong
            found = path.stat()
            known.append((str(path.resolve()), found.st_mtime_ns, found.st_size))
        return key_digest("files", self.file_format or "", tuple(known))

    def rows(self) -> Iterator[object]:
        for path in self.files:
            yield from read_rows(path, self.file_format)


class _HubPlace:
    def __init__(self, name: str, hub: HubSettings) -> None:
        if not _HUB_NAME.fullmatch(name):
            raise DataError(f"expected a data set of the hub as {HUB}OWNER/NAME, got {HUB}{name}")
        self._name = name
        self._hub = hub
        self._loaded: Any = None

    @property
    def folder(self) -> Path:
        return Path()

    def state(self) -> str:
        return key_digest("hub", self._name, str(self._data()._fingerprint))

    def rows(self) -> Iterator[object]:
        import datasets

        data = self._data()
        # Bytes as they are, in lists as well: decoding is ours, under guard. Lazily, since a cast
        # of the whole would write it to the disk once more.
        stored = {name: _undecoded(feature) for name, feature in data.features.items()}
        yield from data.to_iterable_dataset().cast(datasets.Features(stored))

    def _data(self) -> Any:  # noqa: ANN401 -- a datasets.Dataset, imported only here
        if self._loaded is None:
            self._loaded = _load_hub(self._name, self._hub)
        return self._loaded


def _undecoded(feature: Any) -> Any:  # noqa: ANN401 -- a datasets feature, or a dict of some
    import datasets

    if isinstance(feature, datasets.Image):
        return datasets.Image(decode=False)
    if isinstance(feature, datasets.List | datasets.LargeList):
        return replace(feature, feature=_undecoded(feature.feature))
    if isinstance(feature, dict):
        return {name: _undecoded(each) for name, each in feature.items()}
    return feature


def _load_hub(name: str, hub: HubSettings) -> Any:  # noqa: ANN401 -- as above
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"reading {HUB}{name} needs the package `datasets`; install it, or give the path of a "
            "copy"
        ) from None
    try:
        return datasets.load_dataset(name, hub.subset, split=hub.split, revision=hub.revision)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise DataError(
            f"{HUB}{name} cannot be loaded: {error} For a private one set HF_TOKEN where it is read"
        ) from error
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"{HUB}{name}, split {hub.split!r}, cannot be loaded: {error}") from error


def _fetched(uri: str) -> Path:
    """The local copy of an object, or of everything below a prefix.

    An object is fetched once and kept: give changed data another name.
    """
    target = load_settings().home / "data" / "fetched" / key_digest(uri)[:16]
    bucket, _, key = uri.removeprefix(S3).rstrip("/").partition("/")
    store = open_store(f"{S3}{bucket}")
    found = [
        name for name in store.keys(key) if not key or name == key or name.startswith(f"{key}/")
    ]
    if not found:
        raise MissingError(f"there is no object at {uri}, nor any below it")
    for name in found:
        relative = Path(name).name if name == key else name[len(key) :].lstrip("/")
        if not (target / relative).is_file():
            store.download(name, target / relative)
    return target / Path(key).name if found == [key] else target
