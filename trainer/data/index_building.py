"""`IndexBuilder`: rows through an adapter into an index; what cannot be used is counted."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import DataError
from trainer.data.adapters.adapter import Adapter, converted
from trainer.data.image_folder import RowImage, open_row_image
from trainer.data.images import EncodedImage, FileImage
from trainer.data.item_index import IndexWriter, ItemIndex
from trainer.data.pair_rows import PairRow, Reason, UnusableRow
from trainer.data.randomness import Draws, key_digest
from trainer.data.row_report import DataReport, LeftOut
from trainer.data.splits import connected_groups

if TYPE_CHECKING:
    from trainer.data.pair_files import RowSettings

INDEX_VERSION = "2"
"""Raised whenever the same rows would give another index."""

_DECODING_THREADS = 4  # Pillow decodes outside the interpreter lock
_ROWS_AT_ONCE = 128


class IndexBuilder:
    """Reads rows once, in order, with bounded memory."""

    def __init__(
        self, settings: RowSettings, adapter: Adapter, *, folder: Path, images: Path, variant: str
    ) -> None:
        """Prepare.

        Args:
            settings: Of the source.
            adapter: Reads its rows.
            folder: Where a large index goes.
            images: Where image paths start.
            variant: Names what now lies there; part of the index's name where images are missing,
                so that it is built anew once some have been added.
        """
        self._variant = variant
        self._settings = settings
        self._adapter = adapter
        self._images = images
        self._writer = IndexWriter(folder)
        self._rows = 0
        self._best_first = bytearray()
        self._left_out = LeftOut()
        self._numbers = array("q")
        self._ties: list[tuple[str, ...]] = []
        self._seen: dict[bytes, int] = {}
        self._labels: dict[bytes, int] = {}
        self._contradicting: set[int] = set()

    def read(self, rows: Iterable[object]) -> None:
        """Take in rows.

        Raises:
            DataError: If there are none.
        """
        with ThreadPoolExecutor(_DECODING_THREADS) as pool:
            waiting = iter(rows)
            while chunk := list(islice(waiting, _ROWS_AT_ONCE)):
                self._read_chunk(chunk, pool)
        if not self._rows:
            raise DataError(f"{self._settings.path} holds no rows")

    def finish(self, split_sizes: Callable[[Iterable[str]], Mapping[str, int]]) -> ItemIndex:
        """The index of what was read."""
        groups = connected_groups(self._ties)
        if self._settings.contradictions == "drop":
            for place in self._contradicting:
                groups[place] = ""
                self._left_out.add(self._numbers[place], Reason.CONTRADICTED)
        kept = [group for group in groups if group]
        report = DataReport(
            path=self._settings.path,
            rows=self._rows,
            kept=len(kept),
            dropped=self._left_out.counts,
            first_rows=self._left_out.first_rows,
            groups=len(set(kept)),
            splits=split_sizes(kept),
            best_first=sum(
                first for first, group in zip(self._best_first, groups, strict=True) if group
            ),
            contradicted=len(self._contradicting),
        )
        lacking = (Reason.MISSING_IMAGE, Reason.CORRUPT_IMAGE)
        variant = self._variant if any(each in self._left_out for each in lacking) else ""
        return self._writer.finish(groups, report.plain(), variant=variant)

    def discard(self) -> None:
        """Remove what was written aside."""
        self._writer.discard()

    def _read_chunk(self, chunk: Sequence[object], pool: ThreadPoolExecutor) -> None:
        found: list[tuple[int, PairRow]] = []
        for row in chunk:
            self._rows += 1
            try:
                found += [(self._rows, each) for each in converted(self._adapter, row)]
            except UnusableRow as unusable:
                self._left_out.add(self._rows, unusable.reason)
        wanted = list({image for _, row in found for image in row.images})
        check = self._settings.images == "decode"
        opened = pool.map(lambda image: open_row_image(self._images, image, check=check), wanted)
        images = dict(zip(wanted, opened, strict=True))
        for number, row in found:
            self._take(number, row, [images[image] for image in row.images])

    def _take(self, number: int, row: PairRow, found: Sequence[RowImage | Reason]) -> None:
        images = [image for image in found if not isinstance(image, Reason)]
        bad = [image for image in found if isinstance(image, Reason)]
        if bad:
            self._left_out.add(number, bad[0])
            return
        if row.tied and self._settings.ties == "drop":
            self._left_out.add(number, Reason.TIED)
            return
        identity = _row_identity(row, images)
        published = self._adapter.benchmark and row.row_id is not None
        key = bytes.fromhex(key_digest(row.row_id)[:24] if published else identity)
        times = self._seen.get(key, 0)
        self._seen[key] = times + 1
        if times and not published:
            self._left_out.add(number, Reason.REPEATED)
            return
        self._note_label(row, images, identity)
        name = identity if not published else f"{row.row_id}#{times + 1}" if times else row.row_id
        self._write(number, row, images, str(name), identity)

    def _write(
        self, number: int, row: PairRow, images: Sequence[RowImage], name: str, identity: str
    ) -> None:
        self._numbers.append(number)
        self._ties.append(_ties(row, images))
        self._best_first.append(row.responses[0].rank == 1)
        # Files mostly give the chosen response first; the place must not tell. A benchmark keeps
        # its published order, by which its styles and its own biases are known.
        responses: Sequence[Any] = row.responses
        if not self._adapter.benchmark:
            responses = Draws("order", name).shuffled(responses)
        category = row.category or self._settings.category
        told = category, row.margin, row.soft_label, row.label_weight
        critiques = tuple(response.critique for response in row.responses)
        self._writer.add(
            {
                "item_id": name,
                "prompt": row.prompt,
                "responses": [
                    {"text": each.text, "rank": each.rank, "critique": each.critique}
                    for each in responses
                ],
                "images": [_image_record(image) for image in images],
                "category": category,
                "margin": row.margin,
                "soft_label": row.soft_label,
                "label_weight": row.label_weight,
                "content": key_digest(identity, told, critiques)[:24],
            },
            len(row.prompt)
            + sum(len(r.text) + len(r.critique) for r in row.responses)
            + sum(len(memoryview(i.data)) for i in images if isinstance(i, EncodedImage)),
        )

    def _note_label(self, row: PairRow, images: Sequence[RowImage], identity: str) -> None:
        """Remember which of two responses is better here, and whether another row disagrees."""
        if len(row.responses) != 2 or row.tied:
            return
        first, second = sorted(row.responses, key=lambda response: response.text)
        asked = key_digest(
            row.prompt, first.text, second.text, tuple(image.key for image in images)
        )
        key, label = bytes.fromhex(asked[:24]), first.rank < second.rank
        # Place and label in one number: a tuple would take as much memory as all the rest.
        place, known = divmod(self._labels.setdefault(key, 2 * len(self._numbers) + label), 2)
        if known != label:
            self._contradicting |= {place, len(self._numbers)}


def _image_record(image: RowImage) -> dict[str, Any]:
    if isinstance(image, FileImage):
        return {"path": str(image.path), "sha256": image.sha256, "data": None}
    return {"path": None, "sha256": image.sha256, "data": image.data}


def _row_identity(row: PairRow, images: Sequence[RowImage]) -> str:
    answers = tuple(sorted((response.rank, response.text) for response in row.responses))
    return key_digest(row.prompt, answers, tuple(image.key for image in images))[:24]


def _ties(row: PairRow, images: Sequence[RowImage]) -> tuple[str, ...]:
    names = [] if row.group is None else [f"group-{key_digest(row.group)[:20]}"]
    if images:
        return (*names, *(f"image-{image.sha256[:20]}" for image in images))
    return (*names, f"prompt-{key_digest(row.prompt.strip())[:20]}")
