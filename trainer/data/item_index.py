"""`ItemIndex`: the items of a source as Arrow rows, in memory while small, else on disk.

A large source is read, checked and decoded once per machine; after that every process maps the
same file, and an item is made when it is asked for. Nothing of a row is kept but its place; pages
of the file are the kernel's to take back.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa

from infra.object_store import translated
from trainer.data.images import EncodedImage, FileImage
from trainer.data.items import PreferenceItem, Response

IN_MEMORY_BYTES = 64 * 2**20
"""Indexes that are larger go to disk."""
_BATCH_ROWS = 512
_BATCH_BYTES = 16 * 2**20

_SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("prompt", pa.large_string()),
        (
            "responses",
            pa.list_(
                pa.struct(
                    [
                        ("text", pa.large_string()),
                        ("rank", pa.int32()),
                        ("critique", pa.large_string()),
                    ]
                )
            ),
        ),
        (
            "images",
            pa.list_(
                pa.struct(
                    [("path", pa.string()), ("sha256", pa.string()), ("data", pa.large_binary())]
                )
            ),
        ),
        ("category", pa.string()),
        ("margin", pa.float64()),
        ("soft_label", pa.float64()),
        ("label_weight", pa.float64()),
        ("content", pa.string()),
    ]
)


class IndexWriter:
    """Takes rows and gives an index; nothing stands in `folder` until it is whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aside = folder.with_name(f"{folder.name}.aside-{uuid.uuid4().hex}")
        self._waiting: list[Mapping[str, Any]] = []
        self._waiting_bytes = 0
        self._batches: list[pa.RecordBatch] = []
        self._bytes = 0
        self._writer: pa.RecordBatchFileWriter | None = None

    def add(self, row: Mapping[str, Any], size: int) -> None:
        """Take one row, of about so many bytes."""
        self._waiting.append(row)
        self._waiting_bytes += size
        if len(self._waiting) >= _BATCH_ROWS or self._waiting_bytes >= _BATCH_BYTES:
            self._flush()

    def finish(
        self, groups: Sequence[str], report: Mapping[str, Any], *, variant: str = ""
    ) -> ItemIndex:
        """The index of all rows so far.

        Args:
            groups: Of every row; an empty one leaves its row out.
            report: Kept beside the rows.
            variant: Appended to the folder's name.

        Raises:
            DiskFullError: If there is no room for it.
        """
        self._flush()
        columns = pa.table({"group": pa.array(groups, pa.string())}).replace_schema_metadata(
            {"report": json.dumps(report)}
        )
        if self._writer is None:
            return ItemIndex(self._batches, columns, on_disk=False)
        target = self._folder.with_name(f"{self._folder.name}{variant}")
        with translated(str(target)):
            self._writer.close()
            with pa.ipc.new_file(str(self._aside / "groups.arrow"), columns.schema) as writer:
                writer.write_table(columns)
            with suppress(OSError):  # another process was first, with the same
                self._aside.rename(target)
        self.discard()
        return open_index(target)

    def discard(self) -> None:
        """Remove what has been written aside."""
        shutil.rmtree(self._aside, ignore_errors=True)

    def _flush(self) -> None:
        if not self._waiting:
            return
        batch = pa.RecordBatch.from_pylist(self._waiting, schema=_SCHEMA)
        self._waiting, self._waiting_bytes = [], 0
        self._bytes += batch.nbytes
        if self._writer is None and self._bytes > IN_MEMORY_BYTES:
            with translated(str(self._folder)):
                self._aside.mkdir(parents=True)
                self._writer = pa.ipc.new_file(str(self._aside / "items.arrow"), _SCHEMA)
            for each in self._batches:
                self._write(each)
            self._batches = []
        if self._writer is None:
            self._batches.append(batch)
        else:
            self._write(batch)

    def _write(self, batch: pa.RecordBatch) -> None:
        with translated(str(self._folder)):
            self._writer.write_batch(batch)  # type: ignore[union-attr]


def open_index(folder: Path) -> ItemIndex:
    """A finished index, mapped into memory and read where it is looked at."""
    reader = pa.ipc.open_file(pa.memory_map(str(folder / "items.arrow")))
    batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
    columns = pa.ipc.open_file(pa.memory_map(str(folder / "groups.arrow"))).read_all()
    return ItemIndex(batches, columns, on_disk=True)


@dataclass(frozen=True, slots=True, eq=False)
class ItemIndex:
    """Rows by number, in the order they were given."""

    batches: Sequence[pa.RecordBatch]
    columns: pa.Table
    on_disk: bool

    @property
    def report(self) -> dict[str, Any]:
        """What was said of the rows when the index was made."""
        told: dict[str, Any] = json.loads(self.columns.schema.metadata[b"report"])
        return told

    def groups(self) -> Iterator[str]:
        """The group of every row; empty for one that is left out."""
        for chunk in self.columns["group"].chunks:
            yield from _streamed(chunk)

    def texts(self, column: str) -> Iterator[str]:
        """One of the text columns, row by row."""
        for batch in self.batches:
            yield from _streamed(batch.column(column))


def _streamed(column: pa.Array) -> Iterator[str]:
    for start in range(0, len(column), _BATCH_ROWS):
        yield from column.slice(start, _BATCH_ROWS).to_pylist()


class IndexedItems(Sequence[PreferenceItem]):
    """Some rows of an index as items, each made anew when it is looked at."""

    def __init__(self, index: ItemIndex, rows: np.ndarray) -> None:
        self._index = index
        self._rows = rows
        self._starts = np.cumsum([0, *(batch.num_rows for batch in index.batches)])

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> PreferenceItem: ...
    @overload
    def __getitem__(self, index: slice) -> IndexedItems: ...
    def __getitem__(self, index: int | slice) -> PreferenceItem | IndexedItems:
        if isinstance(index, slice):
            return IndexedItems(self._index, self._rows[index])
        row = int(self._rows[index])
        batch, place = self._place(row)
        group: str = self._index.columns["group"][row].as_py()
        return _item(batch, place, group)

    def named(self, column: str) -> Iterator[tuple[str, str, str]]:
        """The items' ids and groups, and one more text column, without making the items."""
        groups = self._index.columns["group"]
        for row in self._rows.tolist():
            batch, place = self._place(row)
            item_id, text = batch.column("item_id")[place], batch.column(column)[place]
            yield item_id.as_py(), groups[row].as_py(), text.as_py()

    def _place(self, row: int) -> tuple[pa.RecordBatch, int]:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._index.batches[number], row - int(self._starts[number])

    def __iter__(self) -> Iterator[PreferenceItem]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


def _item(batch: pa.RecordBatch, place: int, group: str) -> PreferenceItem:
    values = {
        name: batch.column(number)[place].as_py()
        for number, name in enumerate(batch.schema.names)
        if name not in ("images", "content")
    }
    responses = tuple(Response(**response) for response in values.pop("responses"))
    return PreferenceItem(
        **values,
        group_id=group,
        responses=responses,
        images=_images(batch.column("images"), place),
        source="file",
    )


def _images(column: pa.ListArray, place: int) -> tuple[FileImage | EncodedImage, ...]:
    first, end = (column.offsets[at].as_py() for at in (place, place + 1))
    paths, digests, data = (column.values.field(name) for name in ("path", "sha256", "data"))
    valid = data.slice(first, end - first).is_valid()
    found: list[FileImage | EncodedImage] = []
    for row in range(first, end):
        digest = digests[row].as_py()
        if valid[row - first].as_py():
            found.append(EncodedImage(_bytes(data, row), digest))
        else:
            found.append(FileImage(Path(paths[row].as_py()), digest))
    return tuple(found)


def _bytes(column: pa.LargeBinaryArray, row: int) -> pa.Buffer:
    """Where the bytes lie: an Arrow scalar of them, and so its buffer, is a copy."""
    _, offsets, data = column.buffers()
    first, end = np.frombuffer(offsets, np.int64)[column.offset + row :][:2].tolist()
    return data.slice(first, end - first)
