"""One row of a file of pairs: what it says, or why it cannot be used.

Two forms are read: `prompt`, `chosen`, `rejected` (one text or several), and `prompt`, `responses`,
`ranks` (or `rankings`; 1 is best). Rows that are only to be scored need no ranks, and may hold a
single `response`. A row is untrusted: nothing here touches a file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeGuard

from trainer.data.items import Response

Field = Literal[
    "prompt", "chosen", "rejected", "response", "responses", "ranks", "image", "images", "category",
    "group_id", "margin", "soft_label", "label_weight", "chosen_critique", "rejected_critique",
    "critiques",
]  # fmt: skip
"""What a column can hold."""


_LISTS = ("responses", "ranks", "images", "critiques")


class Reason(StrEnum):
    """Why a row is left out."""

    NO_MAPPING = "not a mapping of columns to values"
    NO_PROMPT = "no prompt"
    ONE_RESPONSE = "fewer than two responses"
    NOT_TEXT = "a response is not text"
    NOT_UNICODE = "half of a character (a lone surrogate)"
    EMPTY = "an empty response"
    SAME = "identical responses"
    RANKS = "ranks do not match the responses"
    TIED = "all responses tied"
    CRITIQUES = "critiques do not match the responses"
    MARGIN = "margin is not a number of at least 0"
    SOFT_LABEL = "soft label is not a probability, or not of two responses"
    WEIGHT = "label weight is not a number above 0"
    IMAGE_NAME = "an image is not given as a path"
    OUTSIDE = "an image outside the image folder"
    MISSING_IMAGE = "a missing image"
    CORRUPT_IMAGE = "a corrupt image"
    REPEATED = "a repetition of another row"
    CONTRADICTED = "another row that judges the same responses the other way round"
    SHAPE = "not a row of this data set"
    NO_VERDICT = "no verdict can be read"
    ONE_JUDGED = "a judgement of one response alone"
    RATING = "a rating that is not a number"
    EXCLUDED = "left out by the data set's own authors"
    VIDEO = "a video"


class UnusableRow(Exception):  # noqa: N818 -- not an error: rows are counted and left out
    """The row cannot be used."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A usable row, its images still names."""

    prompt: str
    responses: tuple[Response, ...]
    images: tuple[str | bytes, ...] = ()
    """Paths, or encoded images that lie in the row itself."""
    category: str = ""
    group: str | None = None
    """As the file declares it."""
    row_id: str | None = None
    """As the file declares it; kept where a benchmark's metrics are told by it."""
    margin: float | None = None
    soft_label: float | None = None
    label_weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse texts that no file can hold; JSON can spell them."""
        said = [text for each in self.responses for text in (each.text, each.critique)]
        named = [image for image in self.images if isinstance(image, str)]
        texts = [self.prompt, self.category, self.group or "", self.row_id or "", *said, *named]
        try:
            "".join(texts).encode()
        except UnicodeEncodeError:
            raise UnusableRow(Reason.NOT_UNICODE) from None

    @property
    def tied(self) -> bool:
        """Whether no response is better than another."""
        return len({response.rank for response in self.responses}) < 2


def parse_row(
    row: object, columns: Mapping[Field, str], *, labelled: bool = True, ties: bool = False
) -> PairRow:
    """What a row says.

    Args:
        row: Columns and their values; lists may come as JSON text, as in CSV.
        columns: Their names for our fields, where they differ.
        labelled: Whether it must say which response is better; if not, all may rank 1.
        ties: Whether a row whose responses are all as good as each other can be used.

    Raises:
        UnusableRow: With the first reason found.
    """
    if not isinstance(row, Mapping):
        raise UnusableRow(Reason.NO_MAPPING)
    cells = _Cells(row, columns)
    prompt = cells.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise UnusableRow(Reason.NO_PROMPT)
    group = cells.get("group_id")
    responses = tuple(_responses(cells, ties=ties) if labelled else _unlabelled(cells))
    return PairRow(
        prompt=prompt,
        responses=responses,
        images=tuple(_image_names(cells)),
        category=str(cells.get("category") or ""),
        group=None if group is None else str(group),
        margin=_number(cells.get("margin"), Reason.MARGIN),
        soft_label=_soft_label(cells.get("soft_label"), responses),
        label_weight=_weight(cells.get("label_weight")),
    )


class _Cells:
    """A row's values by our field names; empty cells are absent."""

    def __init__(self, row: Mapping[str, object], columns: Mapping[Field, str]) -> None:
        self._row = row
        self._columns = columns

    def get(self, field: Field) -> object:
        value = self._row.get(self._columns.get(field, field))
        if field == "ranks" and value is None and field not in self._columns:
            value = self._row.get("rankings")
        if isinstance(value, float) and math.isnan(value):
            return None
        return None if value == "" and field not in ("chosen", "rejected") else value

    def many(self, field: Field) -> list[object] | None:
        """The cell as a list; a single value is a list of one.

        Only where a list is expected is text read as JSON: a rejected answer may well be `[1, 2]`.
        """
        value = self.get(field)
        if value is None:
            return None
        if field in _LISTS and isinstance(value, str) and value.lstrip().startswith("["):
            try:
                parsed = json.loads(value)
            except (ValueError, RecursionError):
                return [value]
            return parsed if isinstance(parsed, list) else [value]
        return list(value) if isinstance(value, list | tuple) else [value]


def _responses(cells: _Cells, *, ties: bool) -> Iterator[Response]:
    if cells.get("responses") is not None:
        texts, ranks, critiques = _ranked(cells)
    else:
        texts, ranks, critiques = _chosen_and_rejected(cells)
    if len(texts) < 2:
        raise UnusableRow(Reason.ONE_RESPONSE)
    words = _words(texts)
    if len({text.strip() for text in words}) < len(words):
        raise UnusableRow(Reason.SAME)
    if len(set(ranks)) < 2 and not ties:
        raise UnusableRow(Reason.TIED)
    places = {rank: place for place, rank in enumerate(sorted(set(ranks)), start=1)}
    for text, rank, critique in zip(words, ranks, critiques, strict=True):
        yield Response(text=text, rank=places[rank], critique=critique)


def _unlabelled(cells: _Cells) -> Iterator[Response]:
    """The responses as they are; ranked where the row ranks them."""
    texts = cells.many("responses") or cells.many("response")
    ranks = [1] * len(texts or ())
    if texts is None:
        texts, ranks, _ = _chosen_and_rejected(cells)
    elif cells.get("ranks") is not None:
        texts, ranks, _ = _ranked(cells)
    for text, rank in zip(_words(texts), ranks, strict=True):
        yield Response(text=text, rank=rank)


def _words(texts: list[object]) -> list[str]:
    words = [text for text in texts if isinstance(text, str)]
    if len(words) != len(texts):
        raise UnusableRow(Reason.NOT_TEXT)
    if not all(text.strip() for text in words):
        raise UnusableRow(Reason.EMPTY)
    return words


def _ranked(cells: _Cells) -> tuple[list[object], list[int], list[str]]:
    texts = cells.many("responses") or []
    ranks = cells.many("ranks") or []
    whole = [int(rank) for rank in ranks if _is_whole(rank)]
    if len(whole) != len(ranks) or len(ranks) != len(texts):
        raise UnusableRow(Reason.ONE_RESPONSE if len(texts) < 2 else Reason.RANKS)
    critiques = cells.many("critiques") or [""] * len(texts)
    if len(critiques) != len(texts):
        raise UnusableRow(Reason.CRITIQUES)
    return texts, whole, [str(critique or "") for critique in critiques]


def _chosen_and_rejected(cells: _Cells) -> tuple[list[object], list[int], list[str]]:
    chosen, rejected = cells.get("chosen"), cells.many("rejected")
    if chosen is None or not rejected:
        raise UnusableRow(Reason.ONE_RESPONSE)
    judged = [cells.get("chosen_critique"), cells.get("rejected_critique")]
    critiques = [str(judged[0] or ""), *[str(judged[1] or "")] * len(rejected)]
    return [chosen, *rejected], [1] + [2] * len(rejected), critiques


def _image_names(cells: _Cells) -> Iterator[str]:
    names = [*(cells.many("image") or []), *(cells.many("images") or [])]
    for name in names:
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            raise UnusableRow(Reason.IMAGE_NAME)
        yield name


def _is_whole(value: object) -> TypeGuard[int | float]:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _weight(value: object) -> float:
    weight = _number(value, Reason.WEIGHT)
    if weight == 0:
        raise UnusableRow(Reason.WEIGHT)
    return 1.0 if weight is None else weight


def _soft_label(value: object, responses: Sequence[Response]) -> float | None:
    number = _number(value, Reason.SOFT_LABEL)
    if number is not None and (number > 1 or len(responses) != 2):
        raise UnusableRow(Reason.SOFT_LABEL)
    return None if len({response.rank for response in responses}) == 1 else number


def _number(value: object, reason: Reason) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UnusableRow(reason)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise UnusableRow(reason) from None
    if not math.isfinite(number) or number < 0:
        raise UnusableRow(reason)
    return number
