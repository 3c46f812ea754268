"""Sources of rows: the `file` source, and one for every adapter.

Rows that share an image are one group, and so are rows without images that share a prompt, and
rows that declare the same group; chains of these make one group too. (Rows with different images
may share a prompt: "How many birds are there?" says nothing without its image.) Rows that cannot
be used are left out and counted by reason; nothing outside the image folder is ever opened.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field as Setting

from infra.errors import DataError
from infra.frozen import Frozen
from infra.settings import load_settings
from trainer.data.adapters.adapter import Adapter, Row
from trainer.data.index_building import INDEX_VERSION, IndexBuilder
from trainer.data.item_index import IndexedItems, ItemIndex, open_index
from trainer.data.items import PreferenceItem
from trainer.data.pair_rows import Field, PairRow, parse_row
from trainer.data.randomness import key_digest, sequence_digest
from trainer.data.row_files import FileFormat
from trainer.data.row_places import HubSettings, RowPlace, open_place
from trainer.data.row_report import DataReport
from trainer.data.splits import split_of
from trainer.evaluation_config import Split


class RowSettings(Frozen):
    """Settings of every source that reads rows."""

    path: str
    """A file or folder (relative to the working directory), `s3://BUCKET/KEY` or
    `hf://OWNER/NAME`."""
    format: FileFormat | None = None
    """Told by the file's ending when absent."""
    files: str = "**/*"
    """Which files of a folder are read."""
    subset: str | None = None
    """Configuration of a hub data set."""
    hub_split: str = "train"
    """Published split of a hub data set."""
    revision: str | None = None
    """Commit or tag of a hub data set."""
    image_folder: str = "."
    """Where the rows' image paths start, relative to the file's folder."""
    category: str = ""
    """Category of rows that name none."""
    split: Split | None = None
    """Where all rows belong, as in a file that is a benchmark; told by each group when absent."""
    ties: Literal["drop", "keep"] = "drop"
    """Whether rows whose responses all rank the same are left out, or kept for a loss on ties."""
    contradictions: Literal["drop", "keep"] = "keep"
    """Whether rows that judge the same two responses in opposite ways are all left out."""
    images: Literal["decode", "trust"] = "decode"
    """Whether every image is decoded when the source is opened, or broken ones end the training."""


class PairFileSettings(RowSettings):
    """Settings of the `file` source."""

    columns: dict[Field, str] = Setting(default_factory=dict)
    """The file's column names, where they are not ours."""


class PairFileSource:
    """The items of one set of rows."""

    settings_type: ClassVar[type[RowSettings]] = PairFileSettings

    def __init__(self, settings: RowSettings, adapter: Adapter | None = None) -> None:
        self.settings = settings
        columns = getattr(settings, "columns", {})
        self._adapter = adapter or Adapter(
            name="file", doc="our own columns", convert=partial(_plain, columns=columns)
        )
        self._split = settings.split or ("test" if self._adapter.benchmark else None)
        self._orders: dict[tuple[Split, int], np.ndarray] = {}

    def items(self, split: Split, count: int, *, seed: int) -> Sequence[PreferenceItem]:
        """Up to `count` items of a split, in an order of the seed's own.

        Raises:
            MissingError: If there is no such file.
            DataError: If it cannot be read, or holds no usable row.
        """
        found = self._found(split, count, seed)
        return found if self._index.on_disk else list(found)

    def size(self, split: Split) -> int | None:
        """Items of a split.

        Raises:
            MissingError: If there is no such file.
            DataError: If it cannot be read, or holds no usable row.
        """
        return len(self._order(split, 0))

    def digest(self, split: Split, count: int, *, seed: int) -> str:
        """Names the content of the items `items` gives, wherever the file lies.

        Raises:
            MissingError: If there is no such file.
            DataError: If it cannot be read, or holds no usable row.
        """
        return sequence_digest(("file", "3"), self._found(split, count, seed).named("content"))

    def report(self) -> DataReport:
        """How many rows were kept, and why the others were not; also where none was.

        Raises:
            MissingError: If there is no such file.
            DataError: If it cannot be read, or holds no rows at all.
        """
        return DataReport(**self._index.report)

    def _order(self, split: Split, seed: int) -> np.ndarray:
        if not self._index.report["kept"]:
            raise DataError(f"no row can be used to train on or to test with; {self.report()}")
        if (split, seed) not in self._orders:
            rows, keys = array("q"), bytearray()
            named = zip(self._index.groups(), self._index.texts("item_id"), strict=True)
            for row, (group, name) in enumerate(named):
                if group and (self._split or split_of(group)) == split:
                    rows.append(row)
                    keys += bytes.fromhex(key_digest("file order", seed, name)[:32])
            high, low = np.frombuffer(keys, dtype=">u8").reshape(-1, 2).T
            ordered = np.lexsort((low, high))
            self._orders[split, seed] = np.frombuffer(rows, dtype=np.int64)[ordered]
        return self._orders[split, seed]

    def _found(self, split: Split, count: int, seed: int) -> IndexedItems:
        return IndexedItems(self._index, self._order(split, seed)[:count])

    @cached_property
    def _index(self) -> ItemIndex:
        settings = self.settings
        place = open_place(
            settings.path,
            file_format=settings.format,
            pattern=settings.files,
            hub=HubSettings(
                subset=settings.subset, split=settings.hub_split, revision=settings.revision
            ),
        )
        folder = load_settings().home / "data" / "indexes" / self._key(place)
        images = (place.folder / settings.image_folder).resolve()
        variant = _folders_state(images)
        for known in (folder, folder.with_name(folder.name + variant)):
            if known.is_dir():
                return open_index(known)
        return self._built(place, folder, images, variant)

    def _built(self, place: RowPlace, folder: Path, images: Path, variant: str) -> ItemIndex:
        builder = IndexBuilder(
            self.settings, self._adapter, folder=folder, images=images, variant=variant
        )
        try:
            builder.read(place.rows())
            return builder.finish(self._split_sizes)
        finally:
            builder.discard()

    def _split_sizes(self, groups: Iterable[str]) -> Mapping[str, int]:
        sizes: Counter[str] = Counter()
        for group, count in Counter(groups).items():
            sizes[self._split or split_of(group)] += count
        return dict(sizes)

    def _key(self, place: RowPlace) -> str:
        """Names the index: what is read, and how."""
        return key_digest(
            INDEX_VERSION,
            place.state(),
            self._adapter.name,
            self._adapter.version,
            self.settings.model_dump_json(exclude={"split"}),
            self._split or "",
        )[:32]


def _plain(row: Row, columns: Mapping[Field, str]) -> Iterator[PairRow]:
    yield parse_row(row, columns, ties=True)


def _folders_state(images: Path) -> str:
    """Names when files were last added to the images' folder and to the folders in it."""
    inner = sorted(each for each in images.iterdir() if each.is_dir()) if images.is_dir() else []
    changed = tuple(each.stat().st_mtime_ns for each in (images, *inner) if each.is_dir())
    return f"-{key_digest(changed)[:8]}"
