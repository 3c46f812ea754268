"""The `file` source: preference pairs from a JSONL, Parquet or CSV file with images beside it.

Rows that share an image are one group, and so are rows without images that share a prompt, and
rows that declare the same group; chains of these make one group too. (Rows with different images
may share a prompt: "How many birds are there?" says nothing without its image.) Rows that cannot
be used are left out and counted by reason; nothing outside the image folder is ever opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field as Setting

from infra.errors import DataError
from infra.frozen import Frozen
from trainer.config import Split
from trainer.data.images import FileImage, open_image
from trainer.data.items import PreferenceItem
from trainer.data.pair_rows import Field, PairRow, Reason, UnusableRow, parse_row
from trainer.data.randomness import Draws, key_digest
from trainer.data.row_files import FileFormat, read_rows
from trainer.data.splits import connected_groups, split_of

_DECODING_THREADS = 4  # Pillow decodes outside the interpreter lock


class PairFileSettings(Frozen):
    """Settings of the `file` source."""

    path: str
    """The file; relative to the working directory."""
    format: FileFormat | None = None
    """Told by the file's ending when absent."""
    image_folder: str = "."
    """Where the rows' image paths start, relative to the file's folder."""
    columns: dict[Field, str] = Setting(default_factory=dict)
    """The file's column names, where they are not ours."""
    category: str = ""
    """Category of rows that name none."""
    split: Split | None = None
    """Where all rows belong, as in a file that is a benchmark; told by each group when absent."""
    ties: Literal["drop", "keep"] = "drop"
    """Whether rows whose responses all rank the same are left out, or kept for a loss on ties."""
    images: Literal["decode", "trust"] = "decode"
    """Whether every image is decoded when the source is opened, or broken ones end the training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """What became of a file's rows."""

    path: str
    rows: int
    kept: int
    dropped: Mapping[str, int]
    """Rows left out, by reason."""
    first_rows: Mapping[str, int]
    """The first row (from 1) of every reason."""
    groups: int
    splits: Mapping[str, int]
    """Kept rows by split."""

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.kept} of {self.rows} rows kept, in {self.groups} groups"]
        lines += [
            f"  {count} left out: {reason} (first in row {self.first_rows[reason]})"
            for reason, count in self.dropped.items()
        ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Contents:
    items: tuple[PreferenceItem, ...]
    report: DataReport


class PairFileSource:
    """The pairs of one file."""

    settings_type = PairFileSettings

    def __init__(self, settings: PairFileSettings) -> None:
        self.settings = settings
        self._path = Path(settings.path).expanduser()

    def items(self, split: Split, count: int, *, seed: int) -> list[PreferenceItem]:
        """Up to `count` items of a split, in an order of the seed's own.

        Raises:
            MissingError: If there is no such file.
            DataError: If it cannot be read, or holds no usable row.
        """
        kept = [item for item in self._contents.items if self._split_of(item.group_id) == split]
        kept.sort(key=lambda item: key_digest("file order", seed, item.item_id))
        return kept[:count]

    def digest(self, split: Split, count: int, *, seed: int) -> str:
        """Names the content of the items `items` gives, wherever the file lies.

        Raises:
            MissingError: If there is no such file.
            DataError: If it cannot be read, or holds no usable row.
        """
        items = self.items(split, count, seed=seed)
        return key_digest("file", "2", tuple(_content(item) for item in items))

    def _split_of(self, group: str) -> Split:
        return self.settings.split or split_of(group)

    def report(self) -> DataReport:
        """How many rows were kept, and why the others were not."""
        return self._contents.report

    @cached_property
    def _contents(self) -> _Contents:
        rows, dropped = self._parsed()
        images = self._opened({name for _, row in rows for name in row.images})
        usable: list[tuple[PairRow, tuple[FileImage, ...]]] = []
        seen: set[str] = set()
        for number, row in rows:
            found = [images[name] for name in row.images]
            opened = tuple(image for image in found if isinstance(image, FileImage))
            bad = [image for image in found if isinstance(image, Reason)]
            identity = _row_identity(row, opened)
            reason = bad[0] if bad else Reason.REPEATED if identity in seen else None
            if reason is not None:
                dropped.append((number, reason))
                continue
            seen.add(identity)
            usable.append((row, opened))
        items = self._items(usable)
        report = self._report(items, dropped)
        if not items:
            raise DataError(f"no row can be used to train on or to test with; {report}")
        return _Contents(items, report)

    def _parsed(self) -> tuple[list[tuple[int, PairRow]], list[tuple[int, Reason]]]:
        rows, dropped = [], []
        keep = self.settings.ties == "keep"
        for number, row in enumerate(read_rows(self._path, self.settings.format), start=1):
            try:
                rows.append((number, parse_row(row, self.settings.columns, ties=keep)))
            except UnusableRow as unusable:
                dropped.append((number, unusable.reason))
        if not rows and not dropped:
            raise DataError(f"{self._path} holds no rows")
        return rows, dropped

    def _opened(self, names: set[str]) -> dict[str, FileImage | Reason]:
        folder = (self._path.parent / self.settings.image_folder).resolve()
        check = self.settings.images == "decode"
        ordered = sorted(names)
        with ThreadPoolExecutor(_DECODING_THREADS) as pool:
            opened = pool.map(lambda name: open_inside(folder, name, check=check), ordered)
            return dict(zip(ordered, opened, strict=True))

    def _items(
        self, usable: Sequence[tuple[PairRow, tuple[FileImage, ...]]]
    ) -> tuple[PreferenceItem, ...]:
        groups = connected_groups(_ties(row, images) for row, images in usable)
        return tuple(
            PreferenceItem(
                item_id=(item_id := _row_identity(row, images)),
                group_id=group,
                prompt=row.prompt,
                # Files mostly give the chosen response first; the place must not tell.
                responses=tuple(Draws("order", item_id).shuffled(row.responses)),
                images=images,
                category=row.category or self.settings.category,
                source="file",
                margin=row.margin,
                soft_label=row.soft_label,
                label_weight=row.label_weight,
            )
            for (row, images), group in zip(usable, groups, strict=True)
        )

    def _report(
        self, items: Sequence[PreferenceItem], dropped: Sequence[tuple[int, Reason]]
    ) -> DataReport:
        counts = Counter(reason.value for _, reason in dropped)
        groups = Counter(item.group_id for item in items)
        splits: Counter[str] = Counter()
        for group, count in groups.items():
            splits[self._split_of(group)] += count
        return DataReport(
            path=str(self._path),
            rows=len(items) + len(dropped),
            kept=len(items),
            dropped=dict(counts.most_common()),
            first_rows={
                name: min(number for number, reason in dropped if reason.value == name)
                for name in counts
            },
            groups=len(groups),
            splits=dict(splits),
        )


def open_inside(folder: Path, name: str, *, check: bool) -> FileImage | Reason:
    """The image, or why it cannot be had; only files that really lie in the folder are opened."""
    written = Path(name.replace("\\", "/"))
    if written.is_absolute() or written.drive or ".." in written.parts:
        return Reason.OUTSIDE
    try:
        path = (folder / written).resolve()
        if not path.is_relative_to(folder):
            return Reason.OUTSIDE  # through a symbolic link
        if not path.is_file():
            return Reason.MISSING_IMAGE
    except (OSError, ValueError, RuntimeError):  # a name too long, or links in a circle
        return Reason.MISSING_IMAGE
    try:
        return open_image(path, check=check)
    except DataError:
        return Reason.CORRUPT_IMAGE


def _row_identity(row: PairRow, images: Sequence[FileImage]) -> str:
    answers = tuple(sorted((response.rank, response.text) for response in row.responses))
    return key_digest(row.prompt, answers, tuple(image.key for image in images))[:24]


def _ties(row: PairRow, images: Sequence[FileImage]) -> list[str]:
    names = [] if row.group is None else [f"group-{key_digest(row.group)[:20]}"]
    if images:
        return names + [f"image-{image.sha256[:20]}" for image in images]
    return [*names, f"prompt-{key_digest(row.prompt.strip())[:20]}"]


def _content(item: PreferenceItem) -> tuple[object, ...]:
    critiques = tuple(response.critique for response in item.responses)
    kept = item.item_id, item.group_id, item.category, item.margin
    return (*kept, item.soft_label, item.label_weight, critiques)
