"""Responses to be scored: items from a file of prompts, in its order, labelled or not.

The same files as the `file` source reads, but nothing is split, shuffled or left out for being
tied; rows that cannot be scored are told by their number.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from infra.errors import DataError
from trainer.data.image_folder import RowImage, open_row_image
from trainer.data.images import open_image
from trainer.data.items import ImageReference, PreferenceItem
from trainer.data.pair_rows import PairRow, Reason, UnusableRow, parse_row
from trainer.data.row_files import read_rows

Row = Mapping[str, object]
"""A prompt and its responses, as a file's row; images may also be Pillow images."""


@dataclass(frozen=True, slots=True)
class GivenImage:
    """An image that is at hand, as an `ImageReference`."""

    key: str
    image: Image.Image

    def load(self) -> Image.Image:
        """The image in RGB."""
        return self.image


def items_to_score(path: Path) -> tuple[list[PreferenceItem], list[tuple[int, str]]]:
    """The rows of a file as items, and the numbers (from 1) and reasons of those left out.

    An item's id is its row number; its images are looked for beside the file.

    Raises:
        MissingError: If there is no such file.
        DataError: If it cannot be read.
    """
    items: list[PreferenceItem] = []
    unusable: list[tuple[int, str]] = []
    for chunk in chunks_to_score(path, size=4096):
        items += chunk.items
        unusable += chunk.unusable
    return items, unusable


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a file, one after the other."""

    rows: int
    items: tuple[PreferenceItem, ...]
    unusable: tuple[tuple[int, str], ...]
    """Numbers (from 1, in the file) and reasons of rows left out."""


def chunks_to_score(path: Path, *, size: int) -> Iterator[Chunk]:
    """As `items_to_score`, so many rows at a time; the file is never held as a whole.

    Raises:
        MissingError: If there is no such file.
        DataError: If it cannot be read.
    """
    folder = path.parent.resolve()
    numbered = enumerate(read_rows(path, None), start=1)
    while rows := list(itertools.islice(numbered, size)):
        items: list[PreferenceItem] = []
        unusable: list[tuple[int, str]] = []
        for number, row in rows:
            try:
                parsed = parse_row(row, {}, labelled=False)
                items.append(_item(number, parsed, _images(folder, parsed.images)))
            except UnusableRow as error:
                unusable.append((number, error.reason.value))
        yield Chunk(len(rows), tuple(items), tuple(unusable))


def as_items(rows: Sequence[PreferenceItem | Row]) -> list[PreferenceItem]:
    """Items as they are, and mappings as items numbered from 1; image paths are taken as given.

    Raises:
        DataError: Naming every row that cannot be scored.
    """
    items: list[PreferenceItem] = []
    problems: list[str] = []
    for number, row in enumerate(rows, start=1):
        if isinstance(row, PreferenceItem):
            items.append(row)
            continue
        try:
            items.append(_given(number, row))
        except UnusableRow as error:
            problems.append(f"row {number}: {error.reason.value}")
        except DataError as error:
            problems.append(f"row {number}: {error}")
    if problems:
        raise DataError("; ".join(problems))
    return items


def _given(number: int, row: Row) -> PreferenceItem:
    given: list[ImageReference] = []
    rest = dict(row)
    for column in ("image", "images"):
        value = rest.pop(column, None)
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, Image.Image):
                shown = one.convert("RGB")
                key = f"given-{hashlib.sha256(shown.tobytes()).hexdigest()}-{shown.size}"
                given.append(GivenImage(key, shown))
            elif isinstance(one, str | Path):
                given.append(open_image(Path(one)))
            elif one is not None:
                raise UnusableRow(Reason.IMAGE_NAME)
    return _item(number, parse_row(rest, {}, labelled=False), tuple(given))


def _images(folder: Path, names: Sequence[str | bytes]) -> tuple[RowImage, ...]:
    images = []
    for name in names:
        found = open_row_image(folder, name, check=True)
        if isinstance(found, Reason):
            raise UnusableRow(found)
        images.append(found)
    return tuple(images)


def _item(number: int, row: PairRow, images: tuple[ImageReference, ...]) -> PreferenceItem:
    return PreferenceItem(
        item_id=str(number),
        group_id=row.group or str(number),
        prompt=row.prompt,
        responses=row.responses,
        images=images,
        category=row.category,
        source="file",
        margin=row.margin,
        soft_label=row.soft_label,
        label_weight=row.label_weight,
    )
