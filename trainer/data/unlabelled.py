"""Responses to be scored: items from a file of prompts, in its order, labelled or not.

The same files as the `file` source reads, but nothing is split, shuffled or left out for being
tied; rows that cannot be scored are told by their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.data.image_folder import RowImage, open_row_image
from trainer.data.items import PreferenceItem
from trainer.data.pair_rows import PairRow, Reason, UnusableRow, parse_row
from trainer.data.row_files import read_rows


def items_to_score(path: Path) -> tuple[list[PreferenceItem], list[tuple[int, str]]]:
    """The rows of a file as items, and the numbers (from 1) and reasons of those left out.

    An item's id is its row number; its images are looked for beside the file.

    Raises:
        MissingError: If there is no such file.
        DataError: If it cannot be read.
    """
    items: list[PreferenceItem] = []
    unusable: list[tuple[int, str]] = []
    folder = path.parent.resolve()
    for number, row in enumerate(read_rows(path, None), start=1):
        try:
            parsed = parse_row(row, {}, labelled=False)
            items.append(_item(number, parsed, _images(folder, parsed.images)))
        except UnusableRow as error:
            unusable.append((number, error.reason.value))
    return items, unusable


def _images(folder: Path, names: Sequence[str | bytes]) -> tuple[RowImage, ...]:
    images = []
    for name in names:
        found = open_row_image(folder, name, check=True)
        if isinstance(found, Reason):
            raise UnusableRow(found)
        images.append(found)
    return tuple(images)


def _item(number: int, row: PairRow, images: tuple[RowImage, ...]) -> PreferenceItem:
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
